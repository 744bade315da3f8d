"""SNS: topics, their policies, subscriptions.

They act for queues and HTTP endpoints; no mail is sent and none is confirmed.

What replaces, after the upstream provider (its resources aws_sns_topic, aws_sns_topic_policy,
aws_sns_topic_subscription): a topic's name; a policy's `arn`; of a subscription its topic, protocol
and endpoint. Ids, also for `pulumi import`, are ARNs.
"""

from __future__ import annotations

import json
from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.sameness import same_document
from localaws.provider.table import Property, ResourceType
from localaws.provider.tagging import Tagging
from localaws.provider.values import Properties, from_aws, to_aws

_TAGGING = Tagging(service="sns")
_TOPIC = {
    "displayName": "DisplayName",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "policy": "Policy",
    "deliveryPolicy": "DeliveryPolicy",
}
_SUBSCRIPTION = {
    # stands first: what a filter policy may say depends on it
    "filterPolicyScope": "FilterPolicyScope",
    "filterPolicy": "FilterPolicy",
    "rawMessageDelivery": "RawMessageDelivery",
    "redrivePolicy": "RedrivePolicy",
    "deliveryPolicy": "DeliveryPolicy",
    "subscriptionRoleArn": "SubscriptionRoleArn",
}
_DEFAULT_POLICY_ID = "__default_policy_ID"
_DEFAULT_ACTIONS = (
    "GetTopicAttributes",
    "SetTopicAttributes",
    "AddPermission",
    "RemovePermission",
    "DeleteTopic",
    "Subscribe",
    "ListSubscriptionsByTopic",
    "Publish",
)


def _create_topic(aws: Aws, inputs: Properties) -> str:
    tags = _TAGGING.argument(inputs.get("tags"))
    return str(
        aws.sns.create_topic(Name=inputs["name"], Attributes=to_aws(_TOPIC, inputs), **tags)[
            "TopicArn"
        ]
    )


def _read_topic(aws: Aws, arn: str) -> Properties:
    attributes = aws.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    return {
        "displayName": "",
        **from_aws(_TOPIC, attributes),
        "name": arn.rpartition(":")[2],
        "arn": arn,
        "owner": attributes.get("Owner"),
    }


def _update_topic(aws: Aws, arn: str, old: Properties, new: Properties) -> None:
    for ours, theirs in _TOPIC.items():
        if old.get(ours, "") == new.get(ours, ""):
            continue
        value = new.get(ours) or (_default_policy(arn) if ours == "policy" else "")
        aws.sns.set_topic_attributes(TopicArn=arn, AttributeName=theirs, AttributeValue=value)


TOPIC = ResourceType(
    kind="aws:sns/topic:Topic",
    acts=True,
    inputs={
        "name": Property(required=True, replaces=True),
        "displayName": Property(),
        "kmsMasterKeyId": Property(),
        "policy": Property(same=same_document, computed=True),
        "deliveryPolicy": Property(same=same_document),
    },
    outputs=("arn", "owner"),
    create=_create_topic,
    read=_read_topic,
    update=_update_topic,
    delete=lambda aws, arn, _properties: aws.sns.delete_topic(TopicArn=arn),
    named_by="name",
    tagging=_TAGGING,
)


def _default_policy(arn: str) -> str:
    """The policy of a topic that was never given one: its account may do everything with it.

    SNS developer guide, "Default policy".
    """
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in _DEFAULT_ACTIONS],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": arn.split(":")[4]}},
    }
    return json.dumps({"Version": "2008-10-17", "Id": _DEFAULT_POLICY_ID, "Statement": [statement]})


def _put_policy(aws: Aws, arn: str, policy: str) -> str:
    aws.sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    return arn


def _read_policy(aws: Aws, arn: str) -> Properties | None:
    attributes = aws.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    if json.loads(attributes["Policy"]).get("Id") == _DEFAULT_POLICY_ID:
        # a topic always has a policy; the one that SNS gave it belongs to no resource
        return None
    return {"arn": arn, "policy": attributes["Policy"], "owner": attributes.get("Owner")}


TOPIC_POLICY = ResourceType(
    kind="aws:sns/topicPolicy:TopicPolicy",
    acts=True,
    inputs={
        "arn": Property(required=True, replaces=True),
        "policy": Property(required=True, same=same_document),
    },
    outputs=("owner",),
    create=lambda aws, inputs: _put_policy(aws, str(inputs["arn"]), inputs["policy"]),
    read=_read_policy,
    update=lambda aws, arn, _old, new: _put_policy(aws, arn, new["policy"]),
    delete=lambda aws, arn, _properties: _put_policy(aws, arn, _default_policy(arn)),
)


def _attribute(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _subscribe(aws: Aws, inputs: Properties) -> str:
    attributes = {name: _attribute(value) for name, value in to_aws(_SUBSCRIPTION, inputs).items()}
    answer = aws.sns.subscribe(
        TopicArn=inputs["topic"],
        Protocol=inputs["protocol"],
        Endpoint=inputs["endpoint"],
        Attributes=attributes,
        ReturnSubscriptionArn=True,
    )
    return str(answer["SubscriptionArn"])


def _read_subscription(aws: Aws, arn: str) -> Properties:
    found = aws.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    described = {
        name: value
        for name, value in from_aws(_SUBSCRIPTION, found).items()
        if value not in ("", "{}")
    }
    place = {
        "topic": "TopicArn",
        "protocol": "Protocol",
        "endpoint": "Endpoint",
        "ownerId": "Owner",
    }
    return {
        **from_aws(place, found),
        **described,
        "arn": arn,
        "rawMessageDelivery": found.get("RawMessageDelivery") == "true",
        "pendingConfirmation": found.get("PendingConfirmation") == "true",
        "confirmationWasAuthenticated": found.get("ConfirmationWasAuthenticated") == "true",
    }


def _update_subscription(aws: Aws, arn: str, old: Properties, new: Properties) -> None:
    for ours, theirs in _SUBSCRIPTION.items():
        if old.get(ours) == new.get(ours):
            continue
        if ours == "filterPolicyScope" and new.get(ours) is None:
            continue  # it goes with the policy
        # as the API reference has them taken away
        value = _attribute(new[ours]) if new.get(ours) is not None else "{}"
        aws.sns.set_subscription_attributes(
            SubscriptionArn=arn, AttributeName=theirs, AttributeValue=value
        )


TOPIC_SUBSCRIPTION = ResourceType(
    kind="aws:sns/topicSubscription:TopicSubscription",
    acts=True,
    inputs={
        **{
            name: Property(required=True, replaces=True)
            for name in ("topic", "protocol", "endpoint")
        },
        "rawMessageDelivery": Property(default=False),
        "filterPolicy": Property(same=same_document),
        "filterPolicyScope": Property(computed=True),
        "redrivePolicy": Property(same=same_document),
        "deliveryPolicy": Property(same=same_document),
        "subscriptionRoleArn": Property(),
        "endpointAutoConfirms": Property(local=True),
        "confirmationTimeoutInMinutes": Property(local=True),
    },
    outputs=("arn", "ownerId", "pendingConfirmation", "confirmationWasAuthenticated"),
    create=_subscribe,
    read=_read_subscription,
    update=_update_subscription,
    delete=lambda aws, arn, _properties: aws.sns.unsubscribe(SubscriptionArn=arn),
)
