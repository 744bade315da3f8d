"""The control of a fault: it touches nothing, and all else is done as with the fault."""

from __future__ import annotations

from chaos.faults import Fault, Observation
from seawall.formats.deployment import Deployment
from seawall.lease import UndoCall
from seawall.policy import Policy

NAME = "noop"
"""What it is called in the timeline, so that no judge takes it for the fault."""


class Noop(Fault):
    """Counts as effective between apply and revert, with the target and the undo of ``fault``.

    What a run with it shows is caused by the experiment itself.
    """

    name = NAME

    def __init__(self, fault: Fault) -> None:
        deployment: Deployment = fault.deployment
        super().__init__(deployment, target=fault.target, parameters={})
        self.part = fault.part
        self._fault = fault
        self._applied = False

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """None of its own: it takes the place of another fault."""
        del policy
        return ()

    def undo(self) -> tuple[UndoCall, ...]:
        """The undo of the fault whose place it takes."""
        return self._fault.undo()

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
