"""Examples of the resource types of EventBridge."""

from __future__ import annotations

import json

from tests.testing.stack_types.example import Example
from tests.testing.stack_types.sns import TOPIC_NEEDED

PATTERN = json.dumps({"source": ["aws.kms"]})
OTHER_PATTERN = json.dumps(
    {"source": ["aws.kms"], "detail": {"eventName": [{"prefix": "Disable"}]}}
)
RULE_NEEDED = (
    "aws:cloudwatch/eventRule:EventRule",
    {"name": "seawall-rule", "eventPattern": PATTERN},
)

EXAMPLES: dict[str, Example] = {
    "aws:cloudwatch/eventRule:EventRule": Example(
        inputs={
            "name": "seawall-thing",
            "eventPattern": PATTERN,
            "scheduleExpression": "rate(5 minutes)",
            "description": "one",
            "roleArn": "arn:aws:iam::123456789012:role/seawall-one",
            "tags": {"a": "1", "b": "2"},
        },
        changed={
            "eventPattern": OTHER_PATTERN,
            "scheduleExpression": "rate(6 minutes)",
            "state": "DISABLED",
            "description": "two",
            "roleArn": "arn:aws:iam::123456789012:role/seawall-two",
            "tags": {"a": "3"},
        },
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Example(
        inputs={
            "rule": "$rule.name",
            "targetId": "page",
            "arn": "$topic.arn",
            "inputTransformer": {
                "inputPaths": {"who": "$.detail.userIdentity.arn"},
                "inputTemplate": '"<who> did it"',
            },
            "retryPolicy": {"maximumEventAgeInSeconds": 60, "maximumRetryAttempts": 1},
            "deadLetterConfig": {"arn": "arn:aws:sqs:us-east-1:123456789012:dead"},
            "roleArn": "arn:aws:iam::123456789012:role/seawall-one",
        },
        changed={
            "arn": "arn:aws:sqs:us-east-1:123456789012:queue.fifo",
            "inputTransformer": {"inputTemplate": '"someone did it"'},
            "retryPolicy": {"maximumRetryAttempts": 2},
            "deadLetterConfig": {"arn": "arn:aws:sqs:us-east-1:123456789012:other"},
            "roleArn": "arn:aws:iam::123456789012:role/seawall-two",
            "sqsTarget": {"messageGroupId": "one"},
        },
        needs={"rule": RULE_NEEDED, "topic": TOPIC_NEEDED},
        together=("arn", "sqsTarget"),
    ),
}
