"""Several sources of one check: what one of them shows stands, whatever is wrong with another.

A check that ends at the first source which is missing or broken calls UNKNOWN what another one has
shown to be wrong. So each is asked by itself. Why one says nothing is a doubt, and a doubt only
stands in the way of a PASS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from seawall.errors import EvidenceError

_Said = TypeVar("_Said")


class Doubts:
    """Why sources of a check say nothing, in the order in which they were asked."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.reasons)

    def note(self, reason: str) -> None:
        """Add one."""
        self.reasons.append(reason)

    def ask(self, source: Callable[[], _Said]) -> _Said | None:
        """What ``source`` says; None, and a doubt, if its evidence is no good."""
        try:
            return source()
        except EvidenceError as error:
            self.note(str(error))
            return None

    def require_none(self) -> None:
        """Raise :class:`EvidenceError` with the first, if there is one."""
        if self.reasons:
            raise EvidenceError(self.reasons[0])
