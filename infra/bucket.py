"""A bucket that keeps what must not be lost: versioned, under object lock, encrypted, private."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.documents import Statement, document

ABORT_UPLOADS_AFTER_DAYS = 7
"""Parts of an upload that was given up are billed and seen by nobody."""


@dataclass(frozen=True, kw_only=True)
class BucketArgs:
    """``bucket`` is its name in the world.

    New versions are locked for ``retention_days`` in ``lock_mode`` (GOVERNANCE or COMPLIANCE).

    ``expires``: whether versions are removed by themselves once their lock has ended, never before.
    ``key``: ARN of the KMS key under which objects are stored; without one S3's own keys do it,
    which need no KMS to read: a dark KMS is what the evidence is about. ``statements`` are added to
    the bucket's policy.
    """

    bucket: str
    region: str
    retention_days: int
    lock_mode: str
    protect: bool
    tags: Mapping[str, str]
    expires: bool = True
    key: pulumi.Output[str] | None = None
    statements: Sequence[Statement] = ()


class LockedBucket(pulumi.ComponentResource):
    """``bucket`` is its name, known at once.

    ``ready`` is what whoever writes or replicates must wait for.
    """

    bucket: pulumi.Output[str]
    arn: str
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: BucketArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:LockedBucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        made = aws.s3.Bucket(
            name,
            region=args.region,
            bucket=args.bucket,
            object_lock_enabled=True,
            force_destroy=not args.protect,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        common: dict[str, Any] = {"region": args.region, "bucket": made.bucket}
        versioning = aws.s3.BucketVersioning(
            name,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(
                status="Enabled"
            ),
            opts=child,
            **common,
        )
        after = pulumi.ResourceOptions(parent=self, depends_on=[versioning])
        retention = aws.s3.BucketObjectLockConfigurationRuleDefaultRetentionArgs(
            mode=args.lock_mode, days=args.retention_days
        )
        lock = aws.s3.BucketObjectLockConfiguration(
            name,
            rule=aws.s3.BucketObjectLockConfigurationRuleArgs(default_retention=retention),
            opts=after,
            **common,
        )
        encryption = aws.s3.BucketServerSideEncryptionConfiguration(
            name, rules=[_encryption(args.key)], opts=child, **common
        )
        private = aws.s3.BucketPublicAccessBlock(
            name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
            **common,
        )
        owned = aws.s3.BucketOwnershipControls(
            name,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=child,
            **common,
        )
        aws.s3.BucketLifecycleConfiguration(name, rules=_lifecycle(args), opts=after, **common)
        arn = f"arn:aws:s3:::{args.bucket}"
        policy = aws.s3.BucketPolicy(
            name,
            policy=document(*_everywhere(arn), *args.statements),
            # S3 takes one change of a bucket's access at a time; the block comes first, so that no
            # policy is ever public.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[private]),
            **common,
        )
        self.bucket = made.bucket
        self.arn = arn
        self.ready = [versioning, lock, encryption, owned, policy]
        self.register_outputs({"bucket": self.bucket})


def _encryption(
    key: pulumi.Output[str] | None,
) -> aws.s3.BucketServerSideEncryptionConfigurationRuleArgs:
    if key is None:
        by = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="AES256"
        )
        return aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
            apply_server_side_encryption_by_default=by
        )
    by = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
        sse_algorithm="aws:kms", kms_master_key_id=key
    )
    return aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
        apply_server_side_encryption_by_default=by, bucket_key_enabled=True
    )


def _lifecycle(args: BucketArgs) -> list[aws.s3.BucketLifecycleConfigurationRuleArgs]:
    """Unfinished uploads go; versions go a day after their lock has ended, if they may go at all.

    An object that is written anew becomes a noncurrent version, and ages as such from then on; a
    version under lock is never removed by a lifecycle (S3 user guide, Object Lock considerations).
    """
    uploads = aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
        days_after_initiation=ABORT_UPLOADS_AFTER_DAYS
    )
    rules = [
        aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="unfinished-uploads",
            status="Enabled",
            filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
            abort_incomplete_multipart_upload=uploads,
        )
    ]
    if args.expires:
        days = args.retention_days + 1
        rules.append(
            aws.s3.BucketLifecycleConfigurationRuleArgs(
                id="after-retention",
                status="Enabled",
                filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=days),
                noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                    noncurrent_days=days
                ),
            )
        )
    return rules


def _everywhere(arn: str) -> list[Statement]:
    """What holds for each of these buckets: no plain HTTP."""
    return [
        {
            "Sid": "OverTlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


def nobody_removes(arn: str, *, unless: str | None) -> list[Statement]:
    """Nobody removes a version of a bucket's objects, lifts its lock, or removes the bucket.

    ``unless`` is the ARN of who may after all.

    Lifecycle still removes what its lock has let go: it is S3's own and passes no policy (S3 user
    guide, Lifecycle and other bucket configurations). Whoever wants to undo this must change the
    bucket's policy first.
    """
    others = {} if unless is None else {"Condition": {"ArnNotEquals": {"aws:PrincipalArn": unless}}}
    deny = {"Effect": "Deny", "Principal": "*", **others}
    return [
        {
            "Sid": "NobodyRemovesVersions",
            **deny,
            "Action": ["s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"],
            "Resource": f"{arn}/*",
        },
        {"Sid": "NobodyRemovesTheBucket", **deny, "Action": ["s3:DeleteBucket"], "Resource": arn},
    ]
