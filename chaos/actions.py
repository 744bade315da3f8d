"""Actions of experiments: wait, apply a fault, hold it, revert it.

Chaos Toolkit calls them by its python provider.

How long, how far and under which lease is said by the policy's game day for ``experiment``; the
experiment file holds no number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from chaos.context import Context, read_context
from chaos.faults import make_fault
from chaos.session import FaultSession
from seawall.errors import ServiceError, UsageError
from seawall.formats.deployment import run_directory
from seawall.formats.timeline import append
from seawall.kill_switch import KillSwitchWatch, kill_switches
from seawall.lease import REAL_CLOCK, LeaseClient, RunnerWatch

SOURCE = "chaos"
WAIT_STEP_S = 0.1
_sessions: dict[str, FaultSession] = {}
"""By fault; actions are separate calls in one process, and `revert_fault` ends a session."""
_watches: list[KillSwitchWatch] = []
"""The one watch of the kill switch, made when it is first needed."""


def wait_for_moment(experiment: str) -> None:
    """Wait until the game day's fault is due: ``calm`` and ``dark_after`` after the run's zero.

    An experiment that is run by hand has no zero and does not wait.

    Raises:
        UsageError: The flood is already over.
        ServiceError: Meanwhile the runner died, or drills were stopped.
        DrillError: The kill switch does not permit the drill.
    """
    context = read_context()
    day = context.gameday(experiment)
    _kill_switch(context).require_armed()
    if context.t_zero is None:
        return
    moment = context.t_zero + (day.calm + day.dark_after) / 1_000
    if time.time() > context.t_zero + (day.calm + day.flood) / 1_000:
        raise UsageError(
            f"the flood of the game day {day.name} is over: the fault would meet no load",
            remedy="start the experiment before its moment",
        )
    watch = _watch(context)
    while (rest_s := moment - time.time()) > 0:
        reason = watch()
        if reason is not None:
            raise ServiceError(reason, remedy="start the game day again")
        time.sleep(min(WAIT_STEP_S, rest_s))


def apply_fault(fault: str, experiment: str) -> None:
    """Apply ``fault`` under a lease, and wait until it is observed to be effective."""
    _session(fault, experiment).apply()


def hold(fault: str, experiment: str) -> None:
    """Keep ``fault`` in force for as long as the game day says."""
    _session(fault, experiment).hold(read_context().gameday(experiment).dark)


def revert_fault(fault: str, experiment: str) -> None:
    """Undo ``fault``, applied or not, and wait until it is observed to be gone."""
    _session(fault, experiment).revert()
    _sessions.pop(fault).close()


def _watch(context: Context) -> Callable[[], str | None]:
    """A function that gives the reason why a fault must end, if there is one.

    The process that the experiment runs for has died, or a person has stopped all drills.
    """
    runner, kill_switch = RunnerWatch(context.runner_pid), _kill_switch(context).start()
    return lambda: runner() or kill_switch()


def _kill_switch(context: Context) -> KillSwitchWatch:
    if not _watches:
        _watches.append(KillSwitchWatch(switches=kill_switches(context.deployment.kill_switch)))
    return _watches[0]


def _session(fault: str, experiment: str) -> FaultSession:
    if fault not in _sessions:
        context = read_context()
        day = context.gameday(experiment)
        run_dir = run_directory(context.deployment.data_dir)

        def record(event: str, at: float, detail: Mapping[str, Any]) -> None:
            if run_dir is not None:
                append(run_dir, source=SOURCE, event=event, at=at, detail=detail)

        _sessions[fault] = FaultSession(
            make_fault(fault, deployment=context.deployment, gameday=day),
            leases=LeaseClient(context.deployment.urls.lease),
            ttl_ms=day.lease_ttl,
            watch=_watch(context),
            permit=_kill_switch(context).require_armed,
            record=record,
            clock=REAL_CLOCK,
        )
    return _sessions[fault]
