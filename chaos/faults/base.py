"""What every fault offers: how it is applied, how it is undone, and how either is observed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from seawall.lease import UndoCall, perform


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What one probe of the target showed.

    Attributes:
        state: The fault is in force, it is not, or the probe proves neither (``unclear``).
        what: What was seen, in words.
    """

    state: Literal["effective", "clear", "unclear"]
    what: str


class Fault(ABC):
    """One kind of failure that can be injected.

    Attributes:
        name: Its name in experiments.
        reaches: What it touches, in the words of a game day's blast radius.
        target: The same in an operator's words.
    """

    name: ClassVar[str]
    reaches: ClassVar[tuple[str, ...]]
    target: str

    @abstractmethod
    def undo(self) -> tuple[UndoCall, ...]:
        """The calls that undo the fault, whether or not it is applied. A lease keeps them."""

    @abstractmethod
    def apply(self) -> None:
        """Inject the fault.

        Raises:
            ServiceError: It could not be done; it may be done in part.
        """

    @abstractmethod
    def observe(self) -> Observation:
        """Probe the target once, independently of what injects the fault."""

    def revert(self, *, within_ms: int) -> None:
        """Undo the fault; idempotent.

        Raises:
            ServiceError: It is not undone within ``within_ms``.
        """
        perform(self.undo(), within_ms=within_ms)
