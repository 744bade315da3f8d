"""The fault in which a process is killed, and its platform brings it back at the fault's end."""

from __future__ import annotations

from chaos.faults.base import Observation
from chaos.process import ProcessFault
from seawall.conventions import faults


class ProcessKilled(ProcessFault):
    """A process is killed (SIGKILL) and stays down until the fault ends: then it is restarted."""

    name = faults.PROCESS_KILLED
    act = "kill"

    def judge(self, answer: str) -> Observation:
        """Nobody listens where it answered."""
        match answer:
            case "refused":
                return self.seen("effective", "is not there: the connection was refused")
            case "answered":
                return self.seen("clear", "answered")
            case _:
                return self.seen("unclear", "neither answered nor refused")
