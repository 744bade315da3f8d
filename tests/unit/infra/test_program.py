"""What the Pulumi program declares for each stack, on the engine's own mocks."""

from __future__ import annotations

from itertools import product

import pytest

from infra.paging import period_s
from tests.testing.declared import POLICY, PRIMARY, STANDBY, declared, of


@pytest.mark.parametrize("stack", ["staging", "production"])
def test_every_stack_file_declares_a_whole_stack(stack: str) -> None:
    """Of the same kinds and names as the sandbox's, which differs by what it may throw away."""
    assert {(each.type, each.name) for each in declared(stack)} == {
        (each.type, each.name) for each in declared()
    }


@pytest.mark.parametrize(
    ("stack", "window", "force"), [("production", 30, False), ("sandbox", 7, True)]
)
def test_a_protected_stack_keeps_its_keys_and_evidence(
    stack: str, window: int, *, force: bool
) -> None:
    keys = [*of("aws:kms/key:Key", stack), *of("aws:kms/replicaKey:ReplicaKey", stack)]
    assert {key.inputs["deletionWindowInDays"] for key in keys} == {window}
    buckets = of("aws:s3/bucket:Bucket", stack)
    assert {bucket.inputs["forceDestroy"] for bucket in buckets} == {force}
    assert {resource.protect for resource in (*keys, *buckets)} == {stack == "production"}


@pytest.mark.parametrize(
    ("stack", "irrevocable", "mode"),
    [
        ("sandbox", None, "GOVERNANCE"),
        ("production", False, "GOVERNANCE"),
        ("production", True, "COMPLIANCE"),
    ],
)
def test_locks_that_nobody_can_undo_need_a_setting_of_their_own(
    stack: str, irrevocable: object, mode: str
) -> None:
    locks = of(
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        stack,
        irrevocableCompliance=irrevocable,
    )
    assert {lock.inputs["rule"]["defaultRetention"]["mode"] for lock in locks} == {mode}


def test_everything_that_can_be_tagged_has_owner_and_policy() -> None:
    tagged = [resource for resource in declared() if "tags" in resource.inputs]
    assert {resource.type for resource in tagged} >= {
        "aws:kms/key:Key",
        "aws:kms/replicaKey:ReplicaKey",
        "aws:iam/role:Role",
    }
    assert all(
        resource.inputs["tags"]["policy"] == POLICY.infrastructure_digest for resource in tagged
    )
    assert all(resource.inputs["tags"]["owner"] for resource in tagged)


def test_every_trigger_has_an_alarm_in_both_regions() -> None:
    alarms = {alarm.name: alarm.inputs for alarm in of("aws:cloudwatch/metricAlarm:MetricAlarm")}
    for trigger, region in product(POLICY.triggers, (PRIMARY, STANDBY)):
        alarm = alarms[f"{trigger.name}-{region}"]
        assert alarm["threshold"] == float(trigger.enter_at)
        assert alarm["alarmActions"] == [f"arn:{region}:{trigger.severity}-{region}"]
        assert alarm["treatMissingData"] == "breaching"


@pytest.mark.parametrize(("published", "act"), [(None, False), ("false", False), ("true", True)])
def test_alarms_page_only_once_their_metric_is_published(
    published: str | None, *, act: bool
) -> None:
    """One that treats missing data as breaching would otherwise page from the first minute on."""
    witnesses = {
        f"{trigger.name}-{region}"
        for trigger, region in product(POLICY.triggers, (PRIMARY, STANDBY))
    }
    alarms = of("aws:cloudwatch/metricAlarm:MetricAlarm", indicatorsPublished=published)
    assert {alarm.inputs["actionsEnabled"] for alarm in alarms if alarm.name in witnesses} == {act}


@pytest.mark.parametrize(
    ("wanted_ms", "period"), [(1, 10), (10_000, 10), (10_001, 30), (31_000, 60), (61_000, 120)]
)
def test_the_period_of_an_alarm_is_one_that_cloudwatch_takes(wanted_ms: int, period: int) -> None:
    assert period_s(wanted_ms) == period
