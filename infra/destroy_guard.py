"""The seal of a stack: made last, removed first, and in a protected stack removed by nobody.

A destroy works through a stack from what nothing depends on. Without more, it would take down
aliases, alarms, roles and subscriptions of a protected stack before it met a protected key and
stopped (seen with the engine 3.258: 242 resources gone, then 25 refusals). The seal depends on
everything, so a destroy meets it first; it is protected, so that is where a destroy ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.settings import Deletion
from seawall.conventions import aws as aws_names


@dataclass(frozen=True, kw_only=True)
class SealArgs:
    """``digest`` of the policy that the stack was made from.

    The seal says it once all of it is there.
    """

    venue: str
    region: str
    digest: str
    deletion: Deletion
    tags: Mapping[str, str]


def seal(
    args: SealArgs, *, after: Sequence[pulumi.Resource], opts: pulumi.ResourceOptions
) -> aws.ssm.Parameter:
    """Declare the seal over everything in ``after``."""
    mine = pulumi.ResourceOptions(depends_on=list(after), protect=args.deletion.protect)
    return aws.ssm.Parameter(
        "deployed",
        region=args.region,
        name=aws_names.deployed_parameter(args.venue),
        description="Digest of the policy that this stack was made from; written after everything else",
        type="String",
        value=args.digest,
        tags=args.tags,
        opts=pulumi.ResourceOptions.merge(opts, mine),
    )
