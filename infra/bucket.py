"""A bucket for what must not be lost: versioned, under object lock, encrypted, private."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.documents import Statement, document

ABORT_UPLOADS_AFTER_DAYS = 7
"""Parts of an abandoned upload are billed, and not listed with the objects."""


@dataclass(frozen=True, kw_only=True)
class BucketArgs:
    """The inputs of a :class:`LockedBucket`.

    Args:
        bucket: its globally unique name.
        retention_days: how long a new version is locked.
        lock_mode: GOVERNANCE or COMPLIANCE.
        protect: whether the engine must refuse to delete the bucket.
        expires: whether a lifecycle removes versions once their lock has ended, never before.
        key: ARN of the KMS key that encrypts the objects. Without one S3's own keys do, which can
            be read without KMS: the evidence may be about a KMS that does not answer.
        statements: added to the bucket's policy.
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
    """The bucket and everything that the refusals ask of one.

    Attributes:
        bucket: its name.
        arn: known before the bucket is created.
        ready: what must exist before anything is written or replicated.
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
    # Not at the module's level: importing pulumi_aws.s3 warns of its own deprecated names.
    by_default = (
        aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs
    )
    if key is None:
        return aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
            apply_server_side_encryption_by_default=by_default(sse_algorithm="AES256")
        )
    return aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
        apply_server_side_encryption_by_default=by_default(
            sse_algorithm="aws:kms", kms_master_key_id=key
        ),
        bucket_key_enabled=True,
    )


def _lifecycle(args: BucketArgs) -> list[aws.s3.BucketLifecycleConfigurationRuleArgs]:
    """Remove unfinished uploads and, if versions expire, each version a day after its lock ended.

    An object that is overwritten becomes a noncurrent version and ages as such from then on; a
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
    """The statement of every such bucket: no plain HTTP."""
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


def deny_removal(arn: str, *, unless: str | None) -> list[Statement]:
    """Statements that let only ``unless`` (an ARN) remove a version, a lock or the bucket.

    A lifecycle still removes versions whose lock has ended: it is S3's own and passes no policy (S3
    user guide, Lifecycle and other bucket configurations). To undo this, the bucket's policy must
    be changed first.
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
