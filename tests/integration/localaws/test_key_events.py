"""Changes of keys reach a queue.

KMS call, CloudTrail record, EventBridge rule, SNS topic, SQS queue.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.identities import Identities, create_identities
from seawall.policy_file import load_policy
from tests.testing.aws_harness import PRIMARY, ROOT_KEY, STANDBY, client

pytestmark = pytest.mark.integration

POLICY = load_policy(Path(__file__).resolve().parents[3] / "policies" / "sandbox.yaml")
ACCOUNT = "123456789012"
KEY_CALLS = {"source": ["aws.kms"], "detail-type": ["AWS API Call via CloudTrail"]}


@pytest.fixture(scope="module")
def identities(aws: str) -> Identities:
    return create_identities(endpoint=aws, policy=POLICY)


@pytest.fixture
def trail(aws: str, identities: Identities) -> Iterator[str]:
    """A multi-Region trail that logs; gone afterwards."""
    name = f"seawall-{uuid.uuid4().hex[:8]}"
    client("s3", aws, ROOT_KEY).create_bucket(Bucket=name)
    cloudtrail = client("cloudtrail", aws, ROOT_KEY)
    cloudtrail.create_trail(Name=name, S3BucketName=name, IsMultiRegionTrail=True)
    cloudtrail.start_logging(Name=name)
    yield name
    cloudtrail.delete_trail(Name=name)


def service_policy(service: str, action: str, resource: str, source: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": resource,
        "Condition": {"ArnLike": {"aws:SourceArn": source}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A rule with its topic and the queue at the end of it, in one region."""

    aws: str
    region: str
    name: str
    queue: str
    topic: str

    def heard(self) -> list[dict[str, Any]]:
        """The details of all events that arrived and were not taken yet."""
        sqs = client("sqs", self.aws, ROOT_KEY, region=self.region)
        found = []
        while messages := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get(
            "Messages", []
        ):
            for message in messages:
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(json.loads(message["Body"])["Message"]))
        return found


@pytest.fixture
def chain(aws: str, identities: Identities) -> Iterator[Callable[..., Chain]]:
    """Make rules of key calls that end in queues."""
    made: list[tuple[Any, str]] = []

    def make(
        region: str = PRIMARY, *, pattern: dict[str, Any] = KEY_CALLS, admitted: bool = True
    ) -> Chain:
        name = f"seawall-{uuid.uuid4().hex[:8]}"
        sns, sqs, events = (
            client(each, aws, ROOT_KEY, region=region) for each in ("sns", "sqs", "events")
        )
        topic = sns.create_topic(Name=name)["TopicArn"]
        arn = f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"
        queue = sqs.create_queue(
            QueueName=name,
            Attributes={
                "Policy": service_policy("sns.amazonaws.com", "sqs:SendMessage", arn, topic)
            },
        )["QueueUrl"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        if admitted:
            opened = service_policy(
                "events.amazonaws.com",
                "sns:Publish",
                topic,
                f"arn:aws:events:{region}:{ACCOUNT}:rule/*",
            )
            sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=opened)
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "page", "Arn": topic}])
        made.append((events, name))
        return Chain(aws=aws, region=region, name=name, queue=queue, topic=topic)

    yield make
    for events, name in made:
        events.remove_targets(Rule=name, Ids=["page"])
        events.delete_rule(Name=name)


@pytest.fixture
def key(aws: str, identities: Identities) -> str:
    made = client("kms", aws, ROOT_KEY).create_key(
        KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY", MultiRegion=True
    )
    return str(made["KeyMetadata"]["Arn"])


