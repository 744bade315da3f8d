"""The depth and age of queues are metrics, so that alarms on them act.

SQS developer guide, "Available CloudWatch metrics for Amazon SQS": namespace AWS/SQS, dimension
QueueName, one datum a minute. moto publishes none. Here a queue is looked at whenever an alarm on
it is evaluated, so its alarms are some seconds faster than on AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.sqs.models import Queue, sqs_backends

NAMESPACE = "AWS/SQS"


def measured(
    *, account: str, region: str, metric: str, dimensions: Mapping[str, str], now: float
) -> float | None:
    """What ``metric`` of a queue is at Unix time ``now``.

    None for one that is not measured, or a queue that is not there.
    """
    if set(dimensions) != {"QueueName"}:
        return None
    queue = sqs_backends[account][region].queues.get(dimensions["QueueName"])
    return None if queue is None else _value(queue, metric, now)


def _value(queue: Queue, metric: str, now: float) -> float | None:
    waiting: list[Any] = list(queue._messages)  # noqa: SLF001 - its public list receives
    if metric == "ApproximateNumberOfMessagesVisible":
        return float(sum(1 for message in waiting if message.visible and not message.delayed))
    if metric == "ApproximateNumberOfMessagesNotVisible":
        return float(sum(1 for message in waiting if not message.visible))
    if metric == "ApproximateNumberOfMessagesDelayed":
        return float(sum(1 for message in waiting if message.delayed))
    if metric == "ApproximateAgeOfOldestMessage":
        return max((now - message.sent_timestamp / 1000 for message in waiting), default=0.0)
    return None
