"""The types of S3, beyond the contract of all types: locks bind, replication copies."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from botocore.exceptions import ClientError

from localaws.provider.resources.s3.objects import _SIGNATURE
from localaws.provider.values import Properties
from tests.testing.aws_harness import PRIMARY, STANDBY, client
from tests.testing.iam_requests import document
from tests.testing.provider_harness import ProviderHarness

pytestmark = pytest.mark.integration

BUCKET, OBJECT = "aws:s3/bucket:Bucket", "aws:s3/bucketObjectv2:BucketObjectv2"
IN_A_YEAR = datetime.now(UTC).replace(microsecond=0) + timedelta(days=365)
NO_MARKERS = {"status": "Disabled"}
ASSET = "c44067f5952c0a294b673a41bacd8c17"


@pytest.fixture
def locked(provider_harness: ProviderHarness) -> str:
    s3 = provider_harness.root("s3")
    name = f"seawall-locked-{len(s3.list_buckets()['Buckets'])}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def held(s3: Any, bucket: str, mode: str) -> Properties:
    """A version under ``mode`` for a year, as arguments of what is done to it."""
    put = s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"x",
        ObjectLockMode=mode,
        ObjectLockRetainUntilDate=IN_A_YEAR,
        ChecksumAlgorithm="SHA256",
    )
    return {"Bucket": bucket, "Key": "k", "VersionId": put["VersionId"]}


@pytest.mark.parametrize(
    "retention",
    [
        {"Mode": "COMPLIANCE", "RetainUntilDate": IN_A_YEAR - timedelta(days=1)},
        {"Mode": "GOVERNANCE", "RetainUntilDate": IN_A_YEAR + timedelta(days=1)},
        {},
    ],
)
def test_a_compliance_retention_cannot_be_shortened_or_lifted(
    provider_harness: ProviderHarness, locked: str, retention: Properties
) -> None:
    s3 = provider_harness.root("s3")
    version = held(s3, locked, "COMPLIANCE")
    assert (
        refused(lambda: s3.put_object_retention(**version, Retention=retention)) == "AccessDenied"
    )
    bypassed = {**version, "Retention": retention, "BypassGovernanceRetention": True}
    assert refused(lambda: s3.put_object_retention(**bypassed)) == "AccessDenied"
    assert (
        refused(lambda: s3.delete_object(**version, BypassGovernanceRetention=True))
        == "AccessDenied"
    )
    listed = {"Objects": [{"Key": "k", "VersionId": version["VersionId"]}]}
    answer = s3.delete_objects(Bucket=locked, Delete=listed, BypassGovernanceRetention=True)
    assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"]
    assert s3.get_object_retention(**version)["Retention"] == {
        "Mode": "COMPLIANCE",
        "RetainUntilDate": IN_A_YEAR,
    }


def test_a_compliance_retention_can_be_lengthened(
    provider_harness: ProviderHarness, locked: str
) -> None:
    s3 = provider_harness.root("s3")
    version, longer = held(s3, locked, "COMPLIANCE"), IN_A_YEAR + timedelta(days=1)
    s3.put_object_retention(**version, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": longer})
    assert s3.get_object_retention(**version)["Retention"]["RetainUntilDate"] == longer


def test_a_governance_retention_can_be_bypassed_with_permission_and_header(
    provider_harness: ProviderHarness, locked: str
) -> None:
    root = provider_harness.root("s3")
    version, shorter = held(root, locked, "GOVERNANCE"), IN_A_YEAR - timedelta(days=30)
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": shorter}
    assert (
        refused(lambda: root.put_object_retention(**version, Retention=retention)) == "AccessDenied"
    )
    assert refused(lambda: root.delete_object(**version)) == "AccessDenied"
    assert (
        refused(lambda: root.delete_object(**version, BypassGovernanceRetention=False))
        == "AccessDenied"
    )
    root.put_object_retention(**version, Retention=retention, BypassGovernanceRetention=True)
    root.delete_object(**version, BypassGovernanceRetention=True)
    assert refused(lambda: root.head_object(**version)) == "404"


def test_a_bypass_takes_its_own_permission(provider_harness: ProviderHarness, locked: str) -> None:
    iam, s3 = provider_harness.root("iam"), provider_harness.root("s3")
    iam.create_user(UserName="cleaner")
    allowed = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectRetention"]
    policy = document(
        {"Effect": "Allow", "Action": allowed, "Resource": f"arn:aws:s3:::{locked}/*"}
    )
    iam.put_user_policy(UserName="cleaner", PolicyName="p", PolicyDocument=policy)
    key = iam.create_access_key(UserName="cleaner")["AccessKey"]
    who = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    cleaner, version = client("s3", provider_harness.endpoint, who), held(s3, locked, "GOVERNANCE")
    assert (
        refused(lambda: cleaner.delete_object(**version, BypassGovernanceRetention=True))
        == "AccessDenied"
    )
    bypass = policy.replace("s3:DeleteObjectVersion", "s3:BypassGovernanceRetention")
    iam.put_user_policy(UserName="cleaner", PolicyName="p2", PolicyDocument=bypass)
    listed = {"Objects": [{"Key": "k", "VersionId": version["VersionId"]}]}
    many = {"Bucket": locked, "Delete": listed, "BypassGovernanceRetention": True}
    assert refused(lambda: cleaner.delete_objects(**many)) == "AccessDenied", (
        "in a list the bypass is not judged"
    )
    cleaner.delete_object(**version, BypassGovernanceRetention=True)
    assert refused(lambda: s3.head_object(**version)) == "404"


def test_a_retention_that_the_bucket_gave_can_be_read(
    provider_harness: ProviderHarness, locked: str
) -> None:
    s3 = provider_harness.root("s3")
    s3.put_object(Bucket=locked, Key="before", Body=b"x")
    assert (
        refused(lambda: s3.get_object_retention(Bucket=locked, Key="before"))
        == "NoSuchObjectLockConfiguration"
    )
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}
    s3.put_object_lock_configuration(
        Bucket=locked, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    s3.put_object(Bucket=locked, Key="after", Body=b"x")
    kept = s3.get_object_retention(Bucket=locked, Key="after")["Retention"]
    assert kept["Mode"] == "GOVERNANCE"
    assert timedelta(days=2) < kept["RetainUntilDate"] - datetime.now(UTC) < timedelta(days=4)


def test_a_bucket_under_object_lock_stays_versioned(
    provider_harness: ProviderHarness, locked: str
) -> None:
    s3 = provider_harness.root("s3")
    status = {"Status": "Suspended"}
    assert refused(
        lambda: s3.put_bucket_versioning(Bucket=locked, VersioningConfiguration=status)
    ) == ("InvalidBucketState")


def test_the_provider_neither_shortens_nor_deletes_what_compliance_holds(
    provider_harness: ProviderHarness, locked: str
) -> None:
    inputs = {
        "bucket": locked,
        "key": "kit",
        "content": "x",
        "forceDestroy": True,
        "checksumAlgorithm": "SHA256",
        "objectLockMode": "COMPLIANCE",
        "objectLockRetainUntilDate": "2040-01-01T00:00:00Z",
    }
    identifier, state, checked = provider_harness.made(OBJECT, inputs)
    earlier = {**checked, "objectLockRetainUntilDate": "2039-01-01T00:00:00Z"}
    with pytest.raises(grpc.RpcError, match="AccessDenied"):
        provider_harness.engine.update(OBJECT, identifier, state, checked, earlier)
    with pytest.raises(grpc.RpcError, match="AccessDenied"):
        provider_harness.engine.delete(OBJECT, identifier, state)
    later = {**checked, "objectLockRetainUntilDate": "2041-01-01T00:00:00Z"}
    state = provider_harness.engine.update(OBJECT, identifier, state, checked, later)
    assert state["objectLockRetainUntilDate"] == "2041-01-01T00:00:00Z"
    assert len(provider_harness.root("s3").list_object_versions(Bucket=locked)["Versions"]) == 1, (
        "changed as it stands"
    )


def asset(**more: Any) -> Properties:
    return {_SIGNATURE: ASSET, **more}


def test_an_object_is_made_of_a_text_of_bytes_or_of_an_asset(
    provider_harness: ProviderHarness, locked: str, tmp_path: Path
) -> None:
    s3 = provider_harness.root("s3")
    (tmp_path / "kit.bin").write_bytes(b"\xff\x00")
    digest = hashlib.sha256(b"\xff\x00").hexdigest()
    for given, expected in (
        ({"content": "text ü"}, "text ü".encode()),
        ({"contentBase64": base64.b64encode(b"\xff").decode()}, b"\xff"),
        ({"source": asset(text="a")}, b"a"),
        ({"source": asset(path=str(tmp_path / "kit.bin"), hash=digest)}, b"\xff\x00"),
    ):
        provider_harness.made(OBJECT, {"bucket": locked, "key": "a/b", **given})
        assert s3.get_object(Bucket=locked, Key="a/b")["Body"].read() == expected


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({_SIGNATURE: "0def7320c3a5731c473e5ecbe6d01bc7"}, "an archive"),
        (asset(uri="https://harbour.example/kit"), "remote asset"),
        (asset(path="/nowhere/kit"), "No such file"),
        (asset(path="kit"), "relative path"),
        (asset(text="a", hash="0" * 64), "changed since"),
    ],
)
def test_a_source_that_is_no_plain_asset_is_refused(
    provider_harness: ProviderHarness, locked: str, source: Properties, complaint: str
) -> None:
    with pytest.raises(grpc.RpcError, match=complaint):
        provider_harness.made(OBJECT, {"bucket": locked, "key": "k", "source": source})


def test_an_asset_is_compared_by_what_is_in_it(provider_harness: ProviderHarness) -> None:
    one = {"bucket": "b", "key": "k", "source": asset(path="here", hash="a" * 64)}
    moved, edited = (
        {**one, "source": asset(path="there", hash="a" * 64)},
        {**one, "source": asset(path="here", hash="b" * 64)},
    )
    assert list(provider_harness.engine.diff(OBJECT, one, moved).diffs) == []
    assert list(provider_harness.engine.diff(OBJECT, one, edited).diffs) == ["source"]
    assert list(provider_harness.engine.diff(OBJECT, one, {**one, "key": "l"}).replaces) == ["key"]


def test_content_that_was_put_elsewhere_is_seen_by_the_etag(
    provider_harness: ProviderHarness, locked: str
) -> None:
    digest = hashlib.md5(b"ours").hexdigest()  # noqa: S324 - it is how S3 makes an ETag
    inputs = {"bucket": locked, "key": "k", "content": "ours", "etag": digest}
    identifier, state, checked = provider_harness.made(OBJECT, inputs)
    provider_harness.root("s3").put_object(Bucket=locked, Key="k", Body=b"theirs")
    _, _, described = provider_harness.engine.read(OBJECT, identifier, state, checked)
    assert list(provider_harness.engine.diff(OBJECT, described, checked).diffs) == ["etag"]
    provider_harness.engine.update(OBJECT, identifier, state, described, checked)
    assert provider_harness.root("s3").get_object(Bucket=locked, Key="k")["Body"].read() == b"ours"


def replicating(
    provider_harness: ProviderHarness,
    name: str,
    *,
    trusts: str = "s3.amazonaws.com",
    may: str = "*",
    **rule: Any,
) -> tuple[str, str]:
    """A bucket here and the one in the other region to which the provider lets it replicate."""
    here, there, role = f"seawall-{name}-here", f"seawall-{name}-there", f"seawall-{name}"
    for bucket, region in ((here, PRIMARY), (there, STANDBY)):
        provider_harness.made(
            BUCKET, {"bucket": bucket, "objectLockEnabled": True, "region": region}
        )
    trust = document(
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": trusts}}
    )
    _, made, _ = provider_harness.made(
        "aws:iam/role:Role", {"name": role, "assumeRolePolicy": trust}
    )
    may_copy = document({"Effect": "Allow", "Action": f"s3:{may}", "Resource": "*"})
    provider_harness.made(
        "aws:iam/rolePolicy:RolePolicy", {"role": role, "name": "copy", "policy": may_copy}
    )
    rules = [
        {
            "id": "all",
            "status": "Enabled",
            "filter": {},
            "deleteMarkerReplication": NO_MARKERS,
            "destination": {"bucket": f"arn:aws:s3:::{there}"},
            **rule,
        }
    ]
    provider_harness.made(
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
        {"bucket": here, "role": made["arn"], "rules": rules},
    )
    return here, there


def test_what_is_put_arrives_in_the_other_region_with_all_that_belongs_to_it(
    provider_harness: ProviderHarness,
) -> None:
    here, there = replicating(provider_harness, "whole")
    s3, west = provider_harness.root("s3"), provider_harness.root("s3", region=STANDBY)
    put = s3.put_object(
        Bucket=here,
        Key="k",
        Body=b"one",
        ContentType="text/plain",
        Metadata={"digest": "a"},
        Tagging="kind=order",
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=IN_A_YEAR,
        ChecksumAlgorithm="SHA256",
    )
    copy = west.get_object(Bucket=there, Key="k")
    assert (copy["Body"].read(), copy["ContentType"], copy["Metadata"]) == (
        b"one",
        "text/plain",
        {"digest": "a"},
    )
    assert (copy["VersionId"], copy["ReplicationStatus"]) == (put["VersionId"], "REPLICA")
    assert s3.head_object(Bucket=here, Key="k")["ReplicationStatus"] == "COMPLETED"
    assert west.get_object_tagging(Bucket=there, Key="k")["TagSet"] == [
        {"Key": "kind", "Value": "order"}
    ]
    assert west.get_object_retention(Bucket=there, Key="k")["Retention"]["Mode"] == "COMPLIANCE"
    s3.put_object(Bucket=here, Key="k", Body=b"two")
    assert len(west.list_object_versions(Bucket=there, Prefix="k")["Versions"]) == 2
    s3.delete_object(Bucket=here, Key="k")
    assert west.get_object(Bucket=there, Key="k")["Body"].read() == b"two", (
        "no rule says to copy delete markers"
    )


def test_delete_markers_are_copied_if_the_rule_says_so_and_deleted_versions_never(
    provider_harness: ProviderHarness,
) -> None:
    here, there = replicating(
        provider_harness, "markers", deleteMarkerReplication={"status": "Enabled"}
    )
    s3, west = provider_harness.root("s3"), provider_harness.root("s3", region=STANDBY)
    version = s3.put_object(Bucket=here, Key="k", Body=b"one")["VersionId"]
    s3.delete_object(Bucket=here, Key="k", VersionId=version)
    assert west.head_object(Bucket=there, Key="k")["VersionId"] == version
    s3.put_object(Bucket=here, Key="k", Body=b"two")
    s3.delete_object(Bucket=here, Key="k")
    assert refused(lambda: west.get_object(Bucket=there, Key="k")) == "NoSuchKey"


def test_only_what_a_rule_selects_is_copied(provider_harness: ProviderHarness) -> None:
    here, there = replicating(provider_harness, "some", filter={"prefix": "journal/"})
    s3, west = provider_harness.root("s3"), provider_harness.root("s3", region=STANDBY)
    s3.put_object(Bucket=here, Key="other", Body=b"x")
    s3.put_object(Bucket=here, Key="journal/secret", Body=b"x", ServerSideEncryption="aws:kms")
    s3.put_object(Bucket=here, Key="journal/plain", Body=b"x")
    assert [item["Key"] for item in west.list_objects_v2(Bucket=there)["Contents"]] == [
        "journal/plain"
    ]
    assert "ReplicationStatus" not in s3.head_object(Bucket=here, Key="other")


def test_an_encrypted_object_is_copied_if_the_rule_selects_it(
    provider_harness: ProviderHarness,
) -> None:
    criteria = {"sseKmsEncryptedObjects": {"status": "Enabled"}}
    key = {"replicaKmsKeyId": "arn:aws:kms:us-west-2:123456789012:key/there"}
    destination = {"bucket": "arn:aws:s3:::seawall-sealed-there", "encryptionConfiguration": key}
    here, there = replicating(
        provider_harness, "sealed", sourceSelectionCriteria=criteria, destination=destination
    )
    provider_harness.root("s3").put_object(
        Bucket=here, Key="k", Body=b"x", ServerSideEncryption="aws:kms"
    )
    copy = provider_harness.root("s3", region=STANDBY).head_object(Bucket=there, Key="k")
    assert (copy["ServerSideEncryption"], copy["SSEKMSKeyId"]) == (
        "aws:kms",
        key["replicaKmsKeyId"],
    )


@pytest.mark.parametrize(
    ("name", "trusts", "may"),
    [("stranger", "ec2.amazonaws.com", "*"), ("weak", "s3.amazonaws.com", "Get*")],
)
def test_a_role_that_s3_may_not_take_or_that_may_not_write_copies_nothing(
    provider_harness: ProviderHarness, name: str, trusts: str, may: str
) -> None:
    here, there = replicating(provider_harness, name, trusts=trusts, may=may)
    provider_harness.root("s3").put_object(Bucket=here, Key="k", Body=b"x")
    assert (
        provider_harness.root("s3").head_object(Bucket=here, Key="k")["ReplicationStatus"]
        == "FAILED"
    )
    assert "Contents" not in provider_harness.root("s3", region=STANDBY).list_objects_v2(
        Bucket=there
    )


def test_a_destination_must_be_versioned_and_locked_like_its_source(
    provider_harness: ProviderHarness, locked: str
) -> None:
    s3 = provider_harness.root("s3")
    s3.create_bucket(Bucket="seawall-unversioned")
    kind = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
    rule = {
        "id": "all",
        "status": "Enabled",
        "filter": {},
        "deleteMarkerReplication": NO_MARKERS,
        "destination": {"bucket": "arn:aws:s3:::seawall-unversioned"},
    }
    inputs = {"bucket": locked, "role": "arn:aws:iam::123456789012:role/seawall-r", "rules": [rule]}
    with pytest.raises(grpc.RpcError, match="versioning enabled"):
        provider_harness.made(kind, inputs)
    s3.put_bucket_versioning(
        Bucket="seawall-unversioned", VersioningConfiguration={"Status": "Enabled"}
    )
    with pytest.raises(grpc.RpcError, match="object lock enabled"):
        provider_harness.made(kind, inputs)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({}, "DeleteMarkerReplication must be specified"),
        (
            {
                "deleteMarkerReplication": NO_MARKERS,
                "sourceSelectionCriteria": {"sseKmsEncryptedObjects": {"status": "Enabled"}},
            },
            "ReplicaKmsKeyID must be specified",
        ),
    ],
)
def test_a_rule_that_leaves_out_what_s3_wants_is_refused(
    provider_harness: ProviderHarness, locked: str, more: Properties, complaint: str
) -> None:
    rule = {
        "id": "all",
        "status": "Enabled",
        "filter": {},
        "destination": {"bucket": f"arn:aws:s3:::{locked}"},
        **more,
    }
    inputs = {"bucket": locked, "role": "arn:aws:iam::123456789012:role/seawall-r", "rules": [rule]}
    with pytest.raises(grpc.RpcError, match=complaint):
        provider_harness.made("aws:s3/bucketReplicationConfig:BucketReplicationConfig", inputs)


def test_a_rule_without_a_priority_has_the_lowest(provider_harness: ProviderHarness) -> None:
    kind = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
    rule = {"id": "all", "status": "Enabled", "filter": {}}
    old, new = (
        {"bucket": "b", "role": "r", "rules": [one]} for one in (rule, {**rule, "priority": 0})
    )
    assert list(provider_harness.engine.diff(kind, old, new).diffs) == []
    assert list(
        provider_harness.engine.diff(kind, old, {**new, "rules": [{**rule, "priority": 1}]}).diffs
    ) == ["rules"]


def test_the_order_of_rules_means_nothing_and_their_content_does(
    provider_harness: ProviderHarness,
) -> None:
    kind = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    one, two = ({"id": name, "status": "Enabled", "filter": {"prefix": name}} for name in "ab")
    old = {"bucket": "b", "rules": [one, two]}
    assert list(provider_harness.engine.diff(kind, old, {**old, "rules": [two, one]}).diffs) == []
    assert list(
        provider_harness.engine.diff(
            kind, old, {**old, "rules": [{**one, "status": "Disabled"}, two]}
        ).diffs
    ) == ["rules"]


def test_a_lifecycle_that_was_shortened_elsewhere_is_seen(
    provider_harness: ProviderHarness, locked: str
) -> None:
    kind, s3 = (
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        provider_harness.root("s3"),
    )
    noncurrent = {"noncurrentDays": 400, "newerNoncurrentVersions": 5}
    rule = {
        "id": "a",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "noncurrentVersionExpiration": noncurrent,
    }
    identifier, state, checked = provider_harness.made(kind, {"bucket": locked, "rules": [rule]})
    kept = s3.get_bucket_lifecycle_configuration(Bucket=locked)["Rules"]
    kept[0]["NoncurrentVersionExpiration"]["NewerNoncurrentVersions"] = 1
    s3.put_bucket_lifecycle_configuration(Bucket=locked, LifecycleConfiguration={"Rules": kept})
    _, _, described = provider_harness.engine.read(kind, identifier, state, checked)
    assert described["rules"][0]["noncurrentVersionExpiration"]["newerNoncurrentVersions"] == 1
    assert list(provider_harness.engine.diff(kind, described, checked).diffs) == ["rules"]


def test_an_object_is_imported_by_bucket_and_key(
    provider_harness: ProviderHarness, locked: str
) -> None:
    inputs = {"bucket": locked, "key": "a/b", "content": "x", "contentType": "text/plain"}
    identifier, _, _ = provider_harness.made(OBJECT, inputs)
    assert identifier == f"{locked}/a/b"
    _, _, described = provider_harness.engine.read(OBJECT, identifier, {}, {})
    assert (described["key"], described["contentType"]) == ("a/b", "text/plain")
    assert json.dumps(described).count('"x"') == 0, "what is in it is not read back"
