"""The fault that changes nothing: what a run with it shows is caused by the experiment itself."""

from __future__ import annotations

from chaos.faults.base import Fault, Observation
from seawall.formats.deployment import Deployment
from seawall.lease import UndoCall


class Noop(Fault):
    """Touches nothing, and counts as effective between apply and revert."""

    name = "noop"
    reaches = ()

    def __init__(self, _deployment: Deployment) -> None:
        self.target = "nothing"
        self._applied = False

    def undo(self) -> tuple[UndoCall, ...]:
        """No call."""
        return ()

    def apply(self) -> None:
        """Count as effective from now on."""
        self._applied = True

    def observe(self) -> Observation:
        """Whether it counts as effective."""
        return Observation(
            state="effective" if self._applied else "clear", what="nothing was changed"
        )

    def revert(self, *, within_ms: int) -> None:
        """Count as effective no more."""
        super().revert(within_ms=within_ms)
        self._applied = False