def test_disabling_a_key_reaches_the_queue_that_watches(
    aws: str, identities: Identities, trail: str, chain: Any, key: str
) -> None:
    watching = chain(pattern={**KEY_CALLS, "detail": {"eventName": ["DisableKey"]}})
    kms = client("kms", aws, identities.deployer.environment())
    kms.enable_key(KeyId=key)
    kms.disable_key(KeyId=key)
    [event] = watching.heard()
    detail = event.pop("detail")
    assert (event["source"], event["region"], event["account"]) == ("aws.kms", PRIMARY, ACCOUNT)
    assert detail["eventName"] == "DisableKey"
    assert detail["eventSource"] == "kms.amazonaws.com"
    assert detail["awsRegion"] == PRIMARY
    assert detail["requestParameters"] == {"keyId": key}
    assert detail["responseElements"] == {"keyId": key}
    assert detail["resources"] == [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key}]
    assert detail["userIdentity"]["type"] == "IAMUser"
    assert detail["userIdentity"]["arn"] == identities.deployer.arn
    assert "errorCode" not in detail


def test_every_call_that_could_take_a_key_away_is_an_event(
    aws: str, identities: Identities, trail: str, chain: Any, key: str
) -> None:
    kms, alias = client("kms", aws, ROOT_KEY), f"alias/seawall/{uuid.uuid4().hex}"
    watching, key_id = chain(), key.rpartition("/")[2]
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    watching.heard()
    kms.create_alias(AliasName=alias, TargetKeyId=key_id)
    kms.update_alias(AliasName=alias, TargetKeyId=other)
    kms.delete_alias(AliasName=alias)
    kms.create_grant(KeyId=key_id, GranteePrincipal=identities.deployer.arn, Operations=["Sign"])
    kms.put_key_policy(
        KeyId=key_id,
        PolicyName="default",
        Policy=kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"],
    )
    kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    kms.cancel_key_deletion(KeyId=key_id)
    kms.describe_key(KeyId=key_id)
    heard = [event["detail"] for event in watching.heard()]
    assert [each["eventName"] for each in heard] == [
        "CreateAlias",
        "UpdateAlias",
        "DeleteAlias",
        "CreateGrant",
        "PutKeyPolicy",
        "ScheduleKeyDeletion",
        "CancelKeyDeletion",
    ]
    assert heard[0]["requestParameters"] == {"aliasName": alias, "targetKeyId": key_id}
    assert [each["ARN"] for each in heard[0]["resources"]] == [
        key,
        f"arn:aws:kms:{PRIMARY}:{ACCOUNT}:{alias}",
    ]
    assert "grantToken" not in heard[3]["responseElements"], "a token opens the key"
    assert heard[4]["requestParameters"]["policyName"] == "default"
    assert heard[5]["requestParameters"]["pendingWindowInDays"] == 7
    assert heard[5]["userIdentity"]["type"] == "Root"


def test_a_denied_call_is_an_event_with_its_error(
    aws: str, identities: Identities, trail: str, chain: Any, key: str
) -> None:
    watching = chain(pattern={**KEY_CALLS, "detail": {"errorCode": [{"prefix": "AccessDenied"}]}})
    stranger = client("kms", aws, identities.signers[PRIMARY]["customer"].environment())
    with pytest.raises(ClientError, match="AccessDenied"):
        stranger.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    [event] = watching.heard()
    assert event["detail"]["errorCode"] == "AccessDenied"
    assert identities.signers[PRIMARY]["customer"].arn in event["detail"]["errorMessage"]
    assert event["detail"]["userIdentity"]["arn"] == identities.signers[PRIMARY]["customer"].arn
    assert event["detail"]["requestParameters"] is None
    assert event["detail"]["resources"][0]["ARN"] == key


