"""Standby rails: failover data, credentials and queues of every rail, in both regions.

A failover creates nothing: everything that a client needs is already in the region that it runs in
(static stability).

Failover data: a client decides by itself, in its own process, and asks no control plane. Its
breaker is the one that the venue's settlers run (``seawall.controls.breaker``), so that the numbers
stand in one place.

Credentials: the stack makes one secret per side and region, says who may read it, and puts an alarm
on its age. The value is written by hand (docs/standby.md), so that neither state nor outputs can
leak it.

Queues: an asynchronous rail has one for instructions and one for answers in each region, each with
a dead-letter queue.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.alarms import BREACHING, AlarmSpec, Topics, alarm
from infra.documents import document
from seawall.controls.breaker import BreakerSettings
from seawall.conventions import aws as aws_names
from seawall.conventions import components
from seawall.policy import Policy
from seawall.policy.model import Rail

AGE_PERIOD_S = 3600
"""Ages are published once an hour (docs/standby.md), so each period of the alarm has one value."""
RUNBOOK = "docs/runbooks/credential-age.md"
"""What to do about credentials that are old, or not measured."""
_READ = ["secretsmanager:GetSecretValue"]
_KEEP_S = 14 * 86_400
"""The longest that SQS keeps a message (API reference, CreateQueue, MessageRetentionPeriod).

So a bank holiday loses none.
"""
_VISIBLE_AFTER_S = 60
"""How long one attempt may take before another consumer gets the message."""
_ATTEMPTS = 5
"""After so many failures the message goes to the dead-letter queue, which pages."""
_AGE_S_MAX = 4 * 3_600
"""A message that was not taken for half a working day is stuck.

Outside bank hours instructions are held back before the queue, not in it.
"""
_USE = [
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
]
_QUEUE_PERIOD_S = 60
"""SQS publishes its metrics every minute (SQS developer guide, Available CloudWatch metrics)."""


@dataclass(frozen=True, kw_only=True)
class StandbyRailArgs:
    """The inputs of a :class:`StandbyRail`.

    Args:
        rail: the rail's name in the policy.
        declared: what the policy says of it.
        regions: primary and standby.
        readers: ARN by region of the workload that pays over the rail there; it alone may read the
            credentials.
        topics: of both regions, for the alarms.
        ages_published: whether the age of credentials is published; until it is, its alarms act on
            nothing.
        recovery_window_days: how long a deleted secret can be restored.
    """

    venue: str
    rail: str
    declared: Rail
    regions: tuple[str, str]
    account: str
    readers: Mapping[str, str]
    topics: Topics
    ages_published: bool
    recovery_window_days: int
    tags: Mapping[str, str]


class StandbyRail(pulumi.ComponentResource):
    """Primary and standby of one rail.

    ``failover`` is what a client in a region needs (:func:`failover_of`). With the places of its
    credentials and queues it is kept as one document, so that no client reads a new endpoint beside
    an old timeout.

    Attributes:
        outputs: endpoints, secrets, queues, parameter, and failover data by region; no secret
            value.
    """

    outputs: dict[str, Any]

    def __init__(
        self,
        args: StandbyRailArgs,
        *,
        failover: Mapping[str, Mapping[str, Any]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("seawall:infra:StandbyRail", args.rail, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        secrets = secrets_of(args, opts=child)
        queues = queues_of(args, opts=child)
        name = aws_names.rail_parameter(args.venue, args.rail)
        complete = {
            region: {
                **failover[region],
                "credentials": secrets[region],
                "queues": queues.get(region, {}),
            }
            for region in args.regions
        }
        for region in args.regions:
            aws.ssm.Parameter(
                f"{args.rail}-{region}",
                region=region,
                name=name,
                type="String",
                description=f"How a client in {region} reaches {args.rail}, and how it fails over",
                value=pulumi.Output.json_dumps(complete[region], sort_keys=True),
                tags=args.tags,
                opts=child,
            )
        self.outputs = {
            "endpoints": args.declared.endpoints.model_dump(),
            "parameter": name,
            "secrets": secrets,
            "queues": queues,
            "failover": complete,
        }
        self.register_outputs({"rail": self.outputs})


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
        description=(
            f"Credentials of {args.venue} with {provider}, the {side} of {args.rail}; the value "
            "is put by hand"
        ),
        policy=reading_policy(args.readers[region]),
        recovery_window_in_days=args.recovery_window_days,
        tags=args.tags,
        opts=opts,
    )
    name = aws_names.credential_alarm(args.venue, args.rail, side)
    spec = AlarmSpec(
        name=name,
        region=region,
        severity="warning",
        description=(
            f"Credentials of the {side} of {args.rail} are older than the policy allows, or "
            f"are not measured: a failover may be refused. {RUNBOOK}"
        ),
        namespace=aws_names.CLOUDWATCH_NAMESPACE,
        metric=aws_names.CREDENTIAL_AGE,
        dimensions={"rail": args.rail, "side": side},
        threshold=args.declared.credential_age_max / 1_000,
        period_s=AGE_PERIOD_S,
        missing=BREACHING,
        armed=args.ages_published,
    )
    alarm(f"{args.rail}-{side}-age-{region}", spec, topics=args.topics, tags=args.tags, opts=opts)
    return secret.arn


def reading_policy(reader: str) -> str:
    """The policy of a secret: only ``reader`` may read it, whatever identity policies say.

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


