"""Finds what is wrong with a Chaos Toolkit journal; an empty list means a sound experiment.

`chaos run` alone reports success when the steady state was off before the method (the method is
then skipped), when an action raised or its program or service refused (the shock was never
applied), when there was no hypothesis, when it was missed during the method, and when a tolerance
passes by accident of types. Its exit code, `status` and `deviated` are therefore not enough
(chaostoolkit 1.19.0, chaostoolkit-lib 1.44.0). Pure: a journal as parsed from JSON goes in,
sentences come out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DEVIATED_DURING = "the steady state was not met during the method"
"""Beginning of the problem of a hypothesis that was checked during the method, and missed."""
ENDED_AS = "the experiment ended as"
"""Beginning of the problem that names how it ended, which follows from another one."""
_HTTP_ERROR = 400
_READ_DURING = ("during-method-only", "continuously")
"""Strategies of Chaos Toolkit that read the steady state during the method."""


def problems_of_journal(journal: object) -> list[str]:
    """Every reason not to trust the experiment of ``journal``, in the order of its phases.

    Never raises on a broken journal.
    """
    if not isinstance(journal, Mapping):
        return [f"the journal is {_kind(journal)}, not an object"]
    experiment = journal.get("experiment")
    if not isinstance(experiment, Mapping):
        return ["the journal does not say which experiment was run"]
    return [
        *_ending(journal, experiment),
        *_steady_states(journal, experiment),
        *_method(journal, experiment),
        *_rollbacks(journal, experiment),
    ]


def _ending(journal: Mapping[str, Any], experiment: Mapping[str, Any]) -> list[str]:
    problems = []
    if journal.get("status") != "completed":
        problems.append(f"{ENDED_AS} {journal.get('status')!r}, not as 'completed'")
    if journal.get("deviated") is not False:
        problems.append(
            "the journal does not say that the steady state held: deviated is "
            f"{journal.get('deviated')!r}"
        )
    if experiment.get("dry"):
        problems.append(f"the run was dry ({experiment['dry']!r}): activities were left out")
    return problems


def _steady_states(journal: Mapping[str, Any], experiment: Mapping[str, Any]) -> list[str]:
    hypothesis = experiment.get("steady-state-hypothesis")
    planned = _activities(hypothesis.get("probes")) if isinstance(hypothesis, Mapping) else []
    if not planned:
        return ["the experiment has no steady state hypothesis, so nothing could deviate"]
    problems = [_ambiguity(probe) for probe in planned]
    states = journal.get("steady_states")
    for moment in ("before", "after"):
        state = states.get(moment) if isinstance(states, Mapping) else None
        if not isinstance(state, Mapping):
            problems.append(f"the steady state was not read {moment} the method")
            continue
        if state.get("steady_state_met") is not True:
            problems.append(f"the steady state was not met {moment} the method")
        place = f"steady state {moment}"
        runs = _activities(state.get("probes"))
        problems += _runs(runs, planned=planned, place=place)
        problems += [_tolerance(run, place=place) for run in runs]
    during = states.get("during") if isinstance(states, Mapping) else None
    problems += _during(_activities(during), experiment, planned=planned)
    return [problem for problem in problems if problem]


def _during(
    states: Sequence[Mapping[str, Any]],
    experiment: Mapping[str, Any],
    *,
    planned: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Problems of the steady state where it was also read during the method."""
    runtime = experiment.get("runtime")
    hypothesis = runtime.get("hypothesis") if isinstance(runtime, Mapping) else None
    strategy = hypothesis.get("strategy") if isinstance(hypothesis, Mapping) else None
    if strategy in _READ_DURING and not states:
        return [f"the steady state was not read during the method, although it is {strategy!r}"]
    problems = []
    met = [state.get("steady_state_met") for state in states]
    if met.count(False):
        problems.append(f"{DEVIATED_DURING} ({met.count(False)} of {len(met)} times)")
    place = "steady state during"
    for state in states:
        if state.get("steady_state_met") is False:
            continue
        if state.get("steady_state_met") is not True:
            problems.append("a reading of the steady state during the method says nothing")
        runs = _activities(state.get("probes"))
        problems += _runs(runs, planned=planned, place=place)
        problems += [_tolerance(run, place=place) for run in runs]
    return problems


