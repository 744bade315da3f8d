"""Problems of a journal that Chaos Toolkit's exit code, status and deviation do not show."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from seawall.scorecard.journal import problems_of_journal


def _run(name: str, **more: Any) -> dict[str, Any]:
    return {
        "activity": {"name": name} | ({"tolerance": True} if "tolerance_met" in more else {}),
        "status": "succeeded",
        "output": True,
        **more,
    }


def _state() -> dict[str, Any]:
    return {"steady_state_met": True, "probes": [_run("status-reachable", tolerance_met=True)]}


SOUND: dict[str, Any] = {
    "experiment": {
        "title": "signing region dark",
        "steady-state-hypothesis": {
            "title": "pays",
            "probes": [{"name": "status-reachable", "tolerance": True}],
        },
        "method": [{"name": "apply"}, {"name": "revert"}],
        "rollbacks": [{"name": "revert"}],
        "dry": None,
    },
    "status": "completed",
    "deviated": False,
    "steady_states": {"before": _state(), "after": _state(), "during": []},
    "run": [_run("apply"), _run("revert")],
    "rollbacks": [_run("revert")],
}


def _journal(**changes: Any) -> dict[str, Any]:
    """A sound journal with ``a__b=value`` set at ``journal["a"]["b"]``."""
    journal = copy.deepcopy(SOUND)
    for path, value in changes.items():
        *parents, last = path.split("__")
        section = journal
        for parent in parents:
            section = section[parent]
        section[last] = value
    return journal


def _by(provider: str, output: dict[str, Any]) -> dict[str, Any]:
    """An action that Chaos Toolkit calls succeeded, whatever its program or service said."""
    activity = {"name": "apply", "type": "action", "provider": {"type": provider}}
    return _run("apply", activity=activity, output=output)


def test_a_sound_journal_has_no_problems() -> None:
    """Nothing is wrong with an experiment whose every part was run and met."""
    assert problems_of_journal(SOUND) == []


def test_a_program_and_a_service_that_did_as_asked_are_no_problem() -> None:
    run = [_by("process", {"status": 0}), _by("http", {"status": 204})]
    planned = [each["activity"] for each in run]
    assert problems_of_journal(_journal(run=run, experiment__method=planned)) == []


FAILED = {
    **_run("apply"),
    "status": "failed",
    "exception": ["Traceback\n", "ServiceError: no proxy\n"],
}

OFF = {"steady_state_met": False, "probes": [_run("status-reachable", tolerance_met=False)]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"steady_states__before": OFF, "steady_states__after": None, "run": []},
            "the steady state was not met before the method",
        ),
        (
            {"run": [FAILED, _run("revert")]},
            "method: 'apply' ended as 'failed': ServiceError: no proxy",
        ),
        (
            {
                "experiment__steady-state-hypothesis": None,
                "steady_states__before": None,
                "steady_states__after": None,
            },
            "no steady state hypothesis",
        ),
        ({"rollbacks": []}, "rollbacks: 0 of 1 planned"),
        (
            {
                "steady_states__before": {
                    "steady_state_met": True,
                    "probes": [_run("x", output=1, tolerance_met=True)],
                }
            },
            "answered 1 where True",
        ),
        (
            {
                "experiment__steady-state-hypothesis": {
                    "probes": [{"name": "login", "tolerance": [200, 404]}]
                }
            },
            "a bare list as tolerance",
        ),
        ({"steady_states__after": OFF}, "the steady state was not met after the method"),
        ({"steady_states__after": None}, "not read after the method"),
        ({"status": "interrupted"}, "ended as 'interrupted'"),
        ({"deviated": True}, "deviated is True"),
        ({"experiment__dry": "actions"}, "the run was dry"),
        ({"run": [_run("apply")]}, "method: 1 of 2 planned"),
        (
            {"run": [_run("noop"), _run("revert")]},
            "method: 'noop' was run where 'apply' was planned",
        ),
        (
            {"rollbacks": [_run("revert", activity={"name": "revert", "provider": {}})]},
            "rollbacks: 'revert' was run where 'revert' was planned",
        ),
        (
            {
                "steady_states__after": {
                    "steady_state_met": True,
                    "probes": [_run("always-true", tolerance_met=True)],
                }
            },
            "steady state after: 'always-true' was run where 'status-reachable' was planned",
        ),
        ({"experiment__method": []}, "no method"),
        ({"experiment__rollbacks": []}, "plans no rollback"),
        ({"rollbacks": [{**FAILED, "status": "failed"}]}, "rollbacks: 'apply' ended as 'failed'"),
        ({"experiment": None}, "does not say which experiment"),
        (
            {"steady_states__during": [_state(), OFF, _state()]},
            "not met during the method (1 of 3 times)",
        ),
        ({"steady_states__during": [None]}, "during the method says nothing"),
        (
            {
                "steady_states__during": [
                    {"steady_state_met": True, "probes": [_run("x", output=1, tolerance_met=True)]}
                ]
            },
            "steady state during: 'x' answered 1 where True",
        ),
        (
            {"experiment__runtime": {"hypothesis": {"strategy": "continuously"}}},
            "not read during the method, although it is 'continuously'",
        ),
        (
            {"run": [_by("process", {"status": 1, "stderr": "no such proxy"}), _run("revert")]},
            "method: 'apply' ended with exit code 1",
        ),
        (
            {"run": [_by("process", {"status": None}), _run("revert")]},
            "method: 'apply' ended with exit code None",
        ),
        (
            {"rollbacks": [_by("process", {"status": -9})]},
            "rollbacks: 'apply' ended with exit code -9",
        ),
        (
            {"run": [_by("http", {"status": 404, "body": ""}), _run("revert")]},
            "method: 'apply' was answered with HTTP status 404",
        ),
        (
            {"run": [_run("apply", activity={"name": "alive", "type": "probe", "tolerance": 0})]},
            "'alive' has a tolerance, which is checked in the hypothesis only",
        ),
    ],
)
def test_each_trap_is_named(changes: dict[str, Any], expected: str) -> None:
    """What `chaos run` reports as success is a problem here."""
    assert any(expected in problem for problem in problems_of_journal(_journal(**changes)))


@pytest.mark.parametrize(
    "journal",
    [
        None,
        [],
        "x",
        {},
        {"experiment": {}},
        {"experiment": {"method": 3}, "run": {}, "steady_states": []},
    ],
)
def test_a_broken_journal_is_a_problem_and_not_a_traceback(journal: object) -> None:
    """Anything that is no journal is reported, never raised."""
    assert problems_of_journal(journal)
