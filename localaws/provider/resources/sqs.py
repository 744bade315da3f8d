"""SQS: queues with their dead-letter queues, and queue policies.

They act: moto moves messages that were received too often. The id of both, and what is imported,
is the queue's URL. What forces a replacement follows upstream (hashicorp/terraform-provider-aws,
internal/service/sqs/queue.go, queue_policy.go, ForceNew).
"""

from __future__ import annotations

import json
from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.sameness import equal, same_document
from localaws.provider.table import Property, ResourceType
from localaws.provider.tagging import Tagging
from localaws.provider.values import Properties

_TAGGING = Tagging(
    service="sqs",
    by="url",
    resource="QueueUrl",
    list="list_queue_tags",
    add="tag_queue",
    remove="untag_queue",
    pair=None,
)
_GONE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_NUMBERS = {
    "delaySeconds": ("DelaySeconds", 0),
    "kmsDataKeyReusePeriodSeconds": ("KmsDataKeyReusePeriodSeconds", 300),
    "maxMessageSize": ("MaximumMessageSize", 262_144),
    "messageRetentionSeconds": ("MessageRetentionPeriod", 345_600),
    "receiveWaitTimeSeconds": ("ReceiveMessageWaitTimeSeconds", 0),
    "visibilityTimeoutSeconds": ("VisibilityTimeout", 30),
}
"""Properties that are numbers, what SQS calls them, and upstream's defaults (names.go), which are
sent like declared ones.
"""
_FLAGS = {
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "fifoQueue": "FifoQueue",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
}
_TEXTS = {
    "deduplicationScope": "DeduplicationScope",
    "fifoThroughputLimit": "FifoThroughputLimit",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "policy": "Policy",
    "redriveAllowPolicy": "RedriveAllowPolicy",
    "redrivePolicy": "RedrivePolicy",
}
_ATTRIBUTES = {**{ours: theirs for ours, (theirs, _) in _NUMBERS.items()}, **_FLAGS, **_TEXTS}
_DOCUMENTS = ("policy", "redriveAllowPolicy", "redrivePolicy")
_NOT_PLAIN = frozenset({"contentBasedDeduplication", "fifoQueue", "kmsDataKeyReusePeriodSeconds"})
"""SQS takes these for FIFO or encrypted queues only, so they are sent where they are declared and
not off.
"""


def same_redrive(one: Any, other: Any) -> bool:
    """Whether two documents say the same; a count may be written as a text."""
    if isinstance(one, str) and isinstance(other, str):
        try:
            described = [json.loads(text) for text in (one, other)]
        except ValueError:
            return one == other
        for document in described:
            if isinstance(document, dict) and "maxReceiveCount" in document:
                document["maxReceiveCount"] = str(document["maxReceiveCount"])
        return bool(described[0] == described[1])
    return equal(one, other)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(inputs: Properties, name: str) -> bool:
    return name in _NOT_PLAIN and not inputs.get(name)


def _create_queue(aws: Aws, inputs: Properties) -> str:
    attributes = {
        theirs: _text(inputs[ours])
        for ours, theirs in _ATTRIBUTES.items()
        if inputs.get(ours) is not None and not _plain(inputs, ours)
    }
    tags = {"tags": inputs["tags"]} if inputs.get("tags") else {}
    return str(
        aws.sqs.create_queue(QueueName=inputs["name"], Attributes=attributes, **tags)["QueueUrl"]
    )


def _read_queue(aws: Aws, url: str) -> Properties:
    described = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return {
        **{
            ours: int(described[theirs])
            for ours, (theirs, _) in _NUMBERS.items()
            if theirs in described
        },
        **{ours: described.get(theirs, "false") == "true" for ours, theirs in _FLAGS.items()},
        **{ours: described.get(theirs) for ours, theirs in _TEXTS.items()},
        "name": described["QueueArn"].rpartition(":")[2],
        "arn": described["QueueArn"],
        "url": url,
    }


def _update_queue(aws: Aws, url: str, old: Properties, new: Properties) -> None:
    """Reset what is no longer declared to its default; an empty text removes a document."""
    attributes = {}
    for ours, theirs in _ATTRIBUTES.items():
        if QUEUE.inputs[ours].same(old.get(ours), new.get(ours)) or QUEUE.inputs[ours].replaces:
            continue
        if new.get(ours) is not None:
            attributes[theirs] = _text(new[ours])
        elif ours in _DOCUMENTS or ours == "kmsMasterKeyId":
            attributes[theirs] = ""
        elif ours in _NUMBERS:
            attributes[theirs] = str(_NUMBERS[ours][1])
    if attributes:
        aws.sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)


QUEUE = ResourceType(
    kind="aws:sqs/queue:Queue",
    acts=True,
    inputs={
        "name": Property(required=True, replaces=True),
        **{
            ours: Property(
                default=None if ours in _NOT_PLAIN else usual, computed=ours in _NOT_PLAIN
            )
            for ours, (_, usual) in _NUMBERS.items()
        },
        "contentBasedDeduplication": Property(default=False),
        "fifoQueue": Property(default=False, replaces=True),
        "sqsManagedSseEnabled": Property(computed=True),
        "deduplicationScope": Property(computed=True),
        "fifoThroughputLimit": Property(computed=True),
        "kmsMasterKeyId": Property(),
        "policy": Property(same=same_document, computed=True),
        "redriveAllowPolicy": Property(same=same_redrive, computed=True),
        "redrivePolicy": Property(same=same_redrive, computed=True),
    },
    outputs=("arn", "url"),
    create=_create_queue,
    read=_read_queue,
    update=_update_queue,
    delete=lambda aws, url, _properties: aws.sqs.delete_queue(QueueUrl=url),
    named_by="name",
    tagging=_TAGGING,
    gone=_GONE,
)


def _put_policy(aws: Aws, inputs: Properties) -> str:
    aws.sqs.set_queue_attributes(
        QueueUrl=inputs["queueUrl"], Attributes={"Policy": inputs["policy"]}
    )
    return str(inputs["queueUrl"])


def _read_policy(aws: Aws, url: str) -> Properties | None:
    described = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"]).get(
        "Attributes", {}
    )
    return {"queueUrl": url, "policy": described["Policy"]} if described.get("Policy") else None


QUEUE_POLICY = ResourceType(
    kind="aws:sqs/queuePolicy:QueuePolicy",
    acts=True,
    inputs={
        "queueUrl": Property(required=True, replaces=True),
        "policy": Property(required=True, same=same_document),
    },
    outputs=(),
    create=_put_policy,
    read=_read_policy,
    update=lambda aws, _url, _old, new: _put_policy(aws, new),
    delete=lambda aws, url, _properties: aws.sqs.set_queue_attributes(
        QueueUrl=url, Attributes={"Policy": ""}
    ),
    gone=_GONE,
)
