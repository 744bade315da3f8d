"""The bucket of the evidence of drills: its objects cannot be changed once they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.bucket import BucketArgs, LockedBucket, deny_removal


@dataclass(frozen=True, kw_only=True)
class EvidenceArgs:
    """The inputs of :class:`Evidence`.

    Args:
        bucket: its globally unique name.
        region: should not be the one whose loss the evidence is about.
        retention_days: how long a new object is locked.
        lock_mode: GOVERNANCE or COMPLIANCE.
        remover: ARN of the principal that may remove evidence of a disposable stack; None in a
            protected stack, where none may.
    """

    bucket: str
    region: str
    retention_days: int
    lock_mode: str
    remover: str | None
    tags: Mapping[str, str]


class Evidence(pulumi.ComponentResource):
    """A versioned bucket under object lock; ``bucket`` is its name."""

    bucket: pulumi.Output[str]

    def __init__(self, name: str, args: EvidenceArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:Evidence", name, None, opts)
        arn = f"arn:aws:s3:::{args.bucket}"
        made = LockedBucket(
            name,
            BucketArgs(
                bucket=args.bucket,
                region=args.region,
                retention_days=args.retention_days,
                lock_mode=args.lock_mode,
                protect=args.remover is None,
                statements=deny_removal(arn, unless=args.remover),
                tags=args.tags,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.bucket = made.bucket
        self.register_outputs({"bucket": self.bucket})
