"""Game days on a calendar, as the Pulumi program declares them."""

from __future__ import annotations

import json
import re

import pytest

from infra.gamedays import pulling, region_of
from infra.schedules import problem_of
from seawall.errors import UsageError
from seawall.policy import Policy
from tests.testing.declared import ACCOUNT, POLICY, REGIONS, inputs_of, statements


@pytest.fixture(scope="module")
def policy() -> Policy:
    return POLICY


def test_game_days_start_at_the_policys_hour_in_a_role_that_reaches_tagged_targets_only(
    policy: Policy,
) -> None:
    day = policy.gameday()
    schedule = inputs_of("aws:scheduler/schedule:Schedule")[day.name]
    assert (schedule["scheduleExpression"], schedule["state"], schedule["groupName"]) == (
        day.schedule,
        "ENABLED",
        "seawall-harbour-gamedays",
    )
    told = json.loads(schedule["target"]["input"])["containerOverrides"][0]["command"]
    assert told[-2:] == ["--gameday", day.name]
    said = statements(inputs_of("aws:iam/rolePolicy:RolePolicy")["gameday"]["policy"])
    assert said["BreakTargets"]["Condition"] == {
        "StringEquals": {"aws:ResourceTag/seawall:gameday": "target"}
    }
    boundary = statements(inputs_of("aws:iam/policy:Policy")["boundary-gameday"]["policy"])
    assert {"kms:*", "iam:*", "sts:AssumeRole"} <= set(boundary["NeverKeysOrPermissions"]["Action"])
    passes = statements(inputs_of("aws:iam/rolePolicy:RolePolicy")["gameday-scheduler"]["policy"])[
        "HandOverRoles"
    ]
    assert passes["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }
    assert set(passes["Resource"]) == {
        f"arn:aws:iam::{ACCOUNT}:role/seawall-harbour-gameday",
        f"arn:aws:iam::{ACCOUNT}:role/seawall-harbour-gameday-execution",
    }


@pytest.mark.parametrize(("protected", "value"), [(True, "stopped"), (False, "armed")])
def test_the_kill_switch_is_in_both_regions_and_a_protected_stack_begins_stopped(
    protected: bool, value: str
) -> None:
    switches = {
        name: each
        for name, each in inputs_of("aws:ssm/parameter:Parameter", protected=protected).items()
        if name.startswith("kill-switch-")
    }
    assert {each["region"] for each in switches.values()} == set(REGIONS)
    assert {(each["name"], each["value"]) for each in switches.values()} == {
        ("/seawall/harbour/gameday/kill-switch", value)
    }


@pytest.mark.parametrize(
    "cluster",
    ["gamedays", "arn:aws:ecs:us-west-2:1:service/x", "arn:aws:eks:us-west-2:1:cluster/x"],
)
def test_a_cluster_that_is_not_named_by_its_arn_is_refused(cluster: str) -> None:
    with pytest.raises(UsageError, match="write its ARN"):
        region_of(cluster)
    assert region_of("arn:aws:ecs:eu-west-1:123456789012:cluster/x") == "eu-west-1"


@pytest.mark.parametrize(
    "cron",
    [
        "cron(0 10 ? * TUE#1 *)",
        "cron(0/15 8-18 * * ? *)",
        "cron(0 9 L JAN,JUL ? 2027-2030)",
        "cron(5,35 * ? * MON-FRI *)",
        "cron(0 0 15W * ? *)",
        "cron(0 0 ? * 6L *)",
    ],
)
def test_a_schedule_that_eventbridge_takes_is_accepted(cron: str) -> None:
    assert problem_of(cron) is None


@pytest.mark.parametrize(
    ("cron", "because"),
    [
        ("0 10 ? * TUE *", r"write cron\("),
        ("cron(0 10 ? * TUE)", "six fields"),
        ("cron(0 10 * * TUE *)", "exactly one of day of month and day of week"),
        ("cron(0 10 ? * ? *)", "exactly one of day of month and day of week"),
        ("cron(60 10 ? * TUE *)", "minutes cannot be '60'"),
        ("cron(0 24 ? * TUE *)", "hours cannot be '24'"),
        ("cron(0 10 ? * 0 *)", "day of week cannot be '0'"),
        ("cron(0 10 ? * TUE#6 *)", "day of week cannot be 'TUE#6'"),
        ("cron(0 10 ? * TUE#1,FRI#3 *)", "one # and nothing beside it"),
        ("cron(0 10 ? FOO TUE *)", "month cannot be 'FOO'"),
        ("cron(0 10 ? * FRI-MON *)", "day of week cannot be 'FRI-MON'"),
        ("cron(? 10 ? * TUE *)", r"minutes cannot be \?"),
        ("cron(0/0 10 ? * TUE *)", "minutes cannot be '0/0'"),
        ("cron(0 10 ? * TUE 1969)", "year cannot be '1969'"),
    ],
)
def test_a_schedule_that_eventbridge_would_refuse_is_refused_with_what_to_write(
    cron: str, because: str
) -> None:
    found = problem_of(cron)
    assert found is not None
    assert re.search(because, found)


@pytest.mark.parametrize(
    "image", ["seawall:latest", "123456789012.dkr.ecr.us-west-2.amazonaws.com/seawall:latest"]
)
def test_an_image_without_digest_or_outside_ecr_is_refused(image: str) -> None:
    """What runs with the power to break things is named by its digest."""
    with pytest.raises(UsageError, match="name it with its digest"):
        pulling(image)
    whole = "123456789012.dkr.ecr.us-west-2.amazonaws.com/team/seawall@sha256:" + "0" * 64
    assert (
        pulling(whole)[1]["Resource"]
        == "arn:aws:ecr:us-west-2:123456789012:repository/team/seawall"
    )