@pytest.mark.nightly
def test_a_call_with_wrong_credentials_makes_no_event(
    aws: str, trail: str, chain: Any, key: str
) -> None:
    watching = chain()
    nobody = {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWNUNKNOWN00", "AWS_SECRET_ACCESS_KEY": "x"}
    with pytest.raises(ClientError, match="UnrecognizedClient"):
        client("kms", aws, nobody).disable_key(KeyId=key)
    assert watching.heard() == []


def test_a_role_is_named_by_its_session_and_issuer(
    aws: str, trail: str, chain: Any, key: str
) -> None:
    iam, name = client("iam", aws, ROOT_KEY), f"seawall-{uuid.uuid4().hex[:8]}"
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/{name}"},
    }
    may = {"Effect": "Allow", "Action": ["kms:DisableKey", "sts:AssumeRole"], "Resource": "*"}
    iam.create_user(UserName=name)
    iam.put_user_policy(
        UserName=name,
        PolicyName="all",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [may]}),
    )
    user = iam.create_access_key(UserName=name)["AccessKey"]
    arn = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName=name,
        PolicyName="all",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [may]}),
    )
    who = {
        "AWS_ACCESS_KEY_ID": user["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": user["SecretAccessKey"],
    }
    session = client("sts", aws, who).assume_role(RoleArn=arn, RoleSessionName="alice")[
        "Credentials"
    ]
    watching = chain()
    client(
        "kms",
        aws,
        {
            "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
        },
    ).disable_key(KeyId=key.rpartition("/")[2])
    [event] = watching.heard()
    identity = event["detail"]["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/alice"
    assert identity["sessionContext"]["sessionIssuer"]["arn"] == arn


def test_without_a_trail_that_logs_there_is_no_event(
    aws: str, identities: Identities, chain: Any, key: str, trail: str
) -> None:
    watching, cloudtrail, kms = (
        chain(),
        client("cloudtrail", aws, ROOT_KEY),
        client("kms", aws, ROOT_KEY),
    )
    cloudtrail.stop_logging(Name=trail)
    kms.disable_key(KeyId=key)
    assert watching.heard() == []
    cloudtrail.start_logging(Name=trail)
    kms.enable_key(KeyId=key)
    assert [event["detail"]["eventName"] for event in watching.heard()] == ["EnableKey"]


@pytest.mark.parametrize(
    ("selectors", "seen"),
    [
        (
            {"EventSelectors": [{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}]},
            True,
        ),
        (
            {"EventSelectors": [{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True}]},
            False,
        ),
        ({"EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": False}]}, False),
        (
            {
                "EventSelectors": [
                    {"ReadWriteType": "All", "ExcludeManagementEventSources": ["kms.amazonaws.com"]}
                ]
            },
            False,
        ),
        (
            {
                "AdvancedEventSelectors": [
                    {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
                ]
            },
            True,
        ),
        (
            {
                "AdvancedEventSelectors": [
                    {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}
                ]
            },
            False,
        ),
        (
            {
                "AdvancedEventSelectors": [
                    {
                        "FieldSelectors": [
                            {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]}
                        ]
                    }
                ]
            },
            False,
        ),
    ],
)
def test_the_selectors_of_a_trail_decide(
    aws: str, trail: str, chain: Any, selectors: dict[str, Any], seen: bool
) -> None:
    client("cloudtrail", aws, ROOT_KEY).put_event_selectors(TrailName=trail, **selectors)
    watching = chain()
    client("kms", aws, ROOT_KEY).create_key()
    assert bool(watching.heard()) is seen


@pytest.mark.nightly
def test_the_last_kind_of_selector_counts(aws: str, trail: str) -> None:
    cloudtrail = client("cloudtrail", aws, ROOT_KEY)
    nothing = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}]
    cloudtrail.put_event_selectors(TrailName=trail, AdvancedEventSelectors=nothing)
    cloudtrail.put_event_selectors(TrailName=trail, EventSelectors=[{"ReadWriteType": "All"}])
    described = cloudtrail.get_event_selectors(TrailName=trail)
    assert not described["AdvancedEventSelectors"]
    assert described["EventSelectors"][0]["ReadWriteType"] == "All"


@pytest.mark.nightly
def test_a_trail_of_one_region_sees_that_region_only(
    aws: str, identities: Identities, chain: Any, key: str
) -> None:
    name = f"seawall-{uuid.uuid4().hex[:8]}"
    client("s3", aws, ROOT_KEY).create_bucket(Bucket=name)
    cloudtrail = client("cloudtrail", aws, ROOT_KEY)
    cloudtrail.create_trail(Name=name, S3BucketName=name)
    cloudtrail.start_logging(Name=name)
    here, there = chain(), chain(STANDBY)
    for region in (PRIMARY, STANDBY):
        client("kms", aws, ROOT_KEY, region=region).create_key()
    cloudtrail.delete_trail(Name=name)
    assert [event["detail"]["awsRegion"] for event in here.heard()] == [PRIMARY]
    assert there.heard() == []


