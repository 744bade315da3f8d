"""What benchmarks of the money path report: figures, each beside its goal and a peer's figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_NOTE_INDENT = " " * 4


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure.

    Attributes:
        name: What was measured.
        value: In ``unit``.
        unit: For example ``/s``, or ``ms``.
        goal: The value to reach, in the same unit; None if there is none.
        at_most: Whether less is better.
        peer: What the same machine did in the same run, to compare with; empty without one.
        peer_value: Its figure, in ``unit`` unless ``peer`` says otherwise.
        shares: Where the time went, as parts of 1 by name.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None
    at_most: bool = False
    peer: str = ""
    peer_value: float | None = None
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    def lines(self) -> list[str]:
        """The figure for people: a line, and one each for peer and shares."""
        goal = ""
        if self.goal is not None:
            sign, word = ("<=" if self.at_most else ">="), "reached" if self.reached else "NOT"
            goal = f"goal {sign} {self.goal:,g} {self.unit}: {word}"
        found = [f"{self.name:<58} {self.value:>12,.1f} {self.unit:<4} {goal}".rstrip()]
        if self.peer_value is not None:
            ratio = self.value / self.peer_value if self.peer_value else float("inf")
            found.append(f"{_NOTE_INDENT}{ratio:.2f} of {self.peer}: {self.peer_value:,.1f}")
        if self.shares:
            parts = ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items())
            found.append(f"{_NOTE_INDENT}{parts}")
        return found


def table(figures: Sequence[Figure]) -> str:
    """All figures for people."""
    return "\n".join(line for figure in figures for line in figure.lines())
