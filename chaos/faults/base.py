"""The port of a fault."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from seawall.lease import UndoCall, perform


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One look from outside the injector.

    The fault is seen at work, seen gone, or neither can be said (``unclear``).
    """

    state: Literal["effective", "clear", "unclear"]
    what: str


class Fault(ABC):
    """Something that breaks, how it is mended, and how one sees either from outside.

    ``reaches`` names what it touches in the words of a game day's blast radius; ``target`` is the
    same as an operator finds it.
    """

    name: ClassVar[str]
    reaches: ClassVar[tuple[str, ...]]
    target: str

    @abstractmethod
    def undo(self) -> tuple[UndoCall, ...]:
        """The calls that take the fault back, whether or not it is applied; a lease keeps them."""

    @abstractmethod
    def apply(self) -> None:
        """Break it. Raises :class:`ServiceError` if that could not be done.

        It may then be partly done.
        """

    @abstractmethod
    def observe(self) -> Observation:
        """Look once."""

    def revert(self, *, within_ms: int) -> None:
        """Mend it; idempotent.

        Raises :class:`ServiceError` if it is not mended within ``within_ms``.
        """
        perform(self.undo(), within_ms=within_ms)
