"""The destroy guard: a resource at which `pulumi destroy` of a protected stack stops, first of all.

A destroy begins with what nothing depends on. Without this resource it would remove the aliases,
alarms, roles and subscriptions of a protected stack before it met the first protected key and
stopped (seen with the engine 3.258: 242 resources gone, then 25 refusals). The destroy guard
depends on everything, so a destroy meets it first; it is protected, so the destroy ends there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.settings import Deletion
from seawall.conventions import aws as aws_names


@dataclass(frozen=True, kw_only=True)
class DestroyGuardArgs:
    """The inputs of the destroy guard.

    Args:
        region: where the parameter is.
        digest: of the policy's infrastructure sections. It is the parameter's value, so it
            is written once everything else exists.
    """

    venue: str
    region: str
    digest: str
    deletion: Deletion
    tags: Mapping[str, str]


def declare_destroy_guard(
    args: DestroyGuardArgs, *, after: Sequence[pulumi.Resource], opts: pulumi.ResourceOptions
) -> aws.ssm.Parameter:
    """Declare the destroy guard over everything in ``after``."""
    mine = pulumi.ResourceOptions(depends_on=list(after), protect=args.deletion.protect)
    return aws.ssm.Parameter(
        "deployed",
        region=args.region,
        name=aws_names.deployed_parameter(args.venue),
        description=(
            "Digest of the policy that this stack was made from; written after everything else"
        ),
        type="String",
        value=args.digest,
        tags=args.tags,
        opts=pulumi.ResourceOptions.merge(opts, mine),
    )
