"""Actions of experiments (Chaos Toolkit's python provider).

Wait for the moment, apply a fault, hold it, revert it.

How long, how far and under which lease is the policy's game day for ``experiment``; nothing of that
stands in the experiment file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from chaos.deployment import Surroundings, look_around
from chaos.faults import make_fault
from chaos.session import FaultSession
from seawall.errors import ServiceError, UsageError
from seawall.formats.timeline import append
from seawall.kill_switch import KillSwitchWatch, kill_switches
from seawall.lease import REAL_CLOCK, LeaseClient, RunnerWatch

SOURCE = "chaos"
WAIT_STEP_S = 0.1
_sessions: dict[str, FaultSession] = {}
"""Actions are separate calls in one process: what `apply_fault` began, `revert_fault` ends."""
_switches: list[KillSwitchWatch] = []
"""The watch of the kill switch, once somebody has needed it."""


def wait_for_moment(experiment: str) -> None:
    """Wait until the game day wants its fault: ``calm`` and ``dark_after`` after the run's zero.

    By hand that is at once.

    Raises :class:`UsageError` if the flood is over by then, :class:`ServiceError` if meanwhile the
    runner dies or drills are stopped, :class:`DrillError` if they may not begin.
    """
    surroundings = look_around()
    day = surroundings.gameday(experiment)
    _switch(surroundings).require_armed()
    if surroundings.t_zero is None:
        return
    moment = surroundings.t_zero + (day.calm + day.dark_after) / 1_000
    if time.time() > surroundings.t_zero + (day.calm + day.flood) / 1_000:
        message = f"the flood of the game day {day.name} is over: the fault would meet no load"
        raise UsageError(message, remedy="start the experiment before its moment")
    watch = _watch(surroundings)
    while (rest_s := moment - time.time()) > 0:
        gone = watch()
        if gone is not None:
            raise ServiceError(gone, remedy="start the game day again")
        time.sleep(min(WAIT_STEP_S, rest_s))


def apply_fault(fault: str, experiment: str) -> None:
    """Apply ``fault`` under a lease and wait until it is seen from outside."""
    _session(fault, experiment).apply()


def hold(fault: str, experiment: str) -> None:
    """Keep ``fault`` for as long as the game day says."""
    _session(fault, experiment).hold(look_around().gameday(experiment).dark)


def revert_fault(fault: str, experiment: str) -> None:
    """Take ``fault`` back, whether or not it is applied, and see from outside that it is gone."""
    _session(fault, experiment).revert()
    _sessions.pop(fault).close()


def _watch(surroundings: Surroundings) -> Callable[[], str | None]:
    """Says why a fault must end.

    Nobody waits for it any more, or people have stopped all drills.
    """
    runner, switch = RunnerWatch(surroundings.runner_pid), _switch(surroundings).start()
    return lambda: runner() or switch()


def _switch(surroundings: Surroundings) -> KillSwitchWatch:
    """The one watch of this process."""
    if not _switches:
        _switches.append(KillSwitchWatch(switches=kill_switches(surroundings.targets.kill_switch)))
    return _switches[0]


def _session(fault: str, experiment: str) -> FaultSession:
    if fault not in _sessions:
        surroundings = look_around()
        day = surroundings.gameday(experiment)
        run_dir = surroundings.targets.run_dir

        def tell(event: str, at: float, detail: Mapping[str, Any]) -> None:
            if run_dir is not None:
                append(run_dir, source=SOURCE, event=event, at=at, detail=detail)

        _sessions[fault] = FaultSession(
            make_fault(fault, targets=surroundings.targets, gameday=day),
            leases=LeaseClient(surroundings.targets.urls.lease),
            ttl_ms=day.lease_ttl,
            watch=_watch(surroundings),
            permit=_switch(surroundings).require_armed,
            tell=tell,
            clock=REAL_CLOCK,
        )
    return _sessions[fault]
