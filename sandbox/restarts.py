"""When a process that died by itself is started again: a bounded exponential back-off; pure.

As process managers do it: kubelet waits 10 s, twice as long after each further death, at most
300 s, and begins anew after ten minutes without one (Kubernetes, "Pod Lifecycle", restart policy).
Here everything is twenty times shorter, because a drill takes minutes and not days.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_S = 0.5
"""How long after its first death a process is started again."""
CAP_S = 15.0
"""The longest time that is waited."""
HEALTHY_S = 30.0
"""A process that lived for so long is started again as after a first death."""


@dataclass(kw_only=True)
class _Process:
    """One that is started again: when it was started, what was waited last, when it is due."""

    started_at: float
    delay_s: float | None = None
    due_at: float | None = None


class Restarts:
    """Which processes are due to be started again; moments are seconds of any one clock."""

    def __init__(self) -> None:
        self._processes: dict[str, _Process] = {}

    def cover(self, name: str, *, started_at: float) -> None:
        """From now on answer each death of ``name`` by another start."""
        self._processes.setdefault(name, _Process(started_at=started_at))

    def started(self, name: str, *, at: float) -> None:
        """Note another start of ``name``, if it is covered."""
        if name in self._processes:
            known = self._processes[name]
            known.started_at, known.due_at = at, None

    def died(self, name: str, *, at: float) -> None:
        """Note a death of ``name``, if it is covered and not due already."""
        known = self._processes.get(name)
        if known is None or known.due_at is not None:
            return
        healthy = at - known.started_at >= HEALTHY_S
        former_s = None if healthy else known.delay_s
        known.delay_s = FIRST_S if former_s is None else min(CAP_S, 2 * former_s)
        known.due_at = at + known.delay_s

    def due(self, *, at: float) -> tuple[str, ...]:
        """The names that must be started again at ``at``, in the order of their first start."""
        return tuple(
            name
            for name, known in self._processes.items()
            if known.due_at is not None and known.due_at <= at
        )
