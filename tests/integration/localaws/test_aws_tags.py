"""A condition on the tags of a resource binds in every service whose tags are known.

Each test fails without ``localaws.emulator.authorization``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.testing.aws_harness import PRIMARY, ROOT_KEY, client
from tests.testing.iam_requests import ACCOUNT, allow
from tests.testing.nightly import repetitions
from tests.testing.policy_harness import DENIED, PolicyHarness, code

pytestmark = pytest.mark.integration


def tags(team: str) -> list[dict[str, str]]:
    return [{"Key": "team", "Value": team}]


def ecs_tags(team: str) -> list[dict[str, str]]:
    return [{"key": "team", "value": team}]


def schedule_group(c: Any, team: str) -> str:
    return str(
        c.create_schedule_group(Name=f"group-{team}", Tags=tags(team))["ScheduleGroupArn"]
    ).rpartition("/")[2]


def alarm(c: Any, team: str) -> str:
    c.put_metric_alarm(
        AlarmName=f"alarm-{team}",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="m",
        Namespace="n",
        Period=60,
        Statistic="Sum",
        Threshold=1,
        Tags=tags(team),
    )
    return f"alarm-{team}"


def vault(c: Any, team: str) -> str:
    c.create_backup_vault(BackupVaultName=f"vault-{team}", BackupVaultTags={"team": team})
    return f"vault-{team}"


def trail(c: Any, team: str) -> str:
    client("s3", c.meta.endpoint_url, ROOT_KEY).create_bucket(Bucket=f"trails-{team}")
    c.create_trail(Name=f"trail-{team}", S3BucketName=f"trails-{team}", TagsList=tags(team))
    return f"trail-{team}"


def parameter(c: Any, team: str) -> str:
    c.put_parameter(Name=f"/{team}/kill", Value="v", Type="String", Tags=tags(team))
    return f"/{team}/kill"


def service(c: Any, team: str) -> str:
    c.create_cluster(clusterName="main")
    c.register_task_definition(
        family="f", containerDefinitions=[{"name": "c", "image": "i", "memory": 64}]
    )
    made = c.create_service(
        cluster="main", serviceName=f"service-{team}", taskDefinition="f", tags=ecs_tags(team)
    )
    return str(made["service"]["serviceName"])


def log_group(c: Any, team: str) -> str:
    c.create_log_group(logGroupName=f"log-{team}", tags={"team": team})
    return f"log-{team}"


def rule(c: Any, team: str) -> str:
    c.put_rule(Name=f"rule-{team}", ScheduleExpression="rate(1 day)", Tags=tags(team))
    return f"rule-{team}"


def role(c: Any, team: str) -> str:
    c.create_role(
        RoleName=f"role-{team}",
        AssumeRolePolicyDocument='{"Version":"2012-10-17","Statement":[]}',
        Tags=tags(team),
    )
    return f"role-{team}"


def instance(c: Any, team: str) -> str:
    image = c.describe_images()["Images"][0]["ImageId"]
    tagged = [{"ResourceType": "instance", "Tags": tags(team)}]
    made = c.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=tagged)
    return str(made["Instances"][0]["InstanceId"])


MAKERS: list[Any] = [
    pytest.param(
        "sns",
        "sns:Publish",
        lambda c, t: c.create_topic(Name=f"topic-{t}", Tags=tags(t))["TopicArn"],
        lambda c, n: c.publish(TopicArn=n, Message="m"),
        id="topic",
    ),
    pytest.param(
        "sqs",
        "sqs:SendMessage",
        lambda c, t: c.create_queue(QueueName=f"queue-{t}", tags={"team": t})["QueueUrl"],
        lambda c, n: c.send_message(QueueUrl=n, MessageBody="m"),
        id="queue",
    ),
    pytest.param(
        "secretsmanager",
        "secretsmanager:GetSecretValue",
        lambda c, t: c.create_secret(Name=f"secret-{t}", SecretString="s", Tags=tags(t))["ARN"],
        lambda c, n: c.get_secret_value(SecretId=n),
        id="secret",
    ),
    pytest.param(
        "kms",
        "kms:DescribeKey",
        lambda c, t: c.create_key(Tags=[{"TagKey": "team", "TagValue": t}])["KeyMetadata"]["KeyId"],
        lambda c, n: c.describe_key(KeyId=n),
        id="key",
    ),
    pytest.param(
        "events", "events:DescribeRule", rule, lambda c, n: c.describe_rule(Name=n), id="event rule"
    ),
    pytest.param(
        "scheduler",
        "scheduler:GetScheduleGroup",
        schedule_group,
        lambda c, n: c.get_schedule_group(Name=n),
        id="schedule group",
    ),
    pytest.param(
        "ssm", "ssm:GetParameter", parameter, lambda c, n: c.get_parameter(Name=n), id="parameter"
    ),
    pytest.param(
        "cloudwatch",
        "cloudwatch:DeleteAlarms",
        alarm,
        lambda c, n: c.delete_alarms(AlarmNames=[n]),
        id="alarm",
    ),
    pytest.param(
        "logs",
        "logs:DeleteLogGroup",
        log_group,
        lambda c, n: c.delete_log_group(logGroupName=n),
        id="log group",
    ),
    pytest.param(
        "backup",
        "backup:DescribeBackupVault",
        vault,
        lambda c, n: c.describe_backup_vault(BackupVaultName=n),
        id="vault",
    ),
    pytest.param(
        "amp",
        "aps:DescribeWorkspace",
        lambda c, t: c.create_workspace(tags={"team": t})["workspaceId"],
        lambda c, n: c.describe_workspace(workspaceId=n),
        id="workspace",
    ),
    pytest.param(
        "cloudtrail",
        "cloudtrail:StartLogging",
        trail,
        lambda c, n: c.start_logging(Name=n),
        id="trail",
    ),
    pytest.param(
        "ecs",
        "ecs:UpdateService",
        service,
        lambda c, n: c.update_service(cluster="main", service=n, desiredCount=0),
        id="service",
    ),
    pytest.param(
        "ec2",
        "ec2:StopInstances",
        instance,
        lambda c, n: c.stop_instances(InstanceIds=[n]),
        id="instance",
    ),
    pytest.param("iam", "iam:GetRole", role, lambda c, n: c.get_role(RoleName=n), id="role"),
]


@pytest.mark.parametrize(("service", "action", "make", "call"), repetitions(MAKERS, keep=4))
def test_only_what_has_the_tag_may_be_touched(
    policy_harness: PolicyHarness,
    service: str,
    action: str,
    make: Callable[[Any, str], str],
    call: Callable[[Any, str], Any],
) -> None:
    root = policy_harness.root(service)
    red, blue = make(root, "red"), make(root, "blue")
    _, who = policy_harness.user(
        allow(action, Condition={"StringEquals": {"aws:ResourceTag/team": "red"}})
    )
    theirs = policy_harness.client(service, who)
    assert code(lambda: call(theirs, blue)) in DENIED
    assert call(theirs, red)


def test_tags_that_are_not_known_are_refused_by_name(policy_harness: PolicyHarness) -> None:
    policy_harness.root("s3").create_bucket(Bucket="tagged")
    _, who = policy_harness.user(
        allow("*", Condition={"StringEquals": {"aws:ResourceTag/team": "red"}})
    )
    with pytest.raises(ClientError, match="aws:resourcetag/team on arn:aws:s3:::tagged"):
        policy_harness.client("s3", who).list_objects_v2(Bucket="tagged")


def test_what_is_made_must_carry_the_tags_that_a_policy_asks_for(
    policy_harness: PolicyHarness,
) -> None:
    demanded = {
        "StringEquals": {"aws:RequestTag/team": "red"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "owner"]},
    }
    _, who = policy_harness.user(allow(["sns:CreateTopic", "sns:TagResource"], Condition=demanded))
    topics = policy_harness.client("sns", who)
    assert code(lambda: topics.create_topic(Name="bare")) in DENIED
    assert code(lambda: topics.create_topic(Name="blue", Tags=tags("blue"))) in DENIED
    assert (
        code(
            lambda: topics.create_topic(
                Name="more", Tags=[*tags("red"), {"Key": "x", "Value": "y"}]
            )
        )
        in DENIED
    )
    assert topics.create_topic(Name="red", Tags=[*tags("red"), {"Key": "owner", "Value": "me"}])


def test_events_go_to_the_buses_that_are_named(policy_harness: PolicyHarness) -> None:
    root = policy_harness.root("events")
    root.create_event_bus(Name="rails")
    _, who = policy_harness.user(
        allow("events:PutEvents", f"arn:aws:events:{PRIMARY}:{ACCOUNT}:event-bus/rails")
    )
    entry = {"Source": "s", "DetailType": "d", "Detail": "{}"}
    assert policy_harness.client("events", who).put_events(
        Entries=[{**entry, "EventBusName": "rails"}]
    )
    assert code(lambda: policy_harness.client("events", who).put_events(Entries=[entry])) in DENIED
    _, who = policy_harness.user(
        allow("events:PutEvents", f"arn:aws:events:{PRIMARY}:{ACCOUNT}:event-bus/default")
    )
    assert policy_harness.client("events", who).put_events(Entries=[entry])


def test_a_managed_policy_of_aws_can_be_attached_and_counts(policy_harness: PolicyHarness) -> None:
    arn, who = policy_harness.user()
    kms = policy_harness.client("kms", who)
    assert code(kms.list_keys) in DENIED
    policy_harness.iam.attach_user_policy(
        UserName=arn.rpartition("/")[2], PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    assert kms.list_keys()["ResponseMetadata"]["HTTPStatusCode"] == 200
