"""The types that watch, schedule and back up, beyond the contract of all types."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from botocore.exceptions import ClientError

from localaws.provider.values import Properties
from tests.testing.aws_harness import PRIMARY
from tests.testing.provider_harness import ProviderHarness
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


def changed(
    provider_harness: ProviderHarness,
    kind: str,
    made: tuple[str, Properties, Properties],
    inputs: Properties,
) -> Properties:
    """Update to ``inputs``; return the inputs that would lead to what AWS then has."""
    identifier, state, old = made
    checked = provider_harness.engine.checked(kind, inputs)
    state = provider_harness.engine.update(kind, identifier, state, old, checked)
    return provider_harness.engine.read(kind, identifier, state, checked)[2]


def test_a_topic_that_loses_its_policy_resource_has_the_default_one_again(
    provider_harness: ProviderHarness,
) -> None:
    arn = provider_harness.root("sns").create_topic(Name="seawall-policy")["TopicArn"]
    before = json.loads(
        provider_harness.root("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]
    )
    assert provider_harness.engine.read(POLICY, arn, {}, {})[0] == "", (
        "the default policy was never declared"
    )
    identifier, state, _ = provider_harness.made(
        POLICY, {"arn": arn, "policy": publishing("events.amazonaws.com")}
    )
    provider_harness.engine.delete(POLICY, identifier, state)
    after = json.loads(
        provider_harness.root("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]
    )
    assert after["Statement"][0]["Condition"] == before["Statement"][0]["Condition"]
    assert sorted(after["Statement"][0]["Action"]) == sorted(before["Statement"][0]["Action"])


def test_what_a_subscription_no_longer_says_is_taken_away(
    provider_harness: ProviderHarness,
) -> None:
    arn = provider_harness.root("sns").create_topic(Name="seawall-filtered")["TopicArn"]
    plain = {
        "topic": arn,
        "protocol": "sqs",
        "endpoint": f"arn:aws:sqs:{PRIMARY}:123456789012:pages",
    }
    kind = "aws:sns/topicSubscription:TopicSubscription"
    made = provider_harness.made(
        kind,
        {
            **plain,
            "filterPolicy": '{"a": ["b"]}',
            "redrivePolicy": '{"deadLetterTargetArn": "arn:aws:sqs:x:1:d"}',
        },
    )
    described = changed(provider_harness, kind, made, plain)
    assert not {"filterPolicy", "redrivePolicy"} & set(described)
    attributes = provider_harness.root("sns").get_subscription_attributes(SubscriptionArn=made[0])[
        "Attributes"
    ]
    assert attributes.get("FilterPolicy", "{}") == attributes.get("RedrivePolicy", "{}") == "{}"


def test_an_alarm_on_metric_math_is_kept_as_it_was_declared(
    provider_harness: ProviderHarness,
) -> None:
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
    identifier, state, checked = provider_harness.made(ALARM, inputs)
    assert provider_harness.engine.read(ALARM, identifier, state, checked)[2] == checked
    provider_harness.root("cloudwatch").put_metric_alarm(
        AlarmName="seawall-math",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=2,
        Threshold=0.5,
        Metrics=[{"Id": "share", "Expression": "1", "ReturnData": True}],
        TreatMissingData="missing",
    )
    drifted = provider_harness.engine.read(ALARM, identifier, state, checked)[2]
    assert list(provider_harness.engine.diff(ALARM, drifted, checked).diffs) == ["metricQueries"]
    provider_harness.engine.delete(ALARM, identifier, state)


def test_a_rule_disabled_or_a_trail_stopped_elsewhere_is_seen_though_the_program_says_nothing(
    provider_harness: ProviderHarness,
) -> None:
    identifier, state, checked = provider_harness.made(
        RULE, {"name": "seawall-keys", "eventPattern": '{"source": ["aws.kms"]}'}
    )
    provider_harness.root("events").disable_rule(Name="seawall-keys")
    drifted = provider_harness.engine.read(RULE, identifier, state, checked)[2]
    assert list(provider_harness.engine.diff(RULE, drifted, checked).diffs) == ["state"]
    provider_harness.root("s3").create_bucket(Bucket="seawall-trail")
    identifier, state, checked = provider_harness.made(
        TRAIL, {"name": "seawall-trail", "s3BucketName": "seawall-trail"}
    )
    provider_harness.root("cloudtrail").stop_logging(Name="seawall-trail")
    drifted = provider_harness.engine.read(TRAIL, identifier, state, checked)[2]
    assert list(provider_harness.engine.diff(TRAIL, drifted, checked).diffs) == ["enableLogging"]


def test_what_a_trail_no_longer_says_is_taken_away(provider_harness: ProviderHarness) -> None:
    provider_harness.root("s3").create_bucket(Bucket="seawall-prefixed")
    plain = {"name": "seawall-prefixed", "s3BucketName": "seawall-prefixed"}
    selectors = [{"readWriteType": "WriteOnly"}]
    made = provider_harness.made(
        TRAIL,
        {
            **plain,
            "s3KeyPrefix": "p",
            "kmsKeyId": "arn:aws:kms:x:1:key/k",
            "eventSelectors": selectors,
        },
    )
    assert not {"s3KeyPrefix", "kmsKeyId"} & set(changed(provider_harness, TRAIL, made, plain))
    described = provider_harness.root("cloudtrail").get_event_selectors(
        TrailName="seawall-prefixed"
    )["EventSelectors"]
    assert [each["ReadWriteType"] for each in described] == ["All"]


def test_a_target_that_eventbridge_refuses_is_an_error(provider_harness: ProviderHarness) -> None:
    provider_harness.root("events").put_rule(
        Name="seawall-refused", EventPattern='{"source": ["aws.kms"]}'
    )
    queue = {
        "rule": "seawall-refused",
        "targetId": "q",
        "arn": f"arn:aws:sqs:{PRIMARY}:123456789012:q.fifo",
    }
    with pytest.raises(grpc.RpcError, match="SqsParameters must be specified"):
        provider_harness.made("aws:cloudwatch/eventTarget:EventTarget", queue)


def test_a_plan_is_not_deleted_under_its_selections_nor_found_afterwards(
    provider_harness: ProviderHarness,
) -> None:
    provider_harness.made(VAULT, {"name": "seawall-vault"})
    plan, state, _ = provider_harness.made(
        PLAN,
        {"name": "seawall-plan", "rules": [{"ruleName": "a", "targetVaultName": "seawall-vault"}]},
    )
    kind = "aws:backup/selection:Selection"
    selection, selected, _ = provider_harness.made(
        kind,
        {
            "name": "all",
            "planId": plan,
            "iamRoleArn": "arn:aws:iam::123456789012:role/seawall-r",
            "resources": ["*"],
        },
    )
    with pytest.raises(grpc.RpcError, match="selections must be deleted"):
        provider_harness.engine.delete(PLAN, plan, state)
    listed = provider_harness.root("backup").list_backup_selections(BackupPlanId=plan)[
        "BackupSelectionsList"
    ]
    assert [each["SelectionName"] for each in listed] == ["all"]
    provider_harness.engine.delete(kind, selection, selected)
    provider_harness.engine.delete(PLAN, plan, state)
    assert provider_harness.engine.read(PLAN, plan, state, {})[0] == ""


def test_a_rule_of_a_plan_waits_as_long_as_the_official_plugin_says(
    provider_harness: ProviderHarness,
) -> None:
    provider_harness.root("backup").create_backup_vault(BackupVaultName="seawall-windows")
    plan, _, _ = provider_harness.made(
        PLAN,
        {
            "name": "seawall-windows",
            "rules": [{"ruleName": "a", "targetVaultName": "seawall-windows"}],
        },
    )
    [rule] = provider_harness.root("backup").get_backup_plan(BackupPlanId=plan)["BackupPlan"][
        "Rules"
    ]
    assert (rule["StartWindowMinutes"], rule["CompletionWindowMinutes"]) == (60, 180)


def test_a_vault_lock_with_a_grace_time_is_one_of_compliance(
    provider_harness: ProviderHarness,
) -> None:
    provider_harness.root("backup").create_backup_vault(BackupVaultName="seawall-locked")
    lock = {"backupVaultName": "seawall-locked", "minRetentionDays": 7, "changeableForDays": 3}
    kind = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
    _, state, _ = provider_harness.made(kind, lock)
    assert state["changeableForDays"] == 3
    vault = provider_harness.root("backup").describe_backup_vault(BackupVaultName="seawall-locked")
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
    provider_harness: ProviderHarness, definition: str, refusal: str
) -> None:
    workspace, _, _ = provider_harness.made(WORKSPACE, {"alias": "seawall-refused"})
    with pytest.raises(grpc.RpcError, match=refusal):
        provider_harness.made(DEFINITION, {"workspaceId": workspace, "definition": definition})


def test_a_workspace_has_one_definition_and_takes_it_along(
    provider_harness: ProviderHarness,
) -> None:
    workspace, state, _ = provider_harness.made(WORKSPACE, {"alias": "seawall-one"})
    wanted = {"workspaceId": workspace, "definition": ALERTMANAGER.format(topic="one")}
    provider_harness.made(DEFINITION, wanted)
    with pytest.raises(grpc.RpcError, match="ConflictException"):
        provider_harness.made(DEFINITION, wanted)
    provider_harness.engine.delete(WORKSPACE, workspace, state)
    assert provider_harness.engine.read(DEFINITION, workspace, wanted, wanted)[0] == ""


def test_rules_without_groups_are_refused(provider_harness: ProviderHarness) -> None:
    workspace, _, _ = provider_harness.made(WORKSPACE, {"alias": "seawall-rules"})
    kind = "aws:amp/ruleGroupNamespace:RuleGroupNamespace"
    with pytest.raises(grpc.RpcError, match="no list of groups"):
        provider_harness.made(kind, {"workspaceId": workspace, "name": "a", "data": "rules: []"})
    assert provider_harness.made(
        kind, {"workspaceId": workspace, "name": "a", "data": RULES.format(number=0)}
    )[0]


def test_a_workspace_loses_its_log_when_the_program_no_longer_says_it(
    provider_harness: ProviderHarness,
) -> None:
    group = {"logGroupArn": f"arn:aws:logs:{PRIMARY}:123456789012:log-group:one:*"}
    made = provider_harness.made(WORKSPACE, {"alias": "seawall-log", "loggingConfiguration": group})
    assert "loggingConfiguration" not in changed(
        provider_harness, WORKSPACE, made, {"alias": "seawall-log"}
    )


def test_a_group_of_schedules_is_made_once_and_takes_them_along(
    provider_harness: ProviderHarness,
) -> None:
    root = provider_harness.root("scheduler")
    _, state, _ = provider_harness.made(
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
    identifier, _, _ = provider_harness.made(kind, schedule)
    assert identifier == "seawall-once/seawall-a", "as pulumi import takes it"
    assert refused(root.create_schedule_group, Name="seawall-once") == "ConflictException"
    with pytest.raises(grpc.RpcError, match="ResourceNotFoundException"):
        provider_harness.made(kind, {**schedule, "groupName": "seawall-missing"})
    provider_harness.engine.delete(
        "aws:scheduler/scheduleGroup:ScheduleGroup", "seawall-once", state
    )
    assert provider_harness.engine.read(kind, identifier, {}, {})[0] == ""


def test_a_log_group_that_loses_its_key_and_retention_keeps_events_for_ever(
    provider_harness: ProviderHarness,
) -> None:
    kind = "aws:cloudwatch/logGroup:LogGroup"
    key = f"arn:aws:kms:{PRIMARY}:123456789012:key/one"
    made = provider_harness.made(
        kind, {"name": "/seawall/a", "retentionInDays": 7, "kmsKeyId": key}
    )
    described = changed(provider_harness, kind, made, {"name": "/seawall/a"})
    assert described["retentionInDays"] == 0
    assert "kmsKeyId" not in described
    kept = provider_harness.made(kind, {"name": "/seawall/kept", "skipDestroy": True})
    provider_harness.engine.delete(kind, kept[0], kept[1])
    assert provider_harness.engine.read(kind, "/seawall/kept", {}, {})[0] == "/seawall/kept"


def test_a_new_revision_of_a_task_leaves_the_old_one_inactive(
    provider_harness: ProviderHarness,
) -> None:
    kind = "aws:ecs/taskDefinition:TaskDefinition"
    inputs = {
        "family": "seawall-task",
        "containerDefinitions": json.dumps([{"name": "a", "image": "b", "memory": 64}]),
    }
    first, state, checked = provider_harness.made(kind, inputs)
    other = provider_harness.engine.checked(
        kind,
        {**inputs, "containerDefinitions": json.dumps([{"name": "a", "image": "c", "memory": 64}])},
    )
    assert list(provider_harness.engine.diff(kind, checked, other).replaces) == [
        "containerDefinitions"
    ]
    second, _ = provider_harness.engine.create(kind, other)
    provider_harness.engine.delete(kind, first, state)
    assert second == first.rpartition(":")[0] + ":2"
    assert provider_harness.engine.read(kind, first, state, checked)[0] == ""
    assert provider_harness.engine.read(kind, second, {}, {})[0] == second


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])
