"""What replaces a resource, as the upstream provider's schemas say (ForceNew).

The tests also cover what else an entry of the table promises.
"""

from __future__ import annotations

import json

import pytest

from localaws.provider.registry import RESOURCES
from localaws.provider.resources import backup, cloudwatch, ecs, scheduler
from localaws.provider.values import Properties

FORCE_NEW = {
    "aws:amp/alertManagerDefinition:AlertManagerDefinition": {"workspaceId"},
    "aws:amp/ruleGroupNamespace:RuleGroupNamespace": {"name", "workspaceId"},
    "aws:amp/workspace:Workspace": {"kmsKeyArn"},
    "aws:backup/plan:Plan": {"name"},
    "aws:backup/selection:Selection": {
        "name",
        "planId",
        "iamRoleArn",
        "resources",
        "notResources",
        "selectionTags",
        "conditions",
    },
    "aws:backup/vault:Vault": {"name", "kmsKeyArn"},
    "aws:backup/vaultLockConfiguration:VaultLockConfiguration": {
        "backupVaultName",
        "minRetentionDays",
        "maxRetentionDays",
        "changeableForDays",
    },
    "aws:backup/vaultPolicy:VaultPolicy": {"backupVaultName"},
    "aws:cloudtrail/trail:Trail": {"name"},
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": {"alarmName", "actionsEnabled"},
    "aws:cloudwatch/eventRule:EventRule": {"name", "eventBusName"},
    "aws:cloudwatch/eventTarget:EventTarget": {"rule", "targetId", "eventBusName"},
    "aws:cloudwatch/logGroup:LogGroup": {"name", "logGroupClass"},
    "aws:cloudwatch/metricAlarm:MetricAlarm": {"name"},
    "aws:ecs/taskDefinition:TaskDefinition": {
        "family",
        "containerDefinitions",
        "cpu",
        "memory",
        "networkMode",
        "requiresCompatibilities",
        "executionRoleArn",
        "taskRoleArn",
        "runtimePlatform",
        "ephemeralStorage",
    },
    "aws:scheduler/schedule:Schedule": {"name", "groupName"},
    "aws:scheduler/scheduleGroup:ScheduleGroup": {"name"},
    "aws:sns/topic:Topic": {"name"},
    "aws:sns/topicPolicy:TopicPolicy": {"arn"},
    "aws:sns/topicSubscription:TopicSubscription": {"topic", "protocol", "endpoint"},
}


@pytest.mark.parametrize("kind", FORCE_NEW)
def test_the_same_properties_replace_as_in_the_official_plugin(kind: str) -> None:
    assert {name for name, prop in RESOURCES[kind].inputs.items() if prop.replaces} == FORCE_NEW[
        kind
    ]


def test_what_is_only_stored_is_declared_so() -> None:
    declared = {kind for kind in FORCE_NEW if not RESOURCES[kind].acts}
    assert {kind.split("/")[0] for kind in declared} == {
        "aws:amp",
        "aws:backup",
        "aws:ecs",
        "aws:scheduler",
        "aws:cloudwatch",
    }
    assert "aws:cloudwatch/logGroup:LogGroup" in declared
    assert "aws:cloudwatch/metricAlarm:MetricAlarm" not in declared


CONTAINER: Properties = {
    "name": "a",
    "image": "b",
    "environment": [{"name": "X", "value": "1"}, {"name": "A", "value": "2"}],
}
AS_TOLD: Properties = {
    **CONTAINER,
    "cpu": 0,
    "essential": True,
    "mountPoints": [],
    "portMappings": [],
    "volumesFrom": [],
    "environment": CONTAINER["environment"][::-1],
}


def test_what_ecs_fills_into_a_container_is_no_difference() -> None:
    same = ecs.TASK_DEFINITION.inputs["containerDefinitions"].same
    assert same(json.dumps([CONTAINER]), json.dumps([AS_TOLD]))
    assert not same(json.dumps([CONTAINER]), json.dumps([{**AS_TOLD, "image": "c"}]))
    assert not same(json.dumps([CONTAINER]), json.dumps([{**AS_TOLD, "essential": False}]))
    assert not same(json.dumps([CONTAINER]), json.dumps([AS_TOLD, AS_TOLD]))


TARGET: Properties = {
    "arn": "a",
    "roleArn": "r",
    "ecsParameters": {"taskDefinitionArn": "t", "networkConfiguration": {"subnets": ["s"]}},
}


def test_what_scheduler_assumes_of_a_target_is_no_difference() -> None:
    same = scheduler.SCHEDULE.inputs["target"].same
    described = {
        **TARGET,
        "retryPolicy": {"maximumEventAgeInSeconds": 86400, "maximumRetryAttempts": 185},
        "ecsParameters": {
            "taskDefinitionArn": "t",
            "taskCount": 1,
            "enableExecuteCommand": False,
            "networkConfiguration": {"subnets": ["s"], "assignPublicIp": False},
        },
    }
    assert same(TARGET, described)
    assert not same(TARGET, {**described, "retryPolicy": {"maximumRetryAttempts": 3}})
    assert not same(
        TARGET, {**described, "ecsParameters": {**described["ecsParameters"], "taskCount": 2}}
    )
    public = {"subnets": ["s"], "assignPublicIp": True}
    assert not same(
        TARGET,
        {
            **described,
            "ecsParameters": {**described["ecsParameters"], "networkConfiguration": public},
        },
    )
    assert not same(TARGET, {"arn": "a", "roleArn": "r"})


def test_rules_of_a_plan_are_a_set_and_what_the_official_plugin_sends_is_no_difference() -> None:
    same = backup.PLAN.inputs["rules"].same
    one, two = (
        {"ruleName": "a", "targetVaultName": "v"},
        {"ruleName": "b", "targetVaultName": "v", "schedule": "cron(0 2 * * ? *)"},
    )
    described = {
        **one,
        "startWindow": 60,
        "completionWindow": 180,
        "scheduleExpressionTimezone": "Etc/UTC",
        "schedule": "cron(0 5 ? * * *)",
    }
    assert same([one, two], [two, described])
    assert not same([one, two], [two, {**described, "startWindow": 480}])
    assert not same([one, two], [two])


def test_queries_of_an_alarm_are_a_set_that_returns_no_data_unless_it_says_so() -> None:
    same = cloudwatch.METRIC_ALARM.inputs["metricQueries"].same
    one, two = (
        {"id": "e", "expression": "m/2", "returnData": True},
        {"id": "m", "metric": {"metricName": "m", "period": 60, "stat": "Sum"}},
    )
    assert same([one, two], [{**two, "returnData": False}, one])
    assert not same([one, two], [{**two, "returnData": True}, one])
