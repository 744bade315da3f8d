"""Credentials with those who move the venue's money between its own wallets: custodian and carrier.

They are kept as those of rails are (:mod:`infra.rails`): one secret for each of them in each
region, which the treasury there alone may read. The value is written by hand (docs/standby.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.rails import reading_policy
from seawall.conventions import aws as aws_names
from seawall.policy import Policy


@dataclass(frozen=True, kw_only=True)
class KeepersArgs:
    """The inputs of :class:`Keepers`.

    Args:
        readers: ARN by region of the workload that runs the treasury there.
        recovery_window_days: how long a deleted secret can be restored.
    """

    policy: Policy
    regions: tuple[str, str]
    readers: Mapping[str, str]
    recovery_window_days: int
    tags: Mapping[str, str]


class Keepers(pulumi.ComponentResource):
    """The secrets of those that the policy names.

    Attributes:
        outputs: ARN by who it is (``custodian``, ``carrier``) and region; no secret value.
    """

    outputs: dict[str, dict[str, pulumi.Output[str]]]

    def __init__(self, args: KeepersArgs, *, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:Keepers", "keepers", None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.outputs = {
            who: {region: _secret(args, who, name, region, opts=child) for region in args.regions}
            for who, name in keepers_of(args.policy).items()
        }
        self.register_outputs({"keepers": self.outputs})


def keepers_of(policy: Policy) -> dict[str, str]:
    """What each is called, by who it is; those that the policy names."""
    found = {}
    if policy.custody is not None:
        found[aws_names.CUSTODIAN] = policy.custody.custodian
    if policy.rebalancing is not None:
        found[aws_names.CARRIER] = policy.rebalancing.carrier
    return found


def _secret(
    args: KeepersArgs, who: str, name: str, region: str, *, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    venue = args.policy.venue.name
    secret = aws.secretsmanager.Secret(
        f"{who}-{region}",
        region=region,
        name=aws_names.keeper_secret(venue, who),
        description=f"Credentials of {venue} with {name}, its {who}; the value is put by hand",
        policy=reading_policy(args.readers[region]),
        recovery_window_in_days=args.recovery_window_days,
        tags={**args.tags, "keeper": who},
        opts=opts,
    )
    return secret.arn
