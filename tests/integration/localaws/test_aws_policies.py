"""Boundaries, session policies, conditions and resource policies bind on the running emulator.

Each test fails without ``localaws.emulator.authorization``.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.testing.aws_harness import PRIMARY, STANDBY
from tests.testing.iam_requests import ACCOUNT, allow, deny, document
from tests.testing.policy_harness import DENIED, PolicyHarness, code

pytestmark = pytest.mark.integration

DIGEST = hashlib.sha256(b"payout").digest()
ACCOUNT_ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


@pytest.fixture
def key(policy_harness: PolicyHarness) -> str:
    made = policy_harness.root("kms").create_key(
        KeySpec="ECC_SECG_P256K1",
        KeyUsage="SIGN_VERIFY",
        MultiRegion=True,
        Tags=[{"TagKey": "bucket", "TagValue": "customer"}],
    )
    return str(made["KeyMetadata"]["Arn"])


def sign(kms: Any, key_id: str, **more: Any) -> bytes:
    given = {
        "Message": DIGEST,
        "MessageType": "DIGEST",
        "SigningAlgorithm": "ECDSA_SHA_256",
        **more,
    }
    return bytes(kms.sign(KeyId=key_id, **given)["Signature"])


def put_policy(policy_harness: PolicyHarness, key: str, *statements: dict[str, Any]) -> None:
    policy_harness.root("kms").put_key_policy(
        KeyId=key, PolicyName="default", Policy=document(*statements)
    )


def test_the_boundary_of_a_role_limits_it_and_grants_nothing(
    policy_harness: PolicyHarness, key: str
) -> None:
    arn, me = policy_harness.user()
    limit = policy_harness.policy(allow("kms:DescribeKey"))
    role = policy_harness.role(
        arn, allow(["kms:Sign", "kms:DescribeKey"], key), PermissionsBoundary=limit
    )
    kms = policy_harness.client("kms", policy_harness.assume(me, role))
    assert kms.describe_key(KeyId=key)
    with pytest.raises(
        ClientError, match="because no permissions boundary allows the kms:Sign action"
    ):
        sign(kms, key)
    policy_harness.iam.delete_role_permissions_boundary(RoleName=role.rpartition("/")[2])
    assert sign(kms, key)
    assert code(kms.list_keys) in DENIED


def test_the_boundary_of_a_user_limits_it_too(policy_harness: PolicyHarness, key: str) -> None:
    limit = policy_harness.policy(allow("kms:DescribeKey"))
    arn, me = policy_harness.user(allow("kms:*"), PermissionsBoundary=limit)
    name = arn.rpartition("/")[2]
    assert (
        policy_harness.iam.get_user(UserName=name)["User"]["PermissionsBoundary"][
            "PermissionsBoundaryArn"
        ]
        == limit
    )
    kms = policy_harness.client("kms", me)
    assert kms.describe_key(KeyId=key)
    assert code(lambda: sign(kms, key)) in DENIED
    policy_harness.iam.delete_user_permissions_boundary(UserName=name)
    assert sign(kms, key)
    policy_harness.iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=limit)
    assert code(lambda: sign(kms, key)) in DENIED


def test_a_boundary_that_does_not_exist_is_refused(policy_harness: PolicyHarness) -> None:
    missing = f"arn:aws:iam::{ACCOUNT}:policy/missing"
    assert (
        code(
            lambda: policy_harness.iam.create_user(
                UserName="unbounded", PermissionsBoundary=missing
            )
        )
        == "NoSuchEntity"
    )
    assert code(lambda: policy_harness.role("*", PermissionsBoundary=missing)) == "NoSuchEntity"


def test_a_role_can_be_made_only_within_a_boundary(policy_harness: PolicyHarness) -> None:
    limit, other = policy_harness.policy(allow("kms:Sign")), policy_harness.policy(allow("*"))
    bounded = {"StringEquals": {"iam:PermissionsBoundary": limit}}
    _, me = policy_harness.user(allow(["iam:CreateRole", "iam:PutRolePolicy"], Condition=bounded))
    iam = policy_harness.client("iam", me)
    trust = document({"Effect": "Allow", "Principal": ACCOUNT_ROOT, "Action": "sts:AssumeRole"})
    make = {"AssumeRolePolicyDocument": trust}
    assert code(lambda: iam.create_role(RoleName="loose", **make)) in DENIED
    assert (
        code(lambda: iam.create_role(RoleName="loose", PermissionsBoundary=other, **make)) in DENIED
    )
    assert iam.create_role(RoleName="tight", PermissionsBoundary=limit, **make)
    inline = {"PolicyName": "p", "PolicyDocument": document(allow("*"))}
    iam.put_role_policy(RoleName="tight", **inline)
    policy_harness.iam.create_role(RoleName="theirs", **make)
    assert code(lambda: iam.put_role_policy(RoleName="theirs", **inline)) in DENIED


def test_a_grant_to_a_role_stays_within_its_boundary_and_one_to_a_session_does_not(
    policy_harness: PolicyHarness, key: str
) -> None:
    arn, me = policy_harness.user()
    role = policy_harness.role(arn, PermissionsBoundary=policy_harness.policy(allow("s3:*")))
    kms = policy_harness.client("kms", policy_harness.assume(me, role, session="one"))
    other = policy_harness.client("kms", policy_harness.assume(me, role, session="two"))
    put_policy(policy_harness, key, allow("kms:Sign", Principal={"AWS": role}))
    assert code(lambda: sign(kms, key)) in DENIED
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.rpartition('/')[2]}/one"
    put_policy(policy_harness, key, allow("kms:Sign", Principal={"AWS": session}))
    assert sign(kms, key)
    assert code(lambda: sign(other, key)) in DENIED


def test_session_policies_narrow_a_session(policy_harness: PolicyHarness, key: str) -> None:
    arn, me = policy_harness.user()
    role = policy_harness.role(arn, allow("kms:*"))
    describe = document(allow("kms:DescribeKey"))
    kms = policy_harness.client("kms", policy_harness.assume(me, role, Policy=describe))
    assert kms.describe_key(KeyId=key)
    with pytest.raises(ClientError, match="because no session policy allows the kms:Sign action"):
        sign(kms, key)
    managed = policy_harness.policy(allow("kms:Sign"))
    both = policy_harness.client(
        "kms", policy_harness.assume(me, role, Policy=describe, PolicyArns=[{"arn": managed}])
    )
    assert both.describe_key(KeyId=key)
    assert sign(both, key)
    assert code(both.list_keys) in DENIED


def test_a_session_policy_that_is_not_evaluated_is_refused_when_it_is_passed(
    policy_harness: PolicyHarness,
) -> None:
    arn, me = policy_harness.user()
    role = policy_harness.role(arn, allow("kms:*"))
    odd = document(allow("*", Condition={"StringEquals": {"aws:UserAgent": "x"}}))
    with pytest.raises(ClientError, match="does not evaluate: the condition key aws:UserAgent"):
        policy_harness.assume(me, role, Policy=odd)
    with pytest.raises(ClientError, match="does not evaluate: the managed policy"):
        policy_harness.assume(
            me, role, PolicyArns=[{"arn": f"arn:aws:iam::{ACCOUNT}:policy/missing"}]
        )
    with pytest.raises(ClientError, match="does not evaluate: SourceIdentity of AssumeRole"):
        policy_harness.assume(me, role, SourceIdentity="someone")


def test_tags_of_a_session_need_permission_and_count_as_the_callers(
    policy_harness: PolicyHarness, key: str
) -> None:
    arn, me = policy_harness.user()
    mine = {"StringEquals": {"aws:ResourceTag/bucket": "${aws:PrincipalTag/bucket}"}}
    role = policy_harness.role(
        arn, allow("kms:Sign", Condition=mine), Tags=[{"Key": "bucket", "Value": "escrow"}]
    )
    assert (
        code(lambda: sign(policy_harness.client("kms", policy_harness.assume(me, role)), key))
        in DENIED
    )
    tagged = policy_harness.assume(me, role, Tags=[{"Key": "bucket", "Value": "customer"}])
    assert sign(policy_harness.client("kms", tagged), key)
    untaggable = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}
    policy_harness.iam.update_assume_role_policy(
        RoleName=role.rpartition("/")[2], PolicyDocument=document(untaggable)
    )
    assert policy_harness.assume(me, role)
    assert (
        code(lambda: policy_harness.assume(me, role, Tags=[{"Key": "bucket", "Value": "customer"}]))
        in DENIED
    )


def test_a_session_ends(policy_harness: PolicyHarness, key: str) -> None:
    arn, me = policy_harness.user()
    role = policy_harness.role(arn, allow("*"))
    ended = policy_harness.assume(me, role, unchecked=True, DurationSeconds=0)
    assert code(lambda: sign(policy_harness.client("kms", ended), key)) == "ExpiredTokenException"
    assert code(lambda: policy_harness.client("iam", ended).list_roles()) == "ExpiredToken"
    assert code(lambda: policy_harness.client("s3", ended).list_buckets()) == "ExpiredToken"


def test_an_access_key_that_is_switched_off_opens_nothing(policy_harness: PolicyHarness) -> None:
    arn, me = policy_harness.user(allow("*"))
    assert policy_harness.client("kms", me).list_keys()
    policy_harness.iam.update_access_key(
        UserName=arn.rpartition("/")[2], AccessKeyId=me["AWS_ACCESS_KEY_ID"], Status="Inactive"
    )
    assert (
        code(lambda: policy_harness.client("kms", me).list_keys()) == "UnrecognizedClientException"
    )


CONDITIONS: list[Any] = [
    pytest.param(
        {"StringEquals": {"aws:RequestedRegion": PRIMARY}}, {}, True, id="aws:RequestedRegion"
    ),
    pytest.param(
        {"StringEquals": {"aws:RequestedRegion": STANDBY}}, {}, False, id="another region"
    ),
    pytest.param(
        {"StringEquals": {"kms:SigningAlgorithm": "ECDSA_SHA_256"}},
        {},
        True,
        id="kms:SigningAlgorithm",
    ),
    pytest.param({"StringEquals": {"kms:MessageType": "DIGEST"}}, {}, True, id="kms:MessageType"),
    pytest.param(
        {"StringEquals": {"kms:MessageType": "DIGEST"}},
        {"MessageType": "RAW"},
        False,
        id="another kms:MessageType",
    ),
    pytest.param({"StringEquals": {"kms:KeySpec": "ECC_SECG_P256K1"}}, {}, True, id="kms:KeySpec"),
    pytest.param({"Bool": {"kms:MultiRegion": "true"}}, {}, True, id="kms:MultiRegion"),
    pytest.param(
        {"StringEquals": {"kms:MultiRegionKeyType": "PRIMARY"}},
        {},
        True,
        id="kms:MultiRegionKeyType",
    ),
    pytest.param(
        {"StringEquals": {"kms:CallerAccount": ACCOUNT}}, {}, True, id="kms:CallerAccount"
    ),
    pytest.param({"Null": {"kms:ViaService": "true"}}, {}, True, id="kms:ViaService"),
    pytest.param({"Null": {"kms:RequestAlias": "true"}}, {}, True, id="kms:RequestAlias"),
    pytest.param(
        {"StringEquals": {"aws:ResourceTag/bucket": "customer"}}, {}, True, id="aws:ResourceTag"
    ),
    pytest.param(
        {"StringEquals": {"aws:ResourceTag/bucket": "escrow"}},
        {},
        False,
        id="another aws:ResourceTag",
    ),
    pytest.param(
        {"StringEquals": {"aws:PrincipalTag/team": "red"}}, {}, True, id="aws:PrincipalTag"
    ),
    pytest.param({"StringEquals": {"aws:PrincipalType": "User"}}, {}, True, id="aws:PrincipalType"),
    pytest.param(
        {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:user/*"}},
        {},
        True,
        id="aws:PrincipalArn",
    ),
    pytest.param(
        {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}},
        {},
        False,
        id="another aws:PrincipalArn",
    ),
    pytest.param(
        {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, {}, True, id="aws:PrincipalAccount"
    ),
    pytest.param({"Bool": {"aws:SecureTransport": "true"}}, {}, True, id="aws:SecureTransport"),
    pytest.param(
        {"Bool": {"aws:PrincipalIsAWSService": "false"}}, {}, True, id="aws:PrincipalIsAWSService"
    ),
    pytest.param(
        {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}},
        {},
        True,
        id="aws:MultiFactorAuthPresent",
    ),
    pytest.param(
        {"Null": {"aws:SourceArn": "true", "aws:SourceAccount": "true"}},
        {},
        True,
        id="aws:SourceArn",
    ),
    pytest.param(
        {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
        {},
        True,
        id="aws:CurrentTime",
    ),
    pytest.param(
        {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
        {},
        False,
        id="aws:CurrentTime, over",
    ),
    pytest.param({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, {}, True, id="aws:SourceIp"),
]


@pytest.mark.parametrize(("condition", "given", "allowed"), CONDITIONS)
def test_a_condition_on_signing(
    policy_harness: PolicyHarness,
    key: str,
    condition: dict[str, Any],
    given: dict[str, Any],
    allowed: bool,
) -> None:
    _, me = policy_harness.user(
        allow("kms:Sign", key, Condition=condition), Tags=[{"Key": "team", "Value": "red"}]
    )
    kms = policy_harness.client("kms", me)
    if allowed:
        assert sign(kms, key, **given)
    else:
        assert code(lambda: sign(kms, key, **given)) in DENIED


def test_a_key_can_be_named_by_its_alias_only(policy_harness: PolicyHarness, key: str) -> None:
    root, alias = policy_harness.root("kms"), f"alias/{key.rpartition('/')[2]}"
    root.create_alias(AliasName=alias, TargetKeyId=key)
    _, me = policy_harness.user(
        allow("kms:Sign", "*", Condition={"StringEquals": {"kms:RequestAlias": alias}})
    )
    assert sign(policy_harness.client("kms", me), alias)
    assert code(lambda: sign(policy_harness.client("kms", me), key)) in DENIED
    _, me = policy_harness.user(
        allow(
            "kms:Sign", "*", Condition={"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}
        )
    )
    assert sign(policy_harness.client("kms", me), key)


def test_a_window_of_deletion_and_a_grant_can_be_conditions(
    policy_harness: PolicyHarness, key: str
) -> None:
    late = {"NumericGreaterThanEquals": {"kms:ScheduleKeyDeletionPendingWindowInDays": "30"}}
    for_services = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    arn, me = policy_harness.user(
        allow("kms:ScheduleKeyDeletion", key, Condition=late),
        allow("kms:CreateGrant", key, Condition=for_services),
    )
    kms = policy_harness.client("kms", me)
    assert (
        code(lambda: kms.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Sign"]))
        in DENIED
    )
    key_id = key.rpartition("/")[2]
    assert code(lambda: kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)) in DENIED
    assert kms.schedule_key_deletion(KeyId=key_id)["DeletionDate"]


def test_a_grant_allows_its_operations_to_its_grantee(
    policy_harness: PolicyHarness, key: str
) -> None:
    arn, me = policy_harness.user()
    _, other = policy_harness.user()
    grant = policy_harness.root("kms").create_grant(
        KeyId=key, GranteePrincipal=arn, Operations=["Sign"]
    )
    assert sign(policy_harness.client("kms", me), key)
    assert code(lambda: policy_harness.client("kms", me).get_public_key(KeyId=key)) in DENIED
    assert code(lambda: sign(policy_harness.client("kms", other), key)) in DENIED
    put_policy(
        policy_harness,
        key,
        allow("kms:*", Principal=ACCOUNT_ROOT),
        deny("kms:Sign", Principal={"AWS": arn}),
    )
    assert code(lambda: sign(policy_harness.client("kms", me), key)) in DENIED
    put_policy(policy_harness, key, allow("kms:*", Principal=ACCOUNT_ROOT))
    policy_harness.root("kms").revoke_grant(KeyId=key, GrantId=grant["GrantId"])
    assert code(lambda: sign(policy_harness.client("kms", me), key)) in DENIED


def test_a_deny_for_all_but_one_role_leaves_that_role_alone(
    policy_harness: PolicyHarness, key: str
) -> None:
    arn, me = policy_harness.user(allow("kms:*"))
    breaker = policy_harness.role(arn, allow("kms:DisableKey", key))
    but_one = {"ArnNotEquals": {"aws:PrincipalArn": breaker}}
    put_policy(
        policy_harness,
        key,
        allow("kms:*", Principal=ACCOUNT_ROOT),
        deny("kms:DisableKey", Principal="*", Condition=but_one),
    )
    assert (
        code(lambda: policy_harness.client("kms", me).disable_key(KeyId=key.rpartition("/")[2]))
        in DENIED
    )
    policy_harness.client("kms", policy_harness.assume(me, breaker)).disable_key(
        KeyId=key.rpartition("/")[2]
    )


def test_a_key_policy_that_denies_describing_to_others_does_not_deny_it_to_all(
    policy_harness: PolicyHarness, key: str
) -> None:
    """The partial evaluation of DescribeKey by moto itself is off.

    It has neither principals nor conditions.
    """
    _, me = policy_harness.user(allow("kms:DescribeKey"))
    nobody = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/nobody"}
    put_policy(
        policy_harness,
        key,
        allow("kms:*", Principal=ACCOUNT_ROOT),
        deny(["kms:*"], Principal=nobody),
    )
    assert policy_harness.client("kms", me).describe_key(KeyId=key)


def test_the_policy_of_a_secret_lets_its_reader_in(policy_harness: PolicyHarness) -> None:
    arn, me = policy_harness.user()
    _, other = policy_harness.user(allow("secretsmanager:*"))
    secret = policy_harness.root("secretsmanager").create_secret(Name="kit", SecretString="s")[
        "ARN"
    ]
    read = {"SecretId": "kit"}
    assert (
        code(lambda: policy_harness.client("secretsmanager", me).get_secret_value(**read)) in DENIED
    )
    only = [
        allow("secretsmanager:GetSecretValue", "*", Principal={"AWS": arn}),
        deny(
            "secretsmanager:GetSecretValue",
            Principal="*",
            Condition={"ArnNotEquals": {"aws:PrincipalArn": arn}},
        ),
    ]
    policy_harness.root("secretsmanager").put_resource_policy(
        SecretId=secret, ResourcePolicy=document(*only)
    )
    assert (
        policy_harness.client("secretsmanager", me).get_secret_value(**read)["SecretString"] == "s"
    )
    assert (
        code(lambda: policy_harness.client("secretsmanager", other).get_secret_value(**read))
        in DENIED
    )


def test_the_policy_of_a_bucket_lets_in_and_keeps_out(policy_harness: PolicyHarness) -> None:
    arn, me = policy_harness.user()
    _, other = policy_harness.user(allow("s3:*"))
    root = policy_harness.root("s3")
    root.create_bucket(Bucket="offline-kit")
    root.put_object(Bucket="offline-kit", Key="runbook", Body=b"r")
    objects = "arn:aws:s3:::offline-kit/*"
    but_me = {"ArnNotEquals": {"aws:PrincipalArn": arn}}
    rules = [
        allow("s3:GetObject", objects, Principal={"AWS": arn}),
        deny("s3:GetObject", objects, Principal="*", Condition=but_me),
        deny(
            "s3:*", [objects], Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}}
        ),
    ]
    root.put_bucket_policy(Bucket="offline-kit", Policy=document(*rules))
    assert (
        policy_harness.client("s3", me)
        .get_object(Bucket="offline-kit", Key="runbook")["Body"]
        .read()
        == b"r"
    )
    assert (
        code(
            lambda: policy_harness.client("s3", me).put_object(
                Bucket="offline-kit", Key="x", Body=b"x"
            )
        )
        == "AccessDenied"
    )
    assert (
        code(
            lambda: policy_harness.client("s3", other).get_object(
                Bucket="offline-kit", Key="runbook"
            )
        )
        == "AccessDenied"
    )
    assert policy_harness.client("s3", other).put_object(Bucket="offline-kit", Key="x", Body=b"x")


def test_the_policies_of_topics_and_queues_let_in_and_keep_out(
    policy_harness: PolicyHarness,
) -> None:
    arn, me = policy_harness.user()
    _, other = policy_harness.user(allow(["sns:Publish", "sqs:SendMessage"]))
    topic = policy_harness.root("sns").create_topic(Name="page")["TopicArn"]
    queue = policy_harness.root("sqs").create_queue(QueueName="rail")["QueueUrl"]

    def publish(who: dict[str, str]) -> Any:
        return policy_harness.client("sns", who).publish(TopicArn=topic, Message="m")

    def send(who: dict[str, str]) -> Any:
        return policy_harness.client("sqs", who).send_message(QueueUrl=queue, MessageBody="m")

    assert code(lambda: publish(me)) == "AuthorizationError"
    assert code(lambda: send(me)) in DENIED
    assert publish(other)
    assert send(other)
    only = document(
        allow(["sns:Publish", "sqs:SendMessage"], "*", Principal={"AWS": arn}),
        deny(
            ["sns:Publish", "sqs:SendMessage"],
            Principal="*",
            Condition={"ArnNotEquals": {"aws:PrincipalArn": arn}},
        ),
    )
    policy_harness.root("sns").set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=only
    )
    policy_harness.root("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": only})
    assert publish(me)
    assert send(me)
    assert code(lambda: publish(other)) == "AuthorizationError"
    assert code(lambda: send(other)) in DENIED


def test_what_is_not_evaluated_is_refused_by_name(policy_harness: PolicyHarness, key: str) -> None:
    _, me = policy_harness.user(
        allow("kms:Sign", Condition={"StringEquals": {"aws:UserAgent": "x"}})
    )
    with pytest.raises(ClientError, match="does not evaluate: the condition key aws:UserAgent"):
        sign(policy_harness.client("kms", me), key)