def _method(journal: Mapping[str, Any], experiment: Mapping[str, Any]) -> list[str]:
    planned = _activities(experiment.get("method"))
    if not planned:
        return ["the experiment has no method, so no shock was applied"]
    return _runs(_activities(journal.get("run")), planned=planned, place="method")


def _rollbacks(journal: Mapping[str, Any], experiment: Mapping[str, Any]) -> list[str]:
    planned = _activities(experiment.get("rollbacks"))
    if not planned:
        return ["the experiment plans no rollback"]
    return _runs(_activities(journal.get("rollbacks")), planned=planned, place="rollbacks")


def _runs(
    runs: Sequence[Mapping[str, Any]], *, planned: Sequence[Mapping[str, Any]], place: str
) -> list[str]:
    """Problems of activities that were run: as many as planned, each the planned one, in order."""
    problems = []
    if len(runs) != len(planned):
        problems.append(f"{place}: {len(runs)} of {len(planned)} planned activities were run")
    for run, activity in zip(runs, planned, strict=False):
        if run.get("activity") != activity:
            name = activity.get("name")
            problems.append(f"{place}: {_name(run)} was run where {name!r} was planned")
    for run in runs:
        if run.get("status") != "succeeded":
            cause = run.get("exception")
            reason = (
                f": {str(cause[-1]).strip()}"
                if isinstance(cause, Sequence) and cause and not isinstance(cause, str)
                else ""
            )
            problems.append(f"{place}: {_name(run)} ended as {run.get('status')!r}{reason}")
        problems += _refusal(run, place=place)
    return problems


def _refusal(run: Mapping[str, Any], *, place: str) -> list[str]:
    """That a program or an HTTP service refused an activity, which the toolkit calls succeeded.

    It looks at exit codes and HTTP status only through a tolerance, and that only in the steady
    state, so a tolerance elsewhere is a problem too: it reads as a check and is none.
    """
    activity = run.get("activity")
    if not isinstance(activity, Mapping):
        return []
    hypothesis = "tolerance_met" in run
    if not hypothesis and activity.get("type") == "probe" and "tolerance" in activity:
        return [f"{place}: {_name(run)} has a tolerance, which is checked in the hypothesis only"]
    provider, output = activity.get("provider"), run.get("output")
    if hypothesis or not isinstance(provider, Mapping) or not isinstance(output, Mapping):
        return []
    status = output.get("status")
    if provider.get("type") == "process" and status != 0:
        return [f"{place}: {_name(run)} ended with exit code {status}"]
    if provider.get("type") == "http" and not (isinstance(status, int) and status < _HTTP_ERROR):
        return [f"{place}: {_name(run)} was answered with HTTP status {status}"]
    return []


def _tolerance(run: Mapping[str, Any], *, place: str) -> str:
    """A problem, or empty. ``1 == True`` in Python, so a boolean tolerance needs a boolean."""
    if run.get("tolerance_met") is not True:
        return f"{place}: {_name(run)} was out of tolerance"
    activity = run.get("activity")
    tolerance = activity.get("tolerance") if isinstance(activity, Mapping) else None
    if isinstance(tolerance, bool) and run.get("output") is not tolerance:
        return (
            f"{place}: {_name(run)} answered {run.get('output')!r} where {tolerance!r} was "
            "asked for"
        )
    return ""


def _ambiguity(probe: Mapping[str, Any]) -> str:
    """A problem, or empty. A bare pair is a range for a number, but a choice for a status."""
    tolerance = probe.get("tolerance")
    if tolerance is None:
        return f"probe {probe.get('name')!r} of the hypothesis has no tolerance"
    if isinstance(tolerance, list):
        return (
            f"probe {probe.get('name')!r} has a bare list as tolerance, which means a range or "
            "a choice by the type it meets"
        )
    return ""


def _activities(value: object) -> list[Mapping[str, Any]]:
    """``value`` as a list of objects; an item that is none counts as one without a status."""
    if not isinstance(value, list):
        return []
    return [item if isinstance(item, Mapping) else {} for item in value]


def _name(run: Mapping[str, Any]) -> str:
    activity = run.get("activity")
    return (
        repr(activity.get("name"))
        if isinstance(activity, Mapping)
        else "an activity without a name"
    )


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
