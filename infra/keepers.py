"""Credentials with those who move the venue's money between its own wallets: custodian and carrier.

They are kept as those of rails are (:mod:`infra.rails`): one secret for each of them in each
region, which the treasury there alone may read, with an alarm on its age. The value is written by
hand (docs/standby.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.alarms import BREACHING, AlarmSpec, Topics, alarm
from infra.rails import AGE_PERIOD_S, RUNBOOK, reading_policy
from seawall.conventions import aws as aws_names
from seawall.policy import Policy


@dataclass(frozen=True, kw_only=True)
class KeepersArgs:
    """The inputs of :class:`Keepers`.

    Args:
        readers: ARN by region of the workload that runs the treasury there.
        topics: of both regions, for the alarms.
        ages_published: whether the age of credentials is published; until it is, its alarms act on
            nothing.
        recovery_window_days: how long a deleted secret can be restored.
    """

    policy: Policy
    regions: tuple[str, str]
    readers: Mapping[str, str]
    topics: Topics
    ages_published: bool
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
            who: {region: _secret(args, who, keeper, region, opts=child) for region in args.regions}
            for who, keeper in keepers_of(args.policy).items()
        }
        self.register_outputs({"keepers": self.outputs})


@dataclass(frozen=True, kw_only=True)
class Keeper:
    """One of them: what it is called, and for how long credentials with it are good."""

    name: str
    credential_age_ms_max: int


def keepers_of(policy: Policy) -> dict[str, Keeper]:
    """Those that the policy names, by who each is."""
    found = {}
    if (custody := policy.custody) is not None:
        found[aws_names.CUSTODIAN] = Keeper(
            name=custody.custodian, credential_age_ms_max=custody.credential_age_max
        )
    if (terms := policy.rebalancing) is not None:
        found[aws_names.CARRIER] = Keeper(
            name=terms.carrier, credential_age_ms_max=terms.credential_age_max
        )
    return found


def _secret(
    args: KeepersArgs, who: str, keeper: Keeper, region: str, *, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    venue = args.policy.venue.name
    secret = aws.secretsmanager.Secret(
        f"{who}-{region}",
        region=region,
        name=aws_names.keeper_secret(venue, who),
        description=(
            f"Credentials of {venue} with {keeper.name}, its {who}; the value is put by hand"
        ),
        policy=reading_policy(args.readers[region]),
        recovery_window_in_days=args.recovery_window_days,
        tags={**args.tags, "keeper": who},
        opts=opts,
    )
    spec = AlarmSpec(
        name=aws_names.keeper_alarm(venue, who),
        region=region,
        severity="warning",
        description=(
            f"Credentials with the {who} are older than the policy allows, or are not measured: "
            f"what it moves may be refused. {RUNBOOK}"
        ),
        namespace=aws_names.CLOUDWATCH_NAMESPACE,
        metric=aws_names.CREDENTIAL_AGE,
        dimensions={"keeper": who},
        threshold=keeper.credential_age_ms_max / 1_000,
        period_s=AGE_PERIOD_S,
        missing=BREACHING,
        armed=args.ages_published,
    )
    alarm(f"{who}-age-{region}", spec, topics=args.topics, tags=args.tags, opts=opts)
    return secret.arn
