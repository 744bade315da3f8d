"""Stop conditions: what ends a drill, and what cannot be read ends it too."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from seawall.cache import repository_root
from seawall.conventions.local_aws import ACCOUNT_ID
from seawall.drill.stop_conditions import StopConditionWatch, stop_conditions
from seawall.kill_switch import UNREADABLE_S_MAX, KillSwitchWatch
from seawall.policy.drilling import StopCondition
from seawall.policy_file import load_policy
from tests.testing.deployments import make_deployment, urls
from tests.testing.endpoints import serving

POLICY = load_policy(repository_root() / "policies" / "sandbox.yaml")
QUERY = {"query": "max(queue_age_s)", "above": "30"}


def watch(folder: Path, prometheus: str, condition: dict[str, Any]) -> StopConditionWatch:
    return StopConditionWatch(
        policy=POLICY,
        deployment=make_deployment(folder, urls=urls(prometheus=prometheus)),
        name="queue",
        condition=StopCondition.model_validate(condition),
    )


def vector(*values: str) -> tuple[int, Any]:
    """Prometheus' answer with a series for each value."""
    return 200, {"data": {"result": [{"value": [0, value]} for value in values]}}


@pytest.mark.parametrize(
    ("values", "stopped"),
    [
        (("30",), None),
        (("NaN", "7"), None),
        (("1", "31"), "the stop condition queue holds: max(queue_age_s) is 31, more than 30"),
        (("NaN", "+Inf"), "the stop condition queue holds: max(queue_age_s) is inf, more than 30"),
    ],
)
def test_a_query_stops_a_drill_above_its_level(
    values: tuple[str, ...], stopped: str | None, tmp_path: Path
) -> None:
    with serving(lambda path, body: vector(*values)) as url:
        read = watch(tmp_path, url, QUERY).read()
    assert read.stopped == stopped
    assert bool(read.values) is (stopped is None)


@pytest.mark.parametrize(
    "answer", [(500, {}), (200, "no json"), (200, {"data": {}}), vector(), vector("NaN")]
)
def test_a_query_that_is_not_answered_is_unreadable(
    answer: tuple[int, Any], tmp_path: Path
) -> None:
    with serving(lambda path, body: answer) as url:
        read = watch(tmp_path, url, QUERY).read()
    assert (read.values, read.stopped) == ({}, None)
    assert list(read.unreadable) == ["the stop condition queue"]


def test_a_deployment_without_prometheus_cannot_be_read(tmp_path: Path) -> None:
    deployment = make_deployment(tmp_path, urls={"api": "http://127.0.0.1:1"})
    read = StopConditionWatch(
        policy=POLICY,
        deployment=deployment,
        name="queue",
        condition=StopCondition.model_validate(QUERY),
    ).read()
    assert "urls.prometheus" in read.unreadable["the stop condition queue"]


def test_a_condition_that_cannot_be_read_for_long_ends_the_drill(tmp_path: Path) -> None:
    """Beside one that can: neither may be the only one that was read."""
    now = [0.0]
    with serving(lambda path, body: vector("1")) as url:
        readable = watch(tmp_path, url, QUERY)
        dead = watch(tmp_path, "http://127.0.0.1:1", QUERY)
        both = KillSwitchWatch(switches=[readable, dead], monotonic_s=lambda: now[0])
        assert both() is None
        now[0] = UNREADABLE_S_MAX + 1
        both.poll()
    assert "the stop condition queue cannot be read" in str(both())
    assert str(both.refusal()).startswith("the stop condition queue cannot be read")


class _CloudWatch:
    def __init__(self, **answer: Any) -> None:
        self.answer = answer

    def describe_alarms(self, **asked: Any) -> Any:
        assert asked["AlarmNames"] == ["pager"]
        return self.answer


@pytest.mark.parametrize(
    ("answer", "stopped", "unreadable"),
    [
        ({"MetricAlarms": [{"StateValue": "OK"}]}, None, False),
        ({"CompositeAlarms": [{"StateValue": "ALARM"}]}, "is ALARM", False),
        ({"MetricAlarms": [{"StateValue": "INSUFFICIENT_DATA"}]}, None, False),
        ({}, None, True),
    ],
)
def test_an_alarm_stops_a_drill_and_a_missing_one_is_unreadable(
    answer: dict[str, Any], stopped: str | None, unreadable: bool, tmp_path: Path
) -> None:
    made = watch(tmp_path, "http://127.0.0.1:1", {"alarm": "pager", "region": "us-east-1"})
    made._clients["us-east-1"] = _CloudWatch(**answer)
    read = made.read()
    assert (stopped or "") in str(read.stopped)
    assert (read.stopped is None) is (stopped is None)
    assert bool(read.unreadable) is unreadable


@pytest.mark.parametrize(("account", "read_there"), [(ACCOUNT_ID, True), ("210987654321", False)])
def test_an_alarm_of_another_account_is_none_of_the_stacks(
    account: str, read_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the same name, is quiet, and would stop nothing."""
    answers = {
        "sts": SimpleNamespace(get_caller_identity=lambda: {"Account": account}),
        "cloudwatch": _CloudWatch(MetricAlarms=[{"StateValue": "OK"}]),
    }
    session = SimpleNamespace(client=lambda service, **_: answers[service])
    monkeypatch.setattr(boto3, "Session", lambda **_: session)
    read = watch(tmp_path, "http://127.0.0.1:1", {"alarm": "pager", "region": "us-east-1"}).read()
    assert bool(read.values) is read_there
    assert ("is of account 210987654321" in str(read.unreadable)) is not read_there


def test_the_policy_names_them(tmp_path: Path) -> None:
    policy = POLICY.model_copy(
        update={"stop_conditions": {"queue": StopCondition.model_validate(QUERY)}}
    )
    [made] = stop_conditions(policy, make_deployment(tmp_path))
    assert made.name == "queue"
