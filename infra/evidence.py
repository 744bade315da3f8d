"""Where the evidence of drills is kept: a bucket whose objects cannot be changed once written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.bucket import BucketArgs, LockedBucket
from infra.documents import Statement


@dataclass(frozen=True, kw_only=True)
class EvidenceArgs:
    """``bucket`` is its name in the world.

    ``region`` should not be the one whose loss the evidence is about.

    ``remover``: ARN of who may remove evidence, of a stack that may be thrown away; None, as it
    should be, is nobody.
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
                statements=forever(arn, unless=args.remover),
                tags=args.tags,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.bucket = made.bucket
        self.register_outputs({"bucket": self.bucket})


def forever(arn: str, *, unless: str | None) -> list[Statement]:
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
