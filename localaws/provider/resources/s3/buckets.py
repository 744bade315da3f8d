"""Buckets, their versioning and their object lock.

Locks hold: see ``localaws.emulator.services.s3``.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from localaws.provider.clients import Aws, code_of, is_gone
from localaws.provider.table import Property, ResourceType
from localaws.provider.tagging import tag_map, tag_pairs
from localaws.provider.values import Properties, given

_REGION_WITHOUT_CONSTRAINT = "us-east-1"
"""S3 refuses this one as a location constraint (API reference, CreateBucket)."""


def _create_bucket(aws: Aws, inputs: Properties) -> str:
    name = str(inputs["bucket"])
    place: dict[str, Any] = (
        {}
        if aws.region == _REGION_WITHOUT_CONSTRAINT
        else {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    )
    aws.s3.create_bucket(
        Bucket=name, **place, **given(ObjectLockEnabledForBucket=inputs.get("objectLockEnabled"))
    )
    if inputs.get("tags"):
        try:
            aws.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_pairs(inputs["tags"])})
        except ClientError:
            aws.s3.delete_bucket(Bucket=name)
            raise
    return name


def _exists(aws: Aws, bucket: str) -> bool:
    try:
        aws.s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if is_gone(error):
            return False
        raise
    return True


def _lock(aws: Aws, bucket: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = aws.s3.get_object_lock_configuration(Bucket=bucket)[
            "ObjectLockConfiguration"
        ]
    except ClientError as error:
        if code_of(error) == "ObjectLockConfigurationNotFoundError" or is_gone(error):
            return None
        raise
    return found


def _read_bucket(aws: Aws, name: str) -> Properties | None:
    if not _exists(aws, name):
        return None
    try:
        tags = tag_map(aws.s3.get_bucket_tagging(Bucket=name)["TagSet"])
    except ClientError as error:
        if code_of(error) != "NoSuchTagSet":
            raise
        tags = {}
    return {
        "bucket": name,
        "arn": f"arn:aws:s3:::{name}",
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{name}.s3.{aws.region}.amazonaws.com",
        "bucketRegion": aws.region,
        "objectLockEnabled": _lock(aws, name) is not None,
        "tags": tags,
        "tagsAll": tags,
    }


def _update_bucket(aws: Aws, name: str, _old: Properties, new: Properties) -> None:
    if new.get("tags"):
        aws.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_pairs(new["tags"])})
    else:
        aws.s3.delete_bucket_tagging(Bucket=name)


def _delete_bucket(aws: Aws, name: str, properties: Properties) -> None:
    if not _exists(aws, name):
        return
    if properties.get("forceDestroy"):
        for page in aws.s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                aws.s3.delete_object(
                    Bucket=name,
                    Key=version["Key"],
                    VersionId=version["VersionId"],
                    BypassGovernanceRetention=True,
                )
    aws.s3.delete_bucket(Bucket=name)


BUCKET = ResourceType(
    kind="aws:s3/bucket:Bucket",
    acts=True,
    inputs={
        "bucket": Property(required=True, replaces=True),
        "objectLockEnabled": Property(replaces=True, computed=True),
        "forceDestroy": Property(local=True),
        "tags": Property(),
    },
    outputs=("arn", "bucketDomainName", "bucketRegionalDomainName", "bucketRegion", "tagsAll"),
    create=_create_bucket,
    read=_read_bucket,
    update=_update_bucket,
    delete=_delete_bucket,
    named_by="bucket",
)


def _put_versioning(aws: Aws, inputs: Properties) -> str:
    aws.s3.put_bucket_versioning(
        Bucket=inputs["bucket"],
        VersioningConfiguration={"Status": inputs["versioningConfiguration"]["status"]},
    )
    return str(inputs["bucket"])


def _read_versioning(aws: Aws, bucket: str) -> Properties | None:
    status = (
        aws.s3.get_bucket_versioning(Bucket=bucket).get("Status") if _exists(aws, bucket) else None
    )
    return (
        None
        if status is None
        else {"bucket": bucket, "versioningConfiguration": {"status": status}}
    )


def _update_versioning(aws: Aws, _bucket: str, _old: Properties, new: Properties) -> None:
    _put_versioning(aws, new)


def _delete_versioning(aws: Aws, bucket: str, _properties: Properties) -> None:
    # under object lock, versioning stays on for the life of the bucket
    if _exists(aws, bucket) and _lock(aws, bucket) is None:
        aws.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


BUCKET_VERSIONING = ResourceType(
    kind="aws:s3/bucketVersioning:BucketVersioning",
    acts=True,
    inputs={
        "bucket": Property(required=True, replaces=True),
        "versioningConfiguration": Property(required=True),
    },
    outputs=(),
    create=_put_versioning,
    read=_read_versioning,
    update=_update_versioning,
    delete=_delete_versioning,
)


def _put_lock(aws: Aws, inputs: Properties) -> str:
    retention = inputs["rule"]["defaultRetention"]
    rule = {
        "DefaultRetention": given(
            Mode=retention.get("mode"), Days=retention.get("days"), Years=retention.get("years")
        )
    }
    aws.s3.put_object_lock_configuration(
        Bucket=inputs["bucket"],
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
    )
    return str(inputs["bucket"])


def _read_lock(aws: Aws, bucket: str) -> Properties | None:
    found = _lock(aws, bucket)
    rule = (found or {}).get("Rule")
    if rule is None:
        return None
    kept = rule["DefaultRetention"]
    retention = given(
        mode=kept.get("Mode"), days=kept.get("Days") or None, years=kept.get("Years") or None
    )
    return {"bucket": bucket, "rule": {"defaultRetention": retention}}


def _update_lock(aws: Aws, _bucket: str, _old: Properties, new: Properties) -> None:
    _put_lock(aws, new)


def _delete_lock(aws: Aws, bucket: str, _properties: Properties) -> None:
    if _read_lock(aws, bucket) is not None:
        aws.s3.put_object_lock_configuration(
            Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
        )


BUCKET_OBJECT_LOCK = ResourceType(
    kind="aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
    acts=True,
    inputs={"bucket": Property(required=True, replaces=True), "rule": Property(required=True)},
    outputs=(),
    create=_put_lock,
    read=_read_lock,
    update=_update_lock,
    delete=_delete_lock,
)
