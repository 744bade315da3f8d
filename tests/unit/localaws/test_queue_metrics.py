"""The metrics of a queue for alarms; the times are in the messages, not in the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto.sqs.models import Message, sqs_backends

from localaws.emulator.services.cloudwatch import queue_metric

ACCOUNT, REGION, NAME = "123456789012", "us-east-1", "instructions"
NOW = 1_900_000_000.0
NEVER_MS = 1e18


@pytest.fixture(autouse=True)
def queue() -> Iterator[None]:
    """Two messages wait, of which one is old; three were received and not deleted.

    Four are delayed.
    """
    backend = sqs_backends[ACCOUNT][REGION]
    made = backend.create_queue(NAME)
    backend.create_queue("empty")
    for age_s, visible_at, delayed_until in (
        (5, 0.0, 0.0),
        (120, 0.0, 0.0),
        *[(60, NEVER_MS, 0.0)] * 3,
        *[(1, 0.0, NEVER_MS)] * 4,
    ):
        message = Message("id", "a payout")
        message.sent_timestamp = int((NOW - age_s) * 1_000)  # type: ignore[assignment]
        message.visible_at, message.delayed_until = visible_at, delayed_until
        made._messages.append(message)
    yield
    for name in (NAME, "empty"):
        backend.queues.pop(name)


def value(metric: str, *, region: str = REGION, **dimensions: str) -> float | None:
    return queue_metric(
        account=ACCOUNT,
        region=region,
        metric=metric,
        dimensions=dimensions or {"QueueName": NAME},
        now=NOW,
    )


@pytest.mark.parametrize(
    ("metric", "full", "empty"),
    [
        ("ApproximateNumberOfMessagesVisible", 2.0, 0.0),
        ("ApproximateNumberOfMessagesNotVisible", 3.0, 0.0),
        ("ApproximateNumberOfMessagesDelayed", 4.0, 0.0),
        ("ApproximateAgeOfOldestMessage", 120.0, 0.0),
        ("SentMessageSize", None, None),
    ],
)
def test_each_message_counts_where_aws_counts_it(
    metric: str, full: float | None, empty: float | None
) -> None:
    assert value(metric) == full
    assert value(metric, QueueName="empty") == empty


def test_measuring_takes_no_message_away() -> None:
    assert [value("ApproximateNumberOfMessagesVisible") for _ in range(2)] == [2.0, 2.0]


def test_what_is_not_there_has_no_value() -> None:
    """Missing data is not zero.

    Zero would be a measurement; how missing data counts is set at the alarm.
    """
    metric = "ApproximateNumberOfMessagesVisible"
    assert value(metric, QueueName="nobody") is None
    assert value(metric, region="us-west-2") is None
    assert value(metric, Queue=NAME) is None
    assert value(metric, QueueName=NAME, Rail="fiat") is None
