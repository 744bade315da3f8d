"""Queues of an asynchronous rail.

Instructions out, answers in, per region, each with a queue for what could not be processed.
"""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.documents import document
from infra.rails.watched import StandbyRailArgs, Watch, alarm
from seawall.conventions import aws as aws_names

_KEEP_S = 14 * 86_400
"""The longest that SQS keeps a message (API reference, CreateQueue, MessageRetentionPeriod).

A bank holiday must not lose one.
"""
_VISIBLE_AFTER_S = 60
"""How long one attempt may take before the message is given to somebody else."""
_ATTEMPTS = 5
"""After so many the message is put aside, and people are told."""
_AGE_S_MAX = 4 * 3_600
"""Bank hours hold instructions back, not the queue.

What nobody has taken for half a working day is stuck.
"""
_USE = [
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
]
_PERIOD_S = 60
"""SQS publishes its metrics every minute (SQS developer guide, Available CloudWatch metrics)."""


def queues_of(
    args: StandbyRailArgs, *, opts: pulumi.ResourceOptions
) -> dict[str, dict[str, dict[str, pulumi.Output[str]]]]:
    """Queues by region and direction: ``url``, ``arn``, ``dead_letter_url``, ``dead_letter_arn``.

    None for a synchronous rail.
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
        # Written down, not referred to: the source refers to this queue already.
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
    for watch, suffix in _watches(args, region, direction, name):
        alarm(f"{logical}-{suffix}-{region}", watch, topics=args.topics, tags=args.tags, opts=opts)
    return {
        "url": queue.url,
        "arn": queue.arn,
        "dead_letter_url": dead.url,
        "dead_letter_arn": dead.arn,
    }


def using_policy(workload: str, queue: str) -> str:
    """``workload`` sends and takes.

    What is put aside is for people, who come with permissions of their own.
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


def _watches(
    args: StandbyRailArgs, region: str, direction: str, name: str
) -> list[tuple[Watch, str]]:
    dead = aws_names.dead_letter_queue(name)
    return [
        (
            Watch(
                name=aws_names.queue_alarm(name, "dead-letters"),
                region=region,
                severity="critical",
                description=f"{direction} of {args.rail} were put aside after {_ATTEMPTS} attempts: a customer's money waits for a person.",
                namespace="AWS/SQS",
                metric="ApproximateNumberOfMessagesVisible",
                dimensions={"QueueName": dead},
                threshold=1,
                period_s=_PERIOD_S,
            ),
            "dead-depth",
        ),
        (
            Watch(
                name=aws_names.queue_alarm(name, "age"),
                region=region,
                severity="warning",
                description=f"The oldest of the {direction} of {args.rail} has waited for longer than a rail in order lets it.",
                namespace="AWS/SQS",
                metric="ApproximateAgeOfOldestMessage",
                dimensions={"QueueName": name},
                threshold=_AGE_S_MAX,
                period_s=_PERIOD_S,
            ),
            "age",
        ),
    ]
