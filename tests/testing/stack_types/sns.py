"""Examples of the resource types of SNS."""

from __future__ import annotations

import json

from localaws.provider.values import Properties
from tests.testing.iam_requests import document
from tests.testing.stack_types.example import Example

TOPIC_NEEDED = ("aws:sns/topic:Topic", {"name": "seawall-topic"})
DEAD = "arn:aws:sqs:us-east-1:123456789012:dead"


def publishing(service: str) -> str:
    """A topic policy that lets ``service`` publish."""
    may: Properties = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sns:Publish",
        "Resource": "arn:aws:sns:us-east-1:123456789012:*",
    }
    return document(may)


def retries(number: int) -> str:
    """A delivery policy of ``number`` retries."""
    return json.dumps({"healthyRetryPolicy": {"numRetries": number}})


EXAMPLES: dict[str, Example] = {
    "aws:sns/topic:Topic": Example(
        inputs={
            "name": "seawall-thing",
            "kmsMasterKeyId": "alias/one",
            "policy": publishing("events.amazonaws.com"),
            "deliveryPolicy": json.dumps(
                {"http": {"defaultHealthyRetryPolicy": {"numRetries": 3}}}
            ),
            "tags": {"a": "1"},
        },
        changed={
            "displayName": "Thing",
            "kmsMasterKeyId": "alias/two",
            "policy": publishing("cloudwatch.amazonaws.com"),
            "deliveryPolicy": json.dumps(
                {"http": {"defaultHealthyRetryPolicy": {"numRetries": 5}}}
            ),
            "tags": {"a": "2"},
        },
    ),
    "aws:sns/topicPolicy:TopicPolicy": Example(
        inputs={"arn": "$topic.arn", "policy": publishing("events.amazonaws.com")},
        changed={"policy": publishing("cloudwatch.amazonaws.com")},
        needs={"topic": TOPIC_NEEDED},
    ),
    "aws:sns/topicSubscription:TopicSubscription": Example(
        inputs={
            "topic": "$topic.arn",
            "protocol": "sqs",
            "endpoint": "arn:aws:sqs:us-east-1:123456789012:pages",
            "filterPolicy": json.dumps({"severity": ["critical"]}),
            "filterPolicyScope": "MessageAttributes",
            "redrivePolicy": json.dumps({"deadLetterTargetArn": DEAD}),
            "deliveryPolicy": retries(1),
            "subscriptionRoleArn": "arn:aws:iam::123456789012:role/seawall-one",
        },
        changed={
            "rawMessageDelivery": True,
            "filterPolicy": json.dumps({"severity": ["warning"]}),
            "filterPolicyScope": "MessageBody",
            "redrivePolicy": json.dumps({"deadLetterTargetArn": f"{DEAD}er"}),
            "deliveryPolicy": retries(2),
            "subscriptionRoleArn": "arn:aws:iam::123456789012:role/seawall-two",
        },
        needs={"topic": TOPIC_NEEDED},
    ),
}
