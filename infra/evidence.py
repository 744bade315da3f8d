"""Where the evidence of drills is kept: a bucket whose objects cannot be changed once written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.settings import Deletion


@dataclass(frozen=True, kw_only=True)
class EvidenceArgs:
    """``region`` should not be the one whose loss the evidence is about."""

    name: pulumi.Output[str]
    region: str
    retention_days: int
    lock_mode: str
    deletion: Deletion
    tags: Mapping[str, str]


class Evidence(pulumi.ComponentResource):
    """A versioned bucket under object lock; ``bucket`` is its name."""

    bucket: pulumi.Output[str]

    def __init__(self, name: str, args: EvidenceArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:Evidence", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            name,
            region=args.region,
            bucket=args.name,
            object_lock_enabled=True,
            force_destroy=not args.deletion.protect,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.deletion.protect),
        )
        versioning = aws.s3.BucketVersioning(
            name,
            region=args.region,
            bucket=bucket.bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=child,
        )
        retention = aws.s3.BucketObjectLockConfigurationRuleDefaultRetentionArgs(
            mode=args.lock_mode, days=args.retention_days
        )
        aws.s3.BucketObjectLockConfiguration(
            name,
            region=args.region,
            bucket=bucket.bucket,
            rule=aws.s3.BucketObjectLockConfigurationRuleArgs(default_retention=retention),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        self.bucket = bucket.bucket
        self.register_outputs({"bucket": self.bucket})
