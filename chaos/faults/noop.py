"""The fault that changes nothing.

What an experiment shows with it is the experiment's own doing.
"""

from __future__ import annotations

from chaos.deployment import Targets
from chaos.faults.base import Fault, Observation
from seawall.lease import UndoCall


class Noop(Fault):
    """Touches nothing; counts as effective between apply and revert."""

    name = "noop"
    reaches = ()

    def __init__(self, _targets: Targets) -> None:
        self.target = "nothing"
        self._applied = False

    def undo(self) -> tuple[UndoCall, ...]:
        """No call at all."""
        return ()

    def apply(self) -> None:
        """Remember it."""
        self._applied = True

    def observe(self) -> Observation:
        """What there is to see of nothing."""
        return Observation(
            state="effective" if self._applied else "clear", what="nothing was changed"
        )

    def revert(self, *, within_ms: int) -> None:
        """Forget it."""
        super().revert(within_ms=within_ms)
        self._applied = False
