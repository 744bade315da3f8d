"""Rules for buckets: versioned, locked, encrypted and closed to the public.

Each of these is a resource of its own, under the bucket's logical name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from infra.refusals.declared import UNKNOWN, Declared, Demands

BUCKET = "aws:s3/bucket:Bucket"
_VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
_LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
_ENCRYPTION = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
)
_PRIVATE = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_COMPANIONS = {
    _VERSIONING: "versioning",
    _LOCK: "an object lock",
    _ENCRYPTION: "encryption",
    _PRIVATE: "a public access block",
}
_CLOSED = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def judge_storage(resource: Declared, demands: Demands) -> Iterator[str]:
    """What is wrong with a bucket or with one of these resources."""
    if resource.kind == BUCKET:
        if (
            resource.is_known("objectLockEnabled")
            and resource.given("objectLockEnabled") is not True
        ):
            yield (
                "made without object lock, which protects from the first object on; write "
                "object_lock_enabled=True"
            )
        if demands.protected and resource.given("forceDestroy") is True:
            yield "force_destroy in a protected stack would empty it"
    elif resource.kind == _PRIVATE:
        open_ = [
            name for name in _CLOSED if resource.is_known(name) and resource.given(name) is not True
        ]
        if open_:
            yield f"leaves {', '.join(open_)} open; close all four"
    elif resource.kind == _VERSIONING and resource.is_known("versioningConfiguration"):
        status = (resource.given("versioningConfiguration") or {}).get("status")
        if status not in ("Enabled", UNKNOWN):
            yield f"versioning {status or 'not said'}; an overwritten object must stay"


def buckets_without_companions(declared: Sequence[Declared]) -> Iterator[str]:
    """Buckets that lack a companion; companions carry the bucket's logical name."""
    known = {(resource.kind, resource.name) for resource in declared}
    for bucket in declared:
        if bucket.kind == BUCKET:
            missing = [
                what for kind, what in _COMPANIONS.items() if (kind, bucket.name) not in known
            ]
            if missing:
                yield (
                    f"{bucket}: without {', '.join(missing)};"
                    f" declare it under the name {bucket.name}"
                )
