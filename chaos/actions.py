"""Actions of experiments: wait, apply a fault, hold it, revert it.

Chaos Toolkit calls them by its python provider. Each gets the drill's numbers from the experiment's
``configuration``, which is rendered from the policy (:mod:`seawall.experiments`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from chaos.context import Context, read_context
from chaos.faults import make_fault
from chaos.noop import Noop
from chaos.session import FaultSession
from seawall.errors import ServiceError, UsageError
from seawall.formats.deployment import run_directory
from seawall.formats.timeline import append
from seawall.kill_switch import KillSwitchWatch, kill_switches
from seawall.lease import REAL_CLOCK, LeaseClient, RunnerWatch

SOURCE = "chaos"
WAIT_STEP_S = 0.1
_sessions: dict[tuple[str, str], FaultSession] = {}
"""By fault and target; actions are separate calls in one process, and `revert_fault` ends one."""
_watches: list[KillSwitchWatch] = []
"""The one watch of the kill switch, made when it is first needed."""

DeclaredFault = Mapping[str, Any]
"""A fault as the experiment declares it: fault, target, parameters, after_ms, length_ms."""
Configuration = Mapping[str, Any]


def wait_for_fault(fault: DeclaredFault, configuration: Configuration) -> None:
    """Wait until ``fault`` is due: the calm and ``after_ms`` after the run's zero.

    An experiment that is run by hand has no zero and does not wait.

    Raises:
        UsageError: The flood is already over.
        ServiceError: Meanwhile the runner died, or drills were stopped.
        DrillError: The kill switch does not permit the drill.
    """
    _wait_until(configuration["calm_ms"] + fault["after_ms"], configuration)


def wait_for_end(configuration: Configuration) -> None:
    """Wait for the end of the flood. Raises as :func:`wait_for_fault`."""
    _wait_until(configuration["calm_ms"] + configuration["flood_ms"], configuration)


def nothing() -> None:
    """Do nothing: the rollback of an experiment that applies no fault."""


def apply_fault(fault: DeclaredFault, configuration: Configuration) -> None:
    """Apply ``fault`` under a lease, and wait until it is observed to be effective."""
    _session(fault, configuration).apply()


def hold_fault(fault: DeclaredFault, configuration: Configuration) -> None:
    """Keep ``fault`` in force for its length."""
    _session(fault, configuration).hold(fault["length_ms"])


def revert_fault(fault: DeclaredFault, configuration: Configuration) -> None:
    """Undo ``fault``, applied or not, and wait until it is observed to be gone."""
    _session(fault, configuration).revert()
    _sessions.pop(_key(fault)).close()


def _wait_until(offset_ms: int, configuration: Configuration) -> None:
    """Wait until ``offset_ms`` after the run's zero."""
    context = read_context()
    _kill_switch(context).require_armed()
    if context.t_zero is None:
        return
    moment = context.t_zero + offset_ms / 1_000
    ends = context.t_zero + (configuration["calm_ms"] + configuration["flood_ms"]) / 1_000
    if time.time() > ends:
        raise UsageError(
            f"the flood of the drill {configuration['drill']} is over: what follows would meet no"
            " load",
            remedy="start the experiment before its moment",
        )
    watch = _watch(context)
    while (rest_s := moment - time.time()) > 0:
        reason = watch()
        if reason is not None:
            raise ServiceError(reason, remedy="start the game day again")
        time.sleep(min(WAIT_STEP_S, rest_s))


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


def _key(fault: DeclaredFault) -> tuple[str, str]:
    return fault["fault"], fault["target"]


def _session(fault: DeclaredFault, configuration: Configuration) -> FaultSession:
    if _key(fault) not in _sessions:
        context = read_context()
        run_dir = run_directory(context.deployment.data_dir)

        def record(event: str, at: float, detail: Mapping[str, Any]) -> None:
            if run_dir is not None:
                append(run_dir, source=SOURCE, event=event, at=at, detail=detail)

        made = make_fault(
            fault["fault"],
            target=fault["target"],
            parameters=fault["parameters"],
            deployment=context.deployment,
            blast_radius=configuration["blast_radius"],
            length_ms=fault["length_ms"],
        )
        _sessions[_key(fault)] = FaultSession(
            Noop(made) if configuration["noop"] else made,
            leases=LeaseClient(context.deployment.urls.required("lease")),
            ttl_ms=configuration["lease_ttl_ms"],
            watch=_watch(context),
            permit=_kill_switch(context).require_armed,
            record=record,
            clock=REAL_CLOCK,
        )
    return _sessions[_key(fault)]
