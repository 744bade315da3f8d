"""The fault in which a process stands still: it holds what it holds, and answers nobody."""

from __future__ import annotations

from chaos.faults.base import Observation
from chaos.process import ProcessFault
from seawall.conventions import components, faults
from seawall.policy import Policy


class ProcessFrozen(ProcessFault):
    """A process stands still (SIGSTOP): its connections and locks stay, and nothing moves."""

    name = faults.PROCESS_FROZEN
    act = "freeze"

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """All but the api: the prober waits for it too long to count as awake meanwhile."""
        api = components.process_target(components.API_PROCESS)
        return tuple(target for target in super().targets(policy) if target != api)

    def judge(self, answer: str) -> Observation:
        """Silence is the fault: the kernel takes the connection, and the process does not."""
        match answer:
            case "silent":
                return self.seen("effective", "took a request and was silent")
            case "answered":
                return self.seen("clear", "answered")
            case _:
                return self.seen("unclear", "refused or reset the connection")
