"""Changes outside the stack in SNS and SQS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.testing.stack_drift.change import Account, Change, Removal, Resource, stray

TOPIC, SUBSCRIPTION = "aws:sns/topic:Topic", "aws:sns/topicSubscription:TopicSubscription"
QUEUE = "aws:sqs/queue:Queue"


def topic_attribute(name: str, value: Callable[[str], str], said: str) -> Any:
    def how(account: Account, topic: Resource) -> str:
        sns = account.of(topic, "sns")
        now = sns.get_topic_attributes(TopicArn=topic.id)["Attributes"][name]
        sns.set_topic_attributes(TopicArn=topic.id, AttributeName=name, AttributeValue=value(now))
        return said

    return how


def queue_attribute(name: str, value: Callable[[str], str], said: Any) -> Any:
    def how(account: Account, queue: Resource) -> Any:
        sqs = account.of(queue, "sqs")
        now = sqs.get_queue_attributes(QueueUrl=queue.id, AttributeNames=[name])["Attributes"][name]
        sqs.set_queue_attributes(QueueUrl=queue.id, Attributes={name: value(now)})
        return said

    return how


def among(document: str, **terms: Any) -> str:
    """A document with other terms."""
    return json.dumps({**json.loads(document), **terms})


def deliver_raw(account: Account, subscription: Resource) -> bool:
    account.of(subscription, "sns").set_subscription_attributes(
        SubscriptionArn=subscription.id, AttributeName="RawMessageDelivery", AttributeValue="true"
    )
    return True


def tag_topic(account: Account, topic: Resource) -> str:
    account.of(topic, "sns").tag_resource(
        ResourceArn=topic.id, Tags=[{"Key": "owner", "Value": "mallory"}]
    )
    return "mallory"


def tag_queue(account: Account, queue: Resource) -> str:
    account.of(queue, "sqs").tag_queue(QueueUrl=queue.id, Tags={"owner": "mallory"})
    return "mallory"


CHANGES = (
    Change(
        kind=TOPIC,
        leaf="kmsMasterKeyId",
        how=topic_attribute("KmsMasterKeyId", lambda _: "alias/aws/sns", "alias/aws/sns"),
    ),
    Change(kind=TOPIC, leaf="policy", how=topic_attribute("Policy", stray, "Stray")),
    Change(kind=TOPIC, leaf="tags", how=tag_topic),
    Change(kind=SUBSCRIPTION, leaf="rawMessageDelivery", how=deliver_raw),
    Change(
        kind=QUEUE, leaf="delaySeconds", how=queue_attribute("DelaySeconds", lambda _: "900", 900)
    ),
    Change(
        kind=QUEUE,
        leaf="maxMessageSize",
        how=queue_attribute("MaximumMessageSize", lambda _: "1024", 1024),
    ),
    Change(
        kind=QUEUE,
        leaf="receiveWaitTimeSeconds",
        how=queue_attribute("ReceiveMessageWaitTimeSeconds", lambda _: "20", 20),
    ),
    Change(
        kind=QUEUE,
        leaf="messageRetentionSeconds",
        how=queue_attribute("MessageRetentionPeriod", lambda _: "60", 60),
    ),
    Change(kind=QUEUE, leaf="policy", how=queue_attribute("Policy", stray, "Stray")),
    Change(
        kind=QUEUE,
        leaf="redriveAllowPolicy",
        how=queue_attribute(
            "RedriveAllowPolicy", lambda _: json.dumps({"redrivePermission": "allowAll"}), None
        ),
    ),
    Change(
        kind=QUEUE,
        leaf="redrivePolicy",
        how=queue_attribute("RedrivePolicy", lambda now: among(now, maxReceiveCount=99), 99),
    ),
    Change(
        kind=QUEUE,
        leaf="sqsManagedSseEnabled",
        how=queue_attribute("SqsManagedSseEnabled", lambda _: "false", False),
    ),
    Change(kind=QUEUE, leaf="tags", how=tag_queue),
    Change(
        kind=QUEUE,
        leaf="visibilityTimeoutSeconds",
        how=queue_attribute("VisibilityTimeout", lambda _: "1", 1),
    ),
)
REMOVALS = (
    Removal(
        kind=SUBSCRIPTION,
        how=lambda account, each: account.of(each, "sns").unsubscribe(SubscriptionArn=each.id),
    ),
    Removal(
        kind=TOPIC,
        how=lambda account, each: account.of(each, "sns").delete_topic(TopicArn=each.id),
        drags=(SUBSCRIPTION,),
    ),
    Removal(
        kind=QUEUE, how=lambda account, each: account.of(each, "sqs").delete_queue(QueueUrl=each.id)
    ),
)
