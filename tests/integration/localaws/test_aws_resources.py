"""A statement scoped to an ARN binds in every service that a stack uses.

Each test fails without ``localaws.emulator.authorization``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.testing.aws_harness import PRIMARY, STANDBY
from tests.testing.iam_requests import ACCOUNT, allow, deny, document
from tests.testing.nightly import repetitions
from tests.testing.policy_harness import DENIED, PolicyHarness, code

pytestmark = pytest.mark.integration


ROLE = f"arn:aws:iam::{ACCOUNT}:role/a-role"
TARGET = {"Arn": f"arn:aws:sqs:{PRIMARY}:{ACCOUNT}:q", "RoleArn": ROLE}
Call = Callable[[Any, str], Any]


def arn(service: str, rest: str, *, region: str = PRIMARY) -> str:
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{rest}"


def create_schedule(scheduler: Any, name: str) -> Any:
    return scheduler.create_schedule(
        Name=name,
        ScheduleExpression="rate(1 day)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=TARGET,
    )


def put_alarm(cloudwatch: Any, name: str) -> Any:
    return cloudwatch.put_metric_alarm(
        AlarmName=name,
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="m",
        Namespace="n",
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )


SCOPED: list[Any] = [
    pytest.param(
        "sns",
        "sns:CreateTopic",
        arn("sns", "seawall-*"),
        lambda c, n: c.create_topic(Name=n),
        id="topics",
    ),
    pytest.param(
        "sqs",
        "sqs:CreateQueue",
        arn("sqs", "seawall-*"),
        lambda c, n: c.create_queue(QueueName=n),
        id="queues",
    ),
    pytest.param(
        "sqs",
        "sqs:SendMessage",
        arn("sqs", "seawall-*"),
        lambda c, n: c.send_message(
            QueueUrl=f"{c.meta.endpoint_url}/{ACCOUNT}/{n}", MessageBody="m"
        ),
        id="messages",
    ),
    pytest.param(
        "secretsmanager",
        "secretsmanager:CreateSecret",
        arn("secretsmanager", "secret:seawall-*"),
        lambda c, n: c.create_secret(Name=n, SecretString="s"),
        id="secrets",
    ),
    pytest.param(
        "events",
        "events:PutRule",
        arn("events", "rule/seawall-*"),
        lambda c, n: c.put_rule(Name=n, ScheduleExpression="rate(1 day)"),
        id="event rules",
    ),
    pytest.param(
        "events",
        "events:CreateEventBus",
        arn("events", "event-bus/seawall-*"),
        lambda c, n: c.create_event_bus(Name=n),
        id="buses",
    ),
    pytest.param(
        "scheduler",
        ["scheduler:CreateSchedule", "iam:PassRole"],
        [arn("scheduler", "schedule/default/seawall-*"), ROLE],
        create_schedule,
        id="schedules",
    ),
    pytest.param(
        "scheduler",
        "scheduler:CreateScheduleGroup",
        arn("scheduler", "schedule-group/seawall-*"),
        lambda c, n: c.create_schedule_group(Name=n),
        id="schedule groups",
    ),
    pytest.param(
        "ssm",
        "ssm:PutParameter",
        arn("ssm", "parameter/seawall-*"),
        lambda c, n: c.put_parameter(Name=f"/{n}/kill", Value="v", Type="String"),
        id="parameters",
    ),
    pytest.param(
        "cloudwatch",
        "cloudwatch:PutMetricAlarm",
        arn("cloudwatch", "alarm:seawall-*"),
        put_alarm,
        id="alarms",
    ),
    pytest.param(
        "logs",
        "logs:CreateLogGroup",
        arn("logs", "log-group:seawall-*"),
        lambda c, n: c.create_log_group(logGroupName=n),
        id="log groups",
    ),
    pytest.param(
        "backup",
        "backup:CreateBackupVault",
        arn("backup", "backup-vault:seawall-*"),
        lambda c, n: c.create_backup_vault(BackupVaultName=n),
        id="vaults",
    ),
    pytest.param(
        "cloudtrail",
        "cloudtrail:CreateTrail",
        arn("cloudtrail", "trail/seawall-*"),
        lambda c, n: c.create_trail(Name=n, S3BucketName="trails"),
        id="trails",
    ),
    pytest.param(
        "s3",
        "s3:CreateBucket",
        "arn:aws:s3:::seawall-*",
        lambda c, n: c.create_bucket(Bucket=n),
        id="buckets",
    ),
    pytest.param(
        "iam",
        "iam:CreateRole",
        f"arn:aws:iam::{ACCOUNT}:role/seawall-*",
        lambda c, n: c.create_role(
            RoleName=n, AssumeRolePolicyDocument=document(allow("sts:AssumeRole"))
        ),
        id="roles",
    ),
    pytest.param(
        "iam",
        "iam:CreatePolicy",
        f"arn:aws:iam::{ACCOUNT}:policy/seawall-*",
        lambda c, n: c.create_policy(PolicyName=n, PolicyDocument=document(allow("*"))),
        id="managed policies",
    ),
    pytest.param(
        "fis",
        "fis:GetExperimentTemplate",
        arn("fis", "experiment-template/seawall-*"),
        lambda c, n: c.get_experiment_template(id=n),
        id="experiment templates",
    ),
    pytest.param(
        "amp",
        "aps:DescribeWorkspace",
        arn("aps", "workspace/seawall-*"),
        lambda c, n: c.describe_workspace(workspaceId=n),
        id="workspaces",
    ),
    pytest.param(
        "amp",
        "aps:DescribeRuleGroupsNamespace",
        arn("aps", "rulegroupsnamespace/w/seawall-*"),
        lambda c, n: c.describe_rule_groups_namespace(workspaceId="w", name=n),
        id="rule groups",
    ),
    pytest.param(
        "route53",
        "route53:GetHealthCheck",
        "arn:aws:route53:::healthcheck/seawall-*",
        lambda c, n: c.get_health_check(HealthCheckId=n),
        id="health checks",
    ),
    pytest.param(
        "route53",
        "route53:GetHostedZone",
        "arn:aws:route53:::hostedzone/seawall-*",
        lambda c, n: c.get_hosted_zone(Id=n),
        id="zones",
    ),
    pytest.param(
        "ecs",
        "ecs:CreateCluster",
        arn("ecs", "cluster/seawall-*"),
        lambda c, n: c.create_cluster(clusterName=n),
        id="clusters",
    ),
    pytest.param(
        "ec2",
        "ec2:StopInstances",
        arn("ec2", "instance/i-seawall-*"),
        lambda c, n: c.stop_instances(InstanceIds=[f"i-{n}"]),
        id="instances",
    ),
]


@pytest.mark.parametrize(("service", "action", "resource", "call"), repetitions(SCOPED, keep=8))
def test_a_statement_on_an_arn_allows_that_name_and_no_other(
    policy_harness: PolicyHarness, service: str, action: Any, resource: Any, call: Call
) -> None:
    _, who = policy_harness.user(allow(action, resource))
    theirs = policy_harness.client(service, who)
    assert code(lambda: call(theirs, "other-x")) in DENIED
    try:
        call(theirs, "seawall-x")
    except ClientError as error:
        # moto may not have the thing
        assert error.response["Error"]["Code"] not in DENIED, error  # noqa: PT017
    elsewhere = policy_harness.client(service, who, region=STANDBY)
    if f":{PRIMARY}:" in str(resource):
        assert code(lambda: call(elsewhere, "seawall-x")) in DENIED


@pytest.mark.parametrize(
    ("service", "action", "call"),
    [
        ("ec2", "ec2:DescribeSubnets", lambda c: c.describe_subnets(SubnetIds=[])),
        ("cloudwatch", "cloudwatch:DescribeAlarms", lambda c: c.describe_alarms(AlarmNames=["a"])),
        (
            "cloudwatch",
            "cloudwatch:PutMetricData",
            lambda c: c.put_metric_data(Namespace="n", MetricData=[]),
        ),
        (
            "ecs",
            "ecs:DescribeTaskDefinition",
            lambda c: c.describe_task_definition(taskDefinition="t"),
        ),
        (
            "route53",
            "route53:CreateHostedZone",
            lambda c: c.create_hosted_zone(Name="a.example", CallerReference="r"),
        ),
        ("s3", "s3:ListAllMyBuckets", lambda c: c.list_buckets()),
        ("kms", "kms:CreateKey", lambda c: c.create_key()),
        ("logs", "logs:DescribeLogGroups", lambda c: c.describe_log_groups()),
        ("iam", "iam:ListRoles", lambda c: c.list_roles()),
        ("sns", "sns:ListTopics", lambda c: c.list_topics()),
        ("amp", "aps:CreateWorkspace", lambda c: c.create_workspace()),
        ("events", "events:ListRules", lambda c: c.list_rules()),
    ],
)
def test_an_action_without_a_resource_type_needs_a_star(
    policy_harness: PolicyHarness, service: str, action: str, call: Callable[[Any], Any]
) -> None:
    prefix = action.partition(":")[0]
    named = {"s3": "arn:aws:s3:::b", "iam": "arn:aws:iam::*:role/*"}.get(
        prefix, f"arn:aws:{prefix}:*:*:nothing/*"
    )
    _, who = policy_harness.user(allow(action, named))
    assert code(lambda: call(policy_harness.client(service, who))) in DENIED
    _, who = policy_harness.user(allow(action))
    try:
        call(policy_harness.client(service, who))
    except ClientError as error:
        # moto may not have the thing
        assert error.response["Error"]["Code"] not in DENIED, error  # noqa: PT017


def test_what_the_sandbox_cannot_place_is_allowed_by_a_star_only_and_denied_by_any_deny(
    policy_harness: PolicyHarness,
) -> None:
    def ask(*statements: dict[str, Any]) -> str:
        _, who = policy_harness.user(*statements)
        return code(lambda: policy_harness.client("lambda", who).delete_function(FunctionName="f"))

    assert ask(allow("lambda:*", "arn:aws:lambda:*:*:function:f")) in DENIED
    assert ask(allow("lambda:*"), deny("lambda:*", "arn:aws:lambda:*:*:function:g")) in DENIED
    assert ask(allow("lambda:*")) == "ResourceNotFoundException"


PASSING = [
    pytest.param("scheduler", "scheduler:*", "scheduler", create_schedule, id="schedules"),
    pytest.param(
        "events",
        "events:*",
        "events",
        lambda c, n: (
            c.put_rule(Name=n, ScheduleExpression="rate(1 day)"),
            c.put_targets(Rule=n, Targets=[{"Id": "1", **TARGET}]),
        ),
        id="targets of rules",
    ),
    pytest.param(
        "ecs",
        "ecs:*",
        "ecs-tasks",
        lambda c, n: c.register_task_definition(
            family=n, taskRoleArn=ROLE, containerDefinitions=[{"name": "c", "image": "i"}]
        ),
        id="task definitions",
    ),
    pytest.param(
        "cloudtrail",
        "cloudtrail:*",
        "cloudtrail",
        lambda c, n: c.create_trail(
            Name=n,
            S3BucketName="trails",
            CloudWatchLogsLogGroupArn=arn("logs", "log-group:g:*"),
            CloudWatchLogsRoleArn=ROLE,
        ),
        id="trails",
    ),
    pytest.param(
        "backup",
        "backup:*",
        "backup",
        lambda c, n: c.create_backup_selection(
            BackupPlanId=n,
            BackupSelection={"SelectionName": "s", "IamRoleArn": ROLE, "Resources": ["*"]},
        ),
        id="backup selections",
    ),
    pytest.param(
        "s3",
        "s3:*",
        "s3",
        lambda c, n: c.put_bucket_replication(
            Bucket=n,
            ReplicationConfiguration={
                "Role": ROLE,
                "Rules": [
                    {
                        "Status": "Enabled",
                        "Destination": {"Bucket": "arn:aws:s3:::there"},
                        "Prefix": "",
                    }
                ],
            },
        ),
        id="bucket replication",
    ),
    pytest.param(
        "fis",
        "fis:*",
        "fis",
        lambda c, n: c.create_experiment_template(
            clientToken=n,
            description=n,
            stopConditions=[{"source": "none"}],
            actions={},
            roleArn=ROLE,
            targets={},
        ),
        id="experiments",
    ),
]


@pytest.mark.parametrize(("service", "actions", "passed_to", "call"), repetitions(PASSING, keep=2))
def test_a_role_is_handed_to_a_service_only_by_a_caller_that_may_pass_it(
    policy_harness: PolicyHarness, service: str, actions: str, passed_to: str, call: Call
) -> None:
    def ask(*statements: dict[str, Any]) -> str | None:
        _, who = policy_harness.user(allow(actions), *statements)
        try:
            call(policy_harness.client(service, who), "seawall-pass")
        except ClientError as error:
            return f"{error.response['Error']['Code']}: {error}"
        return None

    to_it = {"StringEquals": {"iam:PassedToService": f"{passed_to}.amazonaws.com"}}
    elsewhere = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    for refused in (
        ask(),
        ask(allow("iam:PassRole", f"{ROLE}-other")),
        ask(allow("iam:PassRole", ROLE, Condition=elsewhere)),
    ):
        assert refused is not None
        assert refused.partition(":")[0] in DENIED
        assert f"iam:PassRole on resource: {ROLE}" in refused
    allowed = ask(allow("iam:PassRole", ROLE, Condition=to_it))
    assert allowed is None or allowed.partition(":")[0] not in DENIED, allowed


def test_tags_on_what_is_created_need_permission_of_their_own(
    policy_harness: PolicyHarness,
) -> None:
    _, who = policy_harness.user(allow("sqs:CreateQueue"))
    queues = policy_harness.client("sqs", who)
    assert queues.create_queue(QueueName="plain")
    assert code(lambda: queues.create_queue(QueueName="tagged", tags={"owner": "x"})) in DENIED
    _, who = policy_harness.user(allow(["sqs:CreateQueue", "sqs:TagQueue"]))
    assert policy_harness.client("sqs", who).create_queue(QueueName="tagged", tags={"owner": "x"})


def test_a_replica_key_needs_create_key_in_its_region(policy_harness: PolicyHarness) -> None:
    key = policy_harness.root("kms").create_key(MultiRegion=True)["KeyMetadata"]["Arn"]
    here = allow("kms:*", Condition={"StringEquals": {"aws:RequestedRegion": PRIMARY}})
    _, who = policy_harness.user(here)
    assert (
        code(
            lambda: policy_harness.client("kms", who).replicate_key(
                KeyId=key, ReplicaRegion=STANDBY
            )
        )
        in DENIED
    )
    there = allow("kms:CreateKey", Condition={"StringEquals": {"aws:RequestedRegion": STANDBY}})
    _, who = policy_harness.user(here, there)
    assert policy_harness.client("kms", who).replicate_key(KeyId=key, ReplicaRegion=STANDBY)[
        "ReplicaKeyMetadata"
    ]


S3_NAMES: list[Any] = [
    (
        "s3:GetBucketObjectLockConfiguration",
        lambda c: c.get_object_lock_configuration(Bucket="names"),
    ),
    (
        "s3:PutBucketObjectLockConfiguration",
        lambda c: c.put_object_lock_configuration(Bucket="names", ObjectLockConfiguration={}),
    ),
    ("s3:GetEncryptionConfiguration", lambda c: c.get_bucket_encryption(Bucket="names")),
    ("s3:PutEncryptionConfiguration", lambda c: c.delete_bucket_encryption(Bucket="names")),
    ("s3:GetReplicationConfiguration", lambda c: c.get_bucket_replication(Bucket="names")),
    ("s3:PutBucketPublicAccessBlock", lambda c: c.delete_public_access_block(Bucket="names")),
    ("s3:GetBucketOwnershipControls", lambda c: c.get_bucket_ownership_controls(Bucket="names")),
    ("s3:ListBucket", lambda c: c.head_bucket(Bucket="names")),
    ("s3:ListBucketVersions", lambda c: c.list_object_versions(Bucket="names")),
    ("s3:PutLifecycleConfiguration", lambda c: c.delete_bucket_lifecycle(Bucket="names")),
    ("s3:GetBucketPolicy", lambda c: c.get_bucket_policy(Bucket="names")),
    ("s3:GetObjectRetention", lambda c: c.get_object_retention(Bucket="names", Key="o")),
    (
        "s3:PutObjectRetention",
        lambda c: c.put_object_retention(Bucket="names", Key="o", Retention={"Mode": "GOVERNANCE"}),
    ),
    (
        "s3:GetObjectVersion",
        lambda c: c.get_object(Bucket="names", Key="o", VersionId="v")["Body"].read(),
    ),
    ("s3:GetObjectTagging", lambda c: c.get_object_tagging(Bucket="names", Key="o")),
    ("s3:DeleteObjectVersion", lambda c: c.delete_object(Bucket="names", Key="o", VersionId="v")),
]


@pytest.mark.parametrize(
    ("action", "call"), repetitions(S3_NAMES, keep=4), ids=[action for action, _ in S3_NAMES]
)
def test_s3_actions_have_the_names_that_aws_gives_them(
    policy_harness: PolicyHarness, action: str, call: Callable[[Any], Any]
) -> None:
    if "names" not in {
        bucket["Name"] for bucket in policy_harness.root("s3").list_buckets()["Buckets"]
    }:
        policy_harness.root("s3").create_bucket(Bucket="names", ObjectLockEnabledForBucket=True)
    _, who = policy_harness.user({"Effect": "Allow", "NotAction": action, "Resource": "*"})
    failed = code(lambda: call(policy_harness.client("s3", who)))
    assert failed in {"AccessDenied", "403"}
    _, who = policy_harness.user(allow(action, ["arn:aws:s3:::names", "arn:aws:s3:::names/*"]))
    try:
        call(policy_harness.client("s3", who))
    except ClientError as error:
        # nothing is configured
        assert error.response["Error"]["Code"] not in {"AccessDenied", "403"}, error  # noqa: PT017


def test_an_object_with_a_lock_tags_or_a_source_needs_more_than_put(
    policy_harness: PolicyHarness,
) -> None:
    policy_harness.root("s3").create_bucket(Bucket="more", ObjectLockEnabledForBucket=True)
    policy_harness.root("s3").put_object(Bucket="more", Key="source", Body=b"x")
    objects = "arn:aws:s3:::more/*"
    _, who = policy_harness.user(allow("s3:PutObject", objects))
    theirs = policy_harness.client("s3", who)
    assert theirs.put_object(Bucket="more", Key="o", Body=b"x")
    held = {"Bucket": "more", "Key": "o", "Body": b"x", "ObjectLockLegalHoldStatus": "ON"}
    tagged = {"Bucket": "more", "Key": "o", "Body": b"x", "Tagging": "a=b"}
    copied = {"Bucket": "more", "Key": "o", "CopySource": "more/source"}
    assert code(lambda: theirs.put_object(**held)) == "AccessDenied"
    assert code(lambda: theirs.put_object(**tagged)) == "AccessDenied"
    assert code(lambda: theirs.copy_object(**copied)) == "AccessDenied"
    _, who = policy_harness.user(
        allow(
            ["s3:PutObject", "s3:PutObjectLegalHold", "s3:PutObjectTagging", "s3:GetObject"],
            objects,
        )
    )
    theirs = policy_harness.client("s3", who)
    assert theirs.put_object(**held)
    assert theirs.put_object(**tagged)
    assert theirs.copy_object(**copied)


def test_many_objects_are_deleted_if_each_may_be(policy_harness: PolicyHarness) -> None:
    policy_harness.root("s3").create_bucket(Bucket="many")
    for key in ("a/1", "b/1"):
        policy_harness.root("s3").put_object(Bucket="many", Key=key, Body=b"x")
    _, who = policy_harness.user(allow("s3:DeleteObject", "arn:aws:s3:::many/a/*"))
    theirs = policy_harness.client("s3", who)
    refused = theirs.delete_objects(
        Bucket="many", Delete={"Objects": [{"Key": "a/1"}, {"Key": "b/1"}]}
    )
    assert {error["Code"] for error in refused["Errors"]} == {"AccessDenied"}
    assert not refused.get("Deleted")
    assert [
        one["Key"]
        for one in theirs.delete_objects(Bucket="many", Delete={"Objects": [{"Key": "a/1"}]})[
            "Deleted"
        ]
    ] == ["a/1"]


def test_an_error_is_json_where_the_service_speaks_json(policy_harness: PolicyHarness) -> None:
    _, who = policy_harness.user()
    with pytest.raises(
        ClientError,
        match="because no identity-based policy allows the scheduler:ListSchedules action",
    ):
        policy_harness.client("scheduler", who).list_schedules()
    with pytest.raises(
        ClientError,
        match="because no identity-based policy allows the route53:ListHostedZones action",
    ):
        policy_harness.client("route53", who).list_hosted_zones()
