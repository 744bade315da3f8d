"""Changes outside the stack in S3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.testing.stack_drift.change import Account, Change, Removal, Resource, patched, stray

BUCKET = "aws:s3/bucket:Bucket"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
ENCRYPTION = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
)
PUBLIC = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
SETTINGS = (VERSIONING, LOCK, LIFECYCLE, ENCRYPTION, PUBLIC, OWNERSHIP, POLICY, REPLICATION)


def bucket_of(resource: Resource) -> str:
    return str(resource.outputs["bucket"])


def tag(account: Account, bucket: Resource) -> str:
    tags = [
        {"Key": name, "Value": value}
        for name, value in {**bucket.outputs["tags"], "owner": "mallory"}.items()
    ]
    account.of(bucket, "s3").put_bucket_tagging(Bucket=bucket.id, Tagging={"TagSet": tags})
    return "mallory"


def lifecycle(path: str, value: Any) -> Any:
    return patched(
        lambda s3, each: {
            "Rules": s3.get_bucket_lifecycle_configuration(Bucket=bucket_of(each))["Rules"]
        },
        lambda s3, each, whole: s3.put_bucket_lifecycle_configuration(
            Bucket=bucket_of(each), LifecycleConfiguration=whole
        ),
        "s3",
        path,
        value,
    )


def setting(name: str, argument: str) -> Callable[[str, Any], Any]:
    """A change of what ``get_NAME`` and ``put_NAME`` of a bucket call ``argument``."""
    return lambda path, value: patched(
        lambda s3, each: getattr(s3, f"get_{name}")(Bucket=bucket_of(each))[argument],
        lambda s3, each, whole: getattr(s3, f"put_{name}")(
            Bucket=bucket_of(each), **{argument: whole}
        ),
        "s3",
        path,
        value,
    )


lock = setting("object_lock_configuration", "ObjectLockConfiguration")
encryption = setting("bucket_encryption", "ServerSideEncryptionConfiguration")
public = setting("public_access_block", "PublicAccessBlockConfiguration")
replication = setting("bucket_replication", "ReplicationConfiguration")


def own(account: Account, controls: Resource) -> str:
    account.of(controls, "s3").put_bucket_ownership_controls(
        Bucket=bucket_of(controls),
        OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
    )
    return "ObjectWriter"


def put_policy(account: Account, policy: Resource) -> str:
    s3 = account.of(policy, "s3")
    document = s3.get_bucket_policy(Bucket=bucket_of(policy))["Policy"]
    s3.put_bucket_policy(Bucket=bucket_of(policy), Policy=stray(document))
    return "Stray"


def place_of(thing: Resource) -> dict[str, str]:
    return {"Bucket": bucket_of(thing), "Key": thing.outputs["key"]}


def write_over(account: Account, thing: Resource) -> None:
    """As an attacker does it: content type and metadata of the object stay as they were."""
    told = {"ContentType": thing.outputs["contentType"], "Metadata": thing.outputs["metadata"]}
    account.of(thing, "s3").put_object(**place_of(thing), Body=b"# Send everything to us", **told)


def write_over_carelessly(account: Account, thing: Resource) -> None:
    """As `aws s3 cp` does it."""
    kind = thing.outputs["contentType"]
    account.of(thing, "s3").put_object(
        **place_of(thing), Body=b"# Call somebody else", ContentType=kind
    )


def call_it_otherwise(account: Account, thing: Resource) -> str:
    body = str(thing.inputs["content"]).encode()
    account.of(thing, "s3").put_object(
        **place_of(thing), Body=body, ContentType="text/html", Metadata=thing.outputs["metadata"]
    )
    return "text/html"


def place_in(region: str) -> dict[str, Any]:
    """S3 wants no constraint for the region that was its first."""
    return (
        {}
        if region == "us-east-1"
        else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    )


def replicate_elsewhere(account: Account, rule: Resource) -> str:
    """To another bucket that keeps versions; S3 takes no other."""
    now = rule.outputs["rules"][0]["destination"]["bucket"]
    kept = (
        each.outputs["arn"]
        for each in account.resources
        if each.kind == BUCKET and each.region != rule.region
    )
    other = next(arn for arn in kept if arn != now)
    return str(replication("Rules.0.Destination.Bucket", other)(account, rule))


def empty(s3: Any, bucket: str, key: str = "") -> None:
    """With every version, whatever holds it: the account's owner may bypass governance."""
    found = s3.list_object_versions(Bucket=bucket, Prefix=key)
    for each in (*found.get("Versions", ()), *found.get("DeleteMarkers", ())):
        s3.delete_object(
            Bucket=bucket,
            Key=each["Key"],
            VersionId=each["VersionId"],
            BypassGovernanceRetention=True,
        )


def remove_bucket(account: Account, bucket: Resource) -> None:
    s3 = account.of(bucket, "s3")
    empty(s3, bucket.id)
    s3.delete_bucket(Bucket=bucket.id)


def make_anew(account: Account, bucket: Resource) -> bool:
    """S3 takes no lock off.

    Only another bucket of the same name has none, and nothing else of the old one either.
    """
    remove_bucket(account, bucket)
    s3 = account.of(bucket, "s3")
    s3.create_bucket(Bucket=bucket.id, **place_in(bucket.region))
    s3.put_bucket_versioning(Bucket=bucket.id, VersioningConfiguration={"Status": "Suspended"})
    return False


