"""Drift, read from outputs of the engine's refresh that are written out here.

Each drifted property is named; a refresh that lacks something is never taken for "no drift".
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from seawall.change_review.drift import Difference, read_refresh
from seawall.errors import EvidenceError, ExitCode

URN = "urn:pulumi:sandbox::seawall::seawall:infra:Paging$aws:sns/topic:Topic::info"
SAME = {"op": "refresh", "urn": "urn:pulumi:sandbox::seawall::pulumi:pulumi:Stack::seawall-sandbox"}


def update(
    old: dict[str, Any],
    new: dict[str, Any],
    detailed: dict[str, Any] | None = None,
    *,
    side: str = "inputs",
) -> dict[str, Any]:
    return {
        "op": "update",
        "urn": URN,
        "oldState": {side: old},
        "newState": {side: new},
        "detailedDiff": detailed,
    }


def printed(*steps: dict[str, Any], **more: Any) -> str:
    summary: dict[str, int] = {}
    for step in steps:
        op = "same" if step["op"] == "refresh" else step["op"]
        summary[op] = summary.get(op, 0) + 1
    return json.dumps({"steps": list(steps), "changeSummary": summary, **more})


def test_no_drift_is_a_pass_that_says_how_much_was_compared() -> None:
    drift = read_refresh(printed(SAME, {**SAME, "urn": URN}), exit_code=0)

    assert drift.exit_code is ExitCode.PASS
    assert list(drift.lines()) == ["no drift: 2 resources of sandbox are as declared"]


@pytest.mark.parametrize(
    ("step", "differences"),
    [
        (
            update(
                {"tags": {"a": "1"}},
                {"tags": {"a": "2"}},
                {"tags.a": {"kind": "update", "inputDiff": True}},
            ),
            [("tags.a", "1", "2")],
        ),
        (
            update(
                {"tags": {"a": "1"}}, {"tags": {}}, {"tags": {"kind": "update", "inputDiff": True}}
            ),
            [("tags.a", "1", "nothing")],
        ),
        (
            update({}, {"tags": {"a.b": "1"}}, {'tags["a.b"]': {"kind": "add", "inputDiff": True}}),
            [('tags["a.b"]', "nothing", "1")],
        ),
        (
            update(
                {"rules": [{"days": 3}]},
                {"rules": [{"days": 1}]},
                {"rules[0].days": {"kind": "update"}},
            ),
            [("rules[0].days", "3", "1")],
        ),
        (
            update(
                {"period": 10},
                {"period": 60},
                {"period": {"kind": "update", "inputDiff": False}},
                side="outputs",
            ),
            [("period", "10", "60")],
        ),
        (update({"a": [1]}, {"a": [1, 2]}), [("a", "[1]", "[1, 2]")]),
        (update({"isEnabled": True}, {"isEnabled": False}, {}), [("isEnabled", "true", "false")]),
        (
            update(
                {"policy": '{"Statement": [{"Effect": "Deny"}]}'},
                {"policy": '{"Statement":[{"Effect":"Allow"}]}'},
            ),
            [("policy.Statement[0].Effect", "Deny", "Allow")],
        ),
        (
            update({"secretString": "old"}, {"secretString": "new"}),
            [("secretString", "[secret]", "[secret]")],
        ),
        (update({"masterPassword": "old"}, {}), [("masterPassword", "[secret]", "nothing")]),
        (update({"value": "[secret]"}, {"value": "clear"}), [("value", "[secret]", "[secret]")]),
        (
            update(
                {"value": "[secret]"},
                {"value": "[secret]"},
                {"value": {"kind": "update", "inputDiff": True}},
            ),
            [("value", "[secret]", "[secret]")],
        ),
        (update({}, {}, {"hidden": {"kind": "update"}}), [("hidden", "?", "? (update)")]),
    ],
)
def test_each_drifted_property_is_named_with_what_it_was_and_is(
    step: dict[str, Any], differences: list[tuple[str, str, str]]
) -> None:
    drift = read_refresh(printed(SAME, step), exit_code=0)

    assert drift.exit_code is ExitCode.FAIL
    [resource] = drift.resources
    assert (resource.kind, resource.name, resource.gone) == ("aws:sns/topic:Topic", "info", False)
    assert list(resource.differences) == [
        Difference(path=path, before=old, after=new) for path, old, new in differences
    ]


def test_a_resource_that_is_gone_is_named() -> None:
    drift = read_refresh(printed(SAME, {"op": "delete", "urn": URN, "oldState": {}}), exit_code=0)

    assert drift.exit_code is ExitCode.FAIL
    assert list(drift.lines()) == [
        "drift: 1 of 2 resources of sandbox are not as declared",
        "aws:sns/topic:Topic info: deleted outside the stack",
        (
            "find out who did it, then `pulumi up --refresh` puts it back:"
            " docs/runbooks/infrastructure-change.md"
        ),
    ]
    assert drift.document()["drifted"][0]["gone"] is True


@pytest.mark.parametrize(
    ("text", "exit_code", "says"),
    [
        ("", 255, "AccessDenied"),
        ("{}", 0, "printed nothing"),
        (printed(), 0, "printed nothing"),
        (printed(SAME), 1, "AccessDenied"),
        (
            printed(
                SAME,
                diagnostics=[{"severity": "error", "message": "error: ExpiredToken:\n  renew"}],
            ),
            0,
            "error: ExpiredToken: renew",
        ),
        (json.dumps({"steps": [SAME]}), 0, "printed nothing"),
        (
            json.dumps({"steps": [SAME], "changeSummary": {"same": 1, "update": 2}}),
            0,
            "counts 2 resources that differ and lists 0",
        ),
    ],
)
def test_a_refresh_that_failed_is_no_absence_of_drift(text: str, exit_code: int, says: str) -> None:
    with pytest.raises(EvidenceError, match=says) as caught:
        read_refresh(text, exit_code=exit_code, stderr="error: AccessDenied")
    assert caught.value.exit_code is ExitCode.UNKNOWN


def test_a_warning_is_no_failure() -> None:
    drift = read_refresh(
        printed(SAME, diagnostics=[{"severity": "warning", "message": "old"}]), exit_code=0
    )
    assert drift.exit_code is ExitCode.PASS
