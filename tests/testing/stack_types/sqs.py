"""Examples of the resource types of SQS."""

from __future__ import annotations

import json

from tests.testing.iam_requests import document
from tests.testing.stack_types.example import Example

QUEUE_NEEDED = ("aws:sqs/queue:Queue", {"name": "seawall-dead"})
ARN = "arn:aws:sqs:us-east-1:123456789012"
SEND = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Resource": "*"}


def redrive(times: int) -> str:
    return json.dumps({"deadLetterTargetArn": f"{ARN}:seawall-dead", "maxReceiveCount": times})


def allow(*names: str) -> str:
    return json.dumps(
        {"redrivePermission": "byQueue", "sourceQueueArns": [f"{ARN}:{name}" for name in names]}
    )


EXAMPLES: dict[str, Example] = {
    "aws:sqs/queue:Queue": Example(
        inputs={
            "name": "seawall-thing",
            "visibilityTimeoutSeconds": 60,
            "redrivePolicy": redrive(3),
            "redriveAllowPolicy": allow("seawall-a"),
            "kmsMasterKeyId": "alias/aws/sqs",
            "kmsDataKeyReusePeriodSeconds": 600,
            "policy": document({**SEND, "Action": "sqs:SendMessage"}),
            "tags": {"a": "1"},
        },
        changed={
            "visibilityTimeoutSeconds": 90,
            "messageRetentionSeconds": 1_209_600,
            "delaySeconds": 5,
            "maxMessageSize": 1024,
            "receiveWaitTimeSeconds": 20,
            "redrivePolicy": redrive(5),
            "redriveAllowPolicy": allow("seawall-a", "seawall-b"),
            "kmsMasterKeyId": "alias/seawall/queue",
            "kmsDataKeyReusePeriodSeconds": 300,
            "policy": document({**SEND, "Action": "sqs:*"}),
            "tags": {"b": "2"},
        },
        needs={"dead": QUEUE_NEEDED},
    ),
    "aws:sqs/queuePolicy:QueuePolicy": Example(
        inputs={
            "queueUrl": "$queue.url",
            "policy": document({**SEND, "Action": "sqs:SendMessage"}),
        },
        changed={"policy": document({**SEND, "Action": "sqs:*"})},
        needs={"queue": QUEUE_NEEDED},
    ),
}
