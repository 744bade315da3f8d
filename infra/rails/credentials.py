"""Credentials of a rail: one secret per side and region, whose value no program of ours ever holds.

The stack makes the secret, says who may read it, and watches its age. The value is put out of band
(docs/standby.md), so that neither state nor outputs can leak it.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.documents import document
from infra.rails.watched import BREACHING, StandbyRailArgs, Watch, alarm
from seawall.conventions import aws as aws_names
from seawall.conventions import components

_PERIOD_S = 3600
"""Ages are published once an hour (docs/standby.md); an alarm then looks at one value at a time."""
_READ = ["secretsmanager:GetSecretValue"]


def secrets_of(
    args: StandbyRailArgs, *, opts: pulumi.ResourceOptions
) -> dict[str, dict[str, pulumi.Output[str]]]:
    """ARN by region and side of every secret of a rail, each with its age alarm."""
    return {
        region: {side: _secret(args, region, side, opts=opts) for side in components.SIDES}
        for region in args.regions
    }


def _secret(
    args: StandbyRailArgs, region: str, side: str, *, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    provider = getattr(args.declared, side)
    secret = aws.secretsmanager.Secret(
        f"{args.rail}-{side}-{region}",
        region=region,
        name=aws_names.rail_secret(args.venue, args.rail, side),
        description=f"Credentials of {args.venue} with {provider}, the {side} of {args.rail}; the value is put by hand",
        policy=reading_policy(args.readers[region]),
        recovery_window_in_days=args.recovery_window_days,
        tags=args.tags,
        opts=opts,
    )
    name = aws_names.credential_alarm(args.venue, args.rail, side)
    watch = Watch(
        name=name,
        region=region,
        severity="warning",
        description=f"Credentials of the {side} of {args.rail} are older than the policy allows, or nobody measures it: a failover may meet a locked door.",
        namespace=aws_names.CLOUDWATCH_NAMESPACE,
        metric=aws_names.CREDENTIAL_AGE,
        dimensions={"rail": args.rail, "side": side},
        threshold=args.declared.credential_age_max / 1_000,
        period_s=_PERIOD_S,
        missing=BREACHING,
        armed=args.ages_published,
    )
    alarm(f"{args.rail}-{side}-age-{region}", watch, topics=args.topics, tags=args.tags, opts=opts)
    return secret.arn


def reading_policy(reader: str) -> str:
    """Who may read a secret.

    ``reader``, and whatever its account's identity policies say, nobody else.

    In a secret's own policy the resource is the secret itself, written ``*`` (Secrets Manager user
    guide, Resource-based policies).
    """
    return document(
        {
            "Sid": "Read",
            "Effect": "Allow",
            "Principal": {"AWS": reader},
            "Action": _READ,
            "Resource": "*",
        },
        {
            "Sid": "NobodyElseReads",
            "Effect": "Deny",
            "Principal": "*",
            "Action": _READ,
            "Resource": "*",
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": reader}},
        },
    )