def queues_of(
    args: StandbyRailArgs, *, opts: pulumi.ResourceOptions
) -> dict[str, dict[str, dict[str, pulumi.Output[str]]]]:
    """Queues by region and direction: ``url``, ``arn``, ``dead_letter_url``, ``dead_letter_arn``.

    Empty for a synchronous rail.
    """
    if not args.declared.asynchronous:
        return {}
    return {
        region: {
            direction: _queue(args, region, direction, opts=opts)
            for direction in aws_names.RAIL_DIRECTIONS
        }
        for region in args.regions
    }


def _queue(
    args: StandbyRailArgs, region: str, direction: str, *, opts: pulumi.ResourceOptions
) -> dict[str, pulumi.Output[str]]:
    name = aws_names.rail_queue(args.venue, args.rail, direction)
    logical = f"{args.rail}-{direction}"
    common: dict[str, Any] = {
        "region": region,
        "sqs_managed_sse_enabled": True,
        "tags": args.tags,
        "opts": opts,
    }
    source = f"arn:aws:sqs:{region}:{args.account}:{name}"
    dead = aws.sqs.Queue(
        f"{logical}-dead-{region}",
        name=aws_names.dead_letter_queue(name),
        message_retention_seconds=_KEEP_S,
        # The ARN is written out, because the source already refers to this queue.
        redrive_allow_policy=json.dumps(
            {"redrivePermission": "byQueue", "sourceQueueArns": [source]}
        ),
        **common,
    )
    queue = aws.sqs.Queue(
        f"{logical}-{region}",
        name=name,
        message_retention_seconds=_KEEP_S,
        visibility_timeout_seconds=_VISIBLE_AFTER_S,
        policy=using_policy(args.readers[region], source),
        redrive_policy=dead.arn.apply(
            lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": _ATTEMPTS})
        ),
        **common,
    )
    for spec, suffix in _alarms(args, region, direction, name):
        alarm(f"{logical}-{suffix}-{region}", spec, topics=args.topics, tags=args.tags, opts=opts)
    return {
        "url": queue.url,
        "arn": queue.arn,
        "dead_letter_url": dead.url,
        "dead_letter_arn": dead.arn,
    }


def using_policy(workload: str, queue: str) -> str:
    """The policy of a queue: ``workload`` may send and receive.

    Dead letters are for people, who have permissions of their own.
    """
    return document(
        {
            "Sid": "Use",
            "Effect": "Allow",
            "Principal": {"AWS": workload},
            "Action": _USE,
            "Resource": queue,
        }
    )


def _alarms(
    args: StandbyRailArgs, region: str, direction: str, name: str
) -> list[tuple[AlarmSpec, str]]:
    dead = aws_names.dead_letter_queue(name)
    return [
        (
            AlarmSpec(
                name=aws_names.queue_alarm(name, "dead-letters"),
                region=region,
                severity="critical",
                description=(
                    f"{direction} of {args.rail} were put aside after {_ATTEMPTS} attempts: a "
                    "customer's money waits for a person."
                ),
                namespace="AWS/SQS",
                metric="ApproximateNumberOfMessagesVisible",
                dimensions={"QueueName": dead},
                threshold=1,
                period_s=_QUEUE_PERIOD_S,
            ),
            "dead-depth",
        ),
        (
            AlarmSpec(
                name=aws_names.queue_alarm(name, "age"),
                region=region,
                severity="warning",
                description=(
                    f"The oldest of the {direction} of {args.rail} has waited for longer than a "
                    "rail in order lets it."
                ),
                namespace="AWS/SQS",
                metric="ApproximateAgeOfOldestMessage",
                dimensions={"QueueName": name},
                threshold=_AGE_S_MAX,
                period_s=_QUEUE_PERIOD_S,
            ),
            "age",
        ),
    ]


def failover_of(policy: Policy, rail: str, *, region: str) -> dict[str, Any]:
    """Failover data of ``rail`` for a client in ``region``: plain data, times in milliseconds.

    A network's sides are its signing regions, so each region prefers its own; any other rail
    prefers its primary.
    """
    declared = policy.rails[rail]
    breaker = BreakerSettings()
    return {
        "rail": rail,
        "kind": declared.kind,
        "order": _order(declared, region),
        "sides": {side: _side(declared, side) for side in components.SIDES},
        "breaker": {
            "failures_to_open": breaker.failures_to_open,
            "successes_to_close": breaker.successes_to_close,
            "probe_every_ms": breaker.probe_every_ms,
        },
        "timeout_ms": _timeout_ms(policy, breaker),
        "failover_ms_max": policy.targets.failover_max,
    }


def _side(declared: Rail, side: str) -> Mapping[str, str]:
    return {"provider": getattr(declared, side), "endpoint": getattr(declared.endpoints, side)}


def _order(declared: Rail, region: str) -> list[str]:
    if declared.kind == "network" and region == declared.standby:
        return ["standby", "primary"]
    return ["primary", "standby"]


def _timeout_ms(policy: Policy, breaker: BreakerSettings) -> int:
    """How long one attempt may take.

    The failures that open the breaker and the first attempt on the standby fit into the target.
    """
    return policy.targets.failover_max // (breaker.failures_to_open + 1)