CHANGES = (
    Change(kind=BUCKET, leaf="tags", how=tag),
    Change(kind=LOCK, leaf="rule.defaultRetention.days", how=lock("Rule.DefaultRetention.Days", 3)),
    Change(
        kind=LOCK,
        leaf="rule.defaultRetention.mode",
        how=lock("Rule.DefaultRetention.Mode", "COMPLIANCE"),
    ),
    Change(
        kind=LIFECYCLE,
        leaf="rules[].abortIncompleteMultipartUpload.daysAfterInitiation",
        how=lifecycle("Rules.0.AbortIncompleteMultipartUpload.DaysAfterInitiation", 90),
    ),
    Change(
        kind=LIFECYCLE, leaf="rules[].expiration.days", how=lifecycle("Rules.1.Expiration.Days", 2)
    ),
    Change(
        kind=LIFECYCLE,
        leaf="rules[].filter.prefix",
        how=lifecycle("Rules.0.Filter.Prefix", "journal/"),
    ),
    Change(kind=LIFECYCLE, leaf="rules[].id", how=lifecycle("Rules.0.ID", "theirs")),
    Change(
        kind=LIFECYCLE,
        leaf="rules[].noncurrentVersionExpiration.noncurrentDays",
        how=lifecycle("Rules.1.NoncurrentVersionExpiration.NoncurrentDays", 2),
    ),
    Change(kind=LIFECYCLE, leaf="rules[].status", how=lifecycle("Rules.0.Status", "Disabled")),
    Change(
        kind=ENCRYPTION,
        leaf="rules[].applyServerSideEncryptionByDefault.kmsMasterKeyId",
        how=encryption("Rules.0.ApplyServerSideEncryptionByDefault.KMSMasterKeyID", "alias/aws/s3"),
    ),
    Change(
        kind=ENCRYPTION,
        leaf="rules[].applyServerSideEncryptionByDefault.sseAlgorithm",
        how=encryption("Rules.0.ApplyServerSideEncryptionByDefault.SSEAlgorithm", "aws:kms:dsse"),
    ),
    Change(
        kind=ENCRYPTION,
        leaf="rules[].bucketKeyEnabled",
        how=encryption("Rules.0.BucketKeyEnabled", False),
    ),
    *(
        Change(kind=PUBLIC, leaf=f"{name[0].lower()}{name[1:]}", how=public(name, False))
        for name in (
            "BlockPublicAcls",
            "BlockPublicPolicy",
            "IgnorePublicAcls",
            "RestrictPublicBuckets",
        )
    ),
    Change(kind=OWNERSHIP, leaf="rule.objectOwnership", how=own),
    Change(kind=POLICY, leaf="policy", how=put_policy),
    Change(
        kind=REPLICATION,
        leaf="role",
        how=replication("Role", "arn:aws:iam::123456789012:role/seawall-harbour-backup"),
    ),
    Change(
        kind=REPLICATION,
        leaf="rules[].deleteMarkerReplication.status",
        how=replication("Rules.0.DeleteMarkerReplication.Status", "Enabled"),
    ),
    Change(
        kind=REPLICATION,
        leaf="rules[].destination.account",
        how=replication("Rules.0.Destination.Account", "210987654321"),
    ),
    Change(kind=REPLICATION, leaf="rules[].destination.bucket", how=replicate_elsewhere),
    Change(
        kind=REPLICATION,
        leaf="rules[].destination.storageClass",
        how=replication("Rules.0.Destination.StorageClass", "GLACIER"),
    ),
    Change(
        kind=REPLICATION,
        leaf="rules[].filter.prefix",
        how=replication("Rules.0.Filter.Prefix", "journal/"),
    ),
    Change(kind=REPLICATION, leaf="rules[].id", how=replication("Rules.0.ID", "theirs")),
    Change(kind=REPLICATION, leaf="rules[].priority", how=replication("Rules.0.Priority", 7)),
    Change(kind=REPLICATION, leaf="rules[].status", how=replication("Rules.0.Status", "Disabled")),
    Change(kind=OBJECT, leaf="content", how=write_over),
    Change(
        kind=OBJECT, leaf="metadata.sha256", how=write_over_carelessly, drags=((OBJECT, "content"),)
    ),
    Change(kind=OBJECT, leaf="contentType", how=call_it_otherwise, drags=((OBJECT, "content"),)),
)
REMOVALS = (
    Removal(
        kind=OBJECT,
        how=lambda account, thing: empty(account.of(thing, "s3"), *place_of(thing).values()),
    ),
    Removal(
        kind=LIFECYCLE,
        how=lambda account, each: account.of(each, "s3").delete_bucket_lifecycle(Bucket=each.id),
    ),
    Removal(
        kind=OWNERSHIP,
        how=lambda account, each: account.of(each, "s3").delete_bucket_ownership_controls(
            Bucket=each.id
        ),
    ),
    Removal(
        kind=POLICY,
        how=lambda account, each: account.of(each, "s3").delete_bucket_policy(Bucket=each.id),
    ),
    Removal(
        kind=PUBLIC,
        how=lambda account, each: account.of(each, "s3").delete_public_access_block(Bucket=each.id),
    ),
    Removal(
        kind=REPLICATION,
        how=lambda account, each: account.of(each, "s3").delete_bucket_replication(Bucket=each.id),
    ),
    Removal(kind=BUCKET, how=remove_bucket, drags=(*SETTINGS, OBJECT)),
)