@pytest.mark.nightly
def test_a_rule_that_is_disabled_passes_nothing_on(
    aws: str, trail: str, chain: Any, key: str
) -> None:
    watching = chain()
    client("events", aws, ROOT_KEY).disable_rule(Name=watching.name)
    client("kms", aws, ROOT_KEY).disable_key(KeyId=key)
    assert watching.heard() == []


def test_a_topic_that_does_not_let_eventbridge_in_gets_nothing_and_the_call_succeeds(
    aws: str, trail: str, chain: Any, key: str
) -> None:
    """The default policy of a topic admits its account, not events.amazonaws.com.

    The dead-letter queue says what went wrong.
    """
    watching = chain(admitted=False)
    sqs, name = client("sqs", aws, ROOT_KEY), f"{watching.name}-dead"
    arn = f"arn:aws:sqs:{PRIMARY}:{ACCOUNT}:{name}"
    policy = service_policy(
        "events.amazonaws.com", "sqs:SendMessage", arn, f"arn:aws:events:{PRIMARY}:{ACCOUNT}:rule/*"
    )
    dead = sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
    target = {"Id": "page", "Arn": watching.topic, "DeadLetterConfig": {"Arn": arn}}
    client("events", aws, ROOT_KEY).put_targets(Rule=watching.name, Targets=[target])
    client("kms", aws, ROOT_KEY).disable_key(KeyId=key)
    assert watching.heard() == []
    [letter] = sqs.receive_message(QueueUrl=dead, MessageAttributeNames=["All"])["Messages"]
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert json.loads(letter["Body"])["detail"]["eventName"] == "DisableKey"


def test_the_primary_region_moves_and_both_regions_say_so(
    aws: str, trail: str, chain: Any, key: str
) -> None:
    here, there, key_id = chain(), chain(STANDBY), key.rpartition("/")[2]
    primary, standby = client("kms", aws, ROOT_KEY), client("kms", aws, ROOT_KEY, region=STANDBY)
    with pytest.raises(ClientError, match="NotFoundException"):
        primary.update_primary_region(KeyId=key_id, PrimaryRegion=STANDBY)
    primary.replicate_key(KeyId=key_id, ReplicaRegion=STANDBY)
    public = primary.get_public_key(KeyId=key_id)["PublicKey"]
    for each in (here, there):
        each.heard()
    primary.update_primary_region(KeyId=key_id, PrimaryRegion=STANDBY)
    for region, kind in ((primary, "REPLICA"), (standby, "PRIMARY")):
        described = region.describe_key(KeyId=key_id)["KeyMetadata"]["MultiRegionConfiguration"]
        assert described["MultiRegionKeyType"] == kind
        assert described["PrimaryKey"]["Region"] == STANDBY
        assert [replica["Region"] for replica in described["ReplicaKeys"]] == [PRIMARY]
    assert standby.get_public_key(KeyId=key_id)["PublicKey"] == public
    for each, region in ((here, PRIMARY), (there, STANDBY)):
        [event] = [event["detail"] for event in each.heard()]
        assert (event["eventName"], event["awsRegion"]) == ("UpdatePrimaryRegion", region)
        assert event["requestParameters"] == {"keyId": key_id, "primaryRegion": STANDBY}
        assert event["responseElements"]["keyId"] == key.replace(PRIMARY, region)
    with pytest.raises(ClientError, match="UnsupportedOperationException"):
        primary.update_primary_region(KeyId=key_id, PrimaryRegion=STANDBY)


@pytest.mark.nightly
def test_a_key_of_one_region_has_no_primary_region(aws: str, identities: Identities) -> None:
    kms = client("kms", aws, ROOT_KEY)
    single = kms.create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")["KeyMetadata"][
        "KeyId"
    ]
    with pytest.raises(ClientError, match="UnsupportedOperationException"):
        kms.update_primary_region(KeyId=single, PrimaryRegion=STANDBY)
