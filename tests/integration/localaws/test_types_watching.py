"""The types that watch, schedule and back up, beyond the contract of all types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from botocore.exceptions import ClientError

from localaws.provider.values import Properties
from tests.testing.aws_harness import PRIMARY
from tests.testing.provider_harness import ProviderHarness, running_harness
from tests.testing.stack_types.amp import ALERTMANAGER, RULES
from tests.testing.stack_types.sns import publishing

pytestmark = pytest.mark.integration

TOPIC, POLICY = "aws:sns/topic:Topic", "aws:sns/topicPolicy:TopicPolicy"
ALARM, RULE = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/eventRule:EventRule"
TRAIL, VAULT, PLAN = "aws:cloudtrail/trail:Trail", "aws:backup/vault:Vault", "aws:backup/plan:Plan"
WORKSPACE, DEFINITION = (
    "aws:amp/workspace:Workspace",
    "aws:amp/alertManagerDefinition:AlertManagerDefinition",
)


@pytest.fixture(scope="module")
def harness() -> Iterator[ProviderHarness]:
    with running_harness() as running:
        yield running


def changed(
    harness: ProviderHarness,
    kind: str,
    made: tuple[str, Properties, Properties],
    inputs: Properties,
) -> Properties:
    """Update to ``inputs``; return the inputs that would lead to what AWS then has."""
    identifier, state, old = made
    checked = harness.engine.checked(kind, inputs)
    state = harness.engine.update(kind, identifier, state, old, checked)
    return harness.engine.read(kind, identifier, state, checked)[2]


def test_a_topic_that_loses_its_policy_resource_has_the_default_one_again(
    harness: ProviderHarness,
) -> None:
    arn = harness.root("sns").create_topic(Name="seawall-policy")["TopicArn"]
    before = json.loads(
        harness.root("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]
    )
    assert harness.engine.read(POLICY, arn, {}, {})[0] == "", (
        "nobody declared the policy that it was born with"
    )
    identifier, state, _ = harness.made(
        POLICY, {"arn": arn, "policy": publishing("events.amazonaws.com")}
    )
    harness.engine.delete(POLICY, identifier, state)
    after = json.loads(
        harness.root("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]
    )
    assert after["Statement"][0]["Condition"] == before["Statement"][0]["Condition"]
    assert sorted(after["Statement"][0]["Action"]) == sorted(before["Statement"][0]["Action"])


def test_what_a_subscription_no_longer_says_is_taken_away(harness: ProviderHarness) -> None:
    arn = harness.root("sns").create_topic(Name="seawall-filtered")["TopicArn"]
    plain = {
        "topic": arn,
        "protocol": "sqs",
        "endpoint": f"arn:aws:sqs:{PRIMARY}:123456789012:pages",
    }
    kind = "aws:sns/topicSubscription:TopicSubscription"
    made = harness.made(
        kind,
        {
            **plain,
            "filterPolicy": '{"a": ["b"]}',
            "redrivePolicy": '{"deadLetterTargetArn": "arn:aws:sqs:x:1:d"}',
        },
    )
    described = changed(harness, kind, made, plain)
    assert not {"filterPolicy", "redrivePolicy"} & set(described)
    attributes = harness.root("sns").get_subscription_attributes(SubscriptionArn=made[0])[
        "Attributes"
    ]
    assert attributes.get("FilterPolicy", "{}") == attributes.get("RedrivePolicy", "{}") == "{}"


def test_an_alarm_on_metric_math_is_kept_as_it_was_declared(harness: ProviderHarness) -> None:
    metric = {
        "metricName": "errors",
        "namespace": "Seawall",
        "period": 60,
        "stat": "Sum",
        "unit": "Count",
        "dimensions": {"rail": "aster"},
    }
    inputs = {
        "name": "seawall-math",
        "comparisonOperator": "GreaterThanThreshold",
        "evaluationPeriods": 2,
        "threshold": 0.5,
        "metricQueries": [
            {"id": "share", "expression": "errors / 100", "label": "share", "returnData": True},
            {"id": "errors", "metric": metric},
        ],
    }
    identifier, state, checked = harness.made(ALARM, inputs)
    assert harness.engine.read(ALARM, identifier, state, checked)[2] == checked
    harness.root("cloudwatch").put_metric_alarm(
        AlarmName="seawall-math",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=2,
        Threshold=0.5,
        Metrics=[{"Id": "share", "Expression": "1", "ReturnData": True}],
        TreatMissingData="missing",
    )
    drifted = harness.engine.read(ALARM, identifier, state, checked)[2]
    assert list(harness.engine.diff(ALARM, drifted, checked).diffs) == ["metricQueries"]
    harness.engine.delete(ALARM, identifier, state)


def test_a_rule_disabled_or_a_trail_stopped_elsewhere_is_seen_though_the_program_says_nothing(
    harness: ProviderHarness,
) -> None:
    identifier, state, checked = harness.made(
        RULE, {"name": "seawall-keys", "eventPattern": '{"source": ["aws.kms"]}'}
    )
    harness.root("events").disable_rule(Name="seawall-keys")
    drifted = harness.engine.read(RULE, identifier, state, checked)[2]
    assert list(harness.engine.diff(RULE, drifted, checked).diffs) == ["state"]
    harness.root("s3").create_bucket(Bucket="seawall-trail")
    identifier, state, checked = harness.made(
        TRAIL, {"name": "seawall-trail", "s3BucketName": "seawall-trail"}
    )
    harness.root("cloudtrail").stop_logging(Name="seawall-trail")
    drifted = harness.engine.read(TRAIL, identifier, state, checked)[2]
    assert list(harness.engine.diff(TRAIL, drifted, checked).diffs) == ["enableLogging"]


def test_what_a_trail_no_longer_says_is_taken_away(harness: ProviderHarness) -> None:
    harness.root("s3").create_bucket(Bucket="seawall-prefixed")
    plain = {"name": "seawall-prefixed", "s3BucketName": "seawall-prefixed"}
    selectors = [{"readWriteType": "WriteOnly"}]
    made = harness.made(
        TRAIL,
        {
            **plain,
            "s3KeyPrefix": "p",
            "kmsKeyId": "arn:aws:kms:x:1:key/k",
            "eventSelectors": selectors,
        },
    )
    assert not {"s3KeyPrefix", "kmsKeyId"} & set(changed(harness, TRAIL, made, plain))
    described = harness.root("cloudtrail").get_event_selectors(TrailName="seawall-prefixed")[
        "EventSelectors"
    ]
    assert [each["ReadWriteType"] for each in described] == ["All"]


def test_a_target_that_eventbridge_refuses_is_an_error(harness: ProviderHarness) -> None:
    harness.root("events").put_rule(Name="seawall-refused", EventPattern='{"source": ["aws.kms"]}')
    queue = {
        "rule": "seawall-refused",
        "targetId": "q",
        "arn": f"arn:aws:sqs:{PRIMARY}:123456789012:q.fifo",
    }
    with pytest.raises(grpc.RpcError, match="SqsParameters must be specified"):
        harness.made("aws:cloudwatch/eventTarget:EventTarget", queue)


def test_a_plan_is_not_deleted_under_its_selections_nor_found_afterwards(
    harness: ProviderHarness,
) -> None:
    harness.made(VAULT, {"name": "seawall-vault"})
    plan, state, _ = harness.made(
        PLAN,
        {"name": "seawall-plan", "rules": [{"ruleName": "a", "targetVaultName": "seawall-vault"}]},
    )
    kind = "aws:backup/selection:Selection"
    selection, selected, _ = harness.made(
        kind,
        {
            "name": "all",
            "planId": plan,
            "iamRoleArn": "arn:aws:iam::123456789012:role/seawall-r",
            "resources": ["*"],
        },
    )
    with pytest.raises(grpc.RpcError, match="selections must be deleted"):
        harness.engine.delete(PLAN, plan, state)
    listed = harness.root("backup").list_backup_selections(BackupPlanId=plan)[
        "BackupSelectionsList"
    ]
    assert [each["SelectionName"] for each in listed] == ["all"]
    harness.engine.delete(kind, selection, selected)
    harness.engine.delete(PLAN, plan, state)
    assert harness.engine.read(PLAN, plan, state, {})[0] == ""


def test_a_rule_of_a_plan_waits_as_long_as_the_official_plugin_says(
    harness: ProviderHarness,
) -> None:
    harness.root("backup").create_backup_vault(BackupVaultName="seawall-windows")
    plan, _, _ = harness.made(
        PLAN,
        {
            "name": "seawall-windows",
            "rules": [{"ruleName": "a", "targetVaultName": "seawall-windows"}],
        },
    )
    [rule] = harness.root("backup").get_backup_plan(BackupPlanId=plan)["BackupPlan"]["Rules"]
    assert (rule["StartWindowMinutes"], rule["CompletionWindowMinutes"]) == (60, 180)


def test_a_vault_lock_with_a_grace_time_is_one_of_compliance(harness: ProviderHarness) -> None:
    harness.root("backup").create_backup_vault(BackupVaultName="seawall-locked")
    lock = {"backupVaultName": "seawall-locked", "minRetentionDays": 7, "changeableForDays": 3}
    kind = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
    _, state, _ = harness.made(kind, lock)
    assert state["changeableForDays"] == 3
    vault = harness.root("backup").describe_backup_vault(BackupVaultName="seawall-locked")
    assert vault["Locked"]
    assert "LockDate" in vault


@pytest.mark.parametrize(
    ("definition", "refusal"),
    [
        ("route: {receiver: a}", "alertmanager_config must be a text"),
        ("alertmanager_config: |\n  receivers: []\n", "has a route"),
        (
            (
                "alertmanager_config: |\n  route: {receiver: a}\n"
                "  receivers: [{name: a, webhook_configs: []}]\n"
            ),
            "webhook_configs",
        ),
        ("alertmanager_config: [", "Invalid YAML"),
    ],
)
def test_an_alertmanager_definition_that_the_service_would_refuse_is_refused(
    harness: ProviderHarness, definition: str, refusal: str
) -> None:
    workspace, _, _ = harness.made(WORKSPACE, {"alias": "seawall-refused"})
    with pytest.raises(grpc.RpcError, match=refusal):
        harness.made(DEFINITION, {"workspaceId": workspace, "definition": definition})


def test_a_workspace_has_one_definition_and_takes_it_along(harness: ProviderHarness) -> None:
    workspace, state, _ = harness.made(WORKSPACE, {"alias": "seawall-one"})
    wanted = {"workspaceId": workspace, "definition": ALERTMANAGER.format(topic="one")}
    harness.made(DEFINITION, wanted)
    with pytest.raises(grpc.RpcError, match="ConflictException"):
        harness.made(DEFINITION, wanted)
    harness.engine.delete(WORKSPACE, workspace, state)
    assert harness.engine.read(DEFINITION, workspace, wanted, wanted)[0] == ""


def test_rules_without_groups_are_refused(harness: ProviderHarness) -> None:
    workspace, _, _ = harness.made(WORKSPACE, {"alias": "seawall-rules"})
    kind = "aws:amp/ruleGroupNamespace:RuleGroupNamespace"
    with pytest.raises(grpc.RpcError, match="no list of groups"):
        harness.made(kind, {"workspaceId": workspace, "name": "a", "data": "rules: []"})
    assert harness.made(
        kind, {"workspaceId": workspace, "name": "a", "data": RULES.format(number=0)}
    )[0]


def test_a_workspace_loses_its_log_when_the_program_no_longer_says_it(
    harness: ProviderHarness,
) -> None:
    group = {"logGroupArn": f"arn:aws:logs:{PRIMARY}:123456789012:log-group:one:*"}
    made = harness.made(WORKSPACE, {"alias": "seawall-log", "loggingConfiguration": group})
    assert "loggingConfiguration" not in changed(harness, WORKSPACE, made, {"alias": "seawall-log"})


def test_a_group_of_schedules_is_made_once_and_takes_them_along(harness: ProviderHarness) -> None:
    root = harness.root("scheduler")
    _, state, _ = harness.made(
        "aws:scheduler/scheduleGroup:ScheduleGroup", {"name": "seawall-once"}
    )
    schedule = {
        "name": "seawall-a",
        "groupName": "seawall-once",
        "scheduleExpression": "rate(1 days)",
        "flexibleTimeWindow": {"mode": "OFF"},
        "target": {
            "arn": f"arn:aws:sqs:{PRIMARY}:123456789012:q",
            "roleArn": "arn:aws:iam::123456789012:role/seawall-r",
        },
    }
    kind = "aws:scheduler/schedule:Schedule"
    identifier, _, _ = harness.made(kind, schedule)
    assert identifier == "seawall-once/seawall-a", "as pulumi import takes it"
    assert refused(root.create_schedule_group, Name="seawall-once") == "ConflictException"
    with pytest.raises(grpc.RpcError, match="ResourceNotFoundException"):
        harness.made(kind, {**schedule, "groupName": "seawall-missing"})
    harness.engine.delete("aws:scheduler/scheduleGroup:ScheduleGroup", "seawall-once", state)
    assert harness.engine.read(kind, identifier, {}, {})[0] == ""


def test_a_log_group_that_loses_its_key_and_retention_keeps_events_for_ever(
    harness: ProviderHarness,
) -> None:
    kind = "aws:cloudwatch/logGroup:LogGroup"
    key = f"arn:aws:kms:{PRIMARY}:123456789012:key/one"
    made = harness.made(kind, {"name": "/seawall/a", "retentionInDays": 7, "kmsKeyId": key})
    described = changed(harness, kind, made, {"name": "/seawall/a"})
    assert described["retentionInDays"] == 0
    assert "kmsKeyId" not in described
    kept = harness.made(kind, {"name": "/seawall/kept", "skipDestroy": True})
    harness.engine.delete(kind, kept[0], kept[1])
    assert harness.engine.read(kind, "/seawall/kept", {}, {})[0] == "/seawall/kept"


def test_a_new_revision_of_a_task_leaves_the_old_one_inactive(harness: ProviderHarness) -> None:
    kind = "aws:ecs/taskDefinition:TaskDefinition"
    inputs = {
        "family": "seawall-task",
        "containerDefinitions": json.dumps([{"name": "a", "image": "b", "memory": 64}]),
    }
    first, state, checked = harness.made(kind, inputs)
    other = harness.engine.checked(
        kind,
        {**inputs, "containerDefinitions": json.dumps([{"name": "a", "image": "c", "memory": 64}])},
    )
    assert list(harness.engine.diff(kind, checked, other).replaces) == ["containerDefinitions"]
    second, _ = harness.engine.create(kind, other)
    harness.engine.delete(kind, first, state)
    assert second == first.rpartition(":")[0] + ":2"
    assert harness.engine.read(kind, first, state, checked)[0] == ""
    assert harness.engine.read(kind, second, {}, {})[0] == second


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])
