"""SNS topics and subscriptions, CloudWatch alarms. Declared: nothing is sent and no alarm changes state in the sandbox.

What replaces and defaults: terraform-provider-aws, internal/service/sns (topic.go, topic_subscription.go) and cloudwatch (metric_alarm.go).
"""

from __future__ import annotations

from seawall.sandbox.provider.clients import Aws
from seawall.sandbox.provider.fields import from_aws, given, to_aws, whole
from seawall.sandbox.provider.table import Property, ResourceType
from seawall.sandbox.provider.tagging import Tagging, tag_map, tag_pairs
from seawall.sandbox.provider.values import Properties

_SNS_TAGGING = Tagging(service="sns")
_ALARM_TAGGING = Tagging(service="cloudwatch", resource="ResourceARN")


def _create_topic(aws: Aws, inputs: Properties) -> str:
    attributes = given(DisplayName=inputs.get("displayName"))
    tags = _SNS_TAGGING.argument(inputs.get("tags"))
    return str(aws.sns.create_topic(Name=inputs["name"], Attributes=attributes, **tags)["TopicArn"])


def _read_topic(aws: Aws, arn: str) -> Properties:
    attributes = aws.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    name = {"name": arn.rpartition(":")[2], "displayName": attributes.get("DisplayName", "")}
    return {**name, "arn": arn, "owner": attributes.get("Owner")}


def _update_topic(aws: Aws, arn: str, old: Properties, new: Properties) -> None:
    name = new.get("displayName", "")
    if old.get("displayName", "") != name:
        aws.sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue=name)


TOPIC = ResourceType(
    kind="aws:sns/topic:Topic",
    acts=False,
    inputs={"name": Property(required=True, replaces=True), "displayName": Property()},
    outputs=("arn", "owner"),
    create=_create_topic,
    read=_read_topic,
    update=_update_topic,
    delete=lambda aws, arn, _properties: aws.sns.delete_topic(TopicArn=arn),
    named_by="name",
    tagging=_SNS_TAGGING,
)


def _subscribe(aws: Aws, inputs: Properties) -> str:
    answer = aws.sns.subscribe(
        TopicArn=inputs["topic"], Protocol=inputs["protocol"], Endpoint=inputs["endpoint"], ReturnSubscriptionArn=True
    )
    return str(answer["SubscriptionArn"])


def _read_subscription(aws: Aws, arn: str) -> Properties:
    found = aws.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    told = from_aws({"topic": "TopicArn", "protocol": "Protocol", "endpoint": "Endpoint"}, found)
    return {**told, "arn": arn, "pendingConfirmation": found.get("PendingConfirmation") == "true"}


TOPIC_SUBSCRIPTION = ResourceType(
    kind="aws:sns/topicSubscription:TopicSubscription",
    acts=False,
    inputs={name: Property(required=True, replaces=True) for name in ("topic", "protocol", "endpoint")},
    outputs=("arn", "pendingConfirmation"),
    create=_subscribe,
    read=_read_subscription,
    delete=lambda aws, arn, _properties: aws.sns.unsubscribe(SubscriptionArn=arn),
)

_ALARM = {
    "name": "AlarmName",
    "actionsEnabled": "ActionsEnabled",
    "alarmDescription": "AlarmDescription",
    "alarmActions": "AlarmActions",
    "okActions": "OKActions",
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
    "evaluationPeriods": "EvaluationPeriods",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "treatMissingData": "TreatMissingData",
}
"""Properties of the alarm resource, and what CloudWatch calls them."""
_ALARM_REQUIRED = frozenset(
    {"comparisonOperator", "evaluationPeriods", "metricName", "namespace", "period", "statistic", "threshold"}
)


def _put_alarm(aws: Aws, inputs: Properties) -> str:
    dimensions = tag_pairs(inputs.get("dimensions"), key="Name")
    tags = _ALARM_TAGGING.argument(
        inputs.get("tags")
    )  # ignored for an alarm that exists (API reference, PutMetricAlarm)
    aws.cloudwatch.put_metric_alarm(**to_aws(_ALARM, inputs), Dimensions=dimensions, **tags)
    return str(inputs["name"])


def _read_alarm(aws: Aws, name: str) -> Properties | None:
    alarms = aws.cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    if not alarms:
        return None
    alarm = alarms[0]
    dimensions = tag_map(alarm.get("Dimensions", []), key="Name")
    threshold = whole(alarm["Threshold"])
    return {**from_aws(_ALARM, alarm), "threshold": threshold, "dimensions": dimensions, "arn": alarm["AlarmArn"]}


METRIC_ALARM = ResourceType(
    kind="aws:cloudwatch/metricAlarm:MetricAlarm",
    acts=False,
    inputs={
        "dimensions": Property(),
        **{name: Property(required=name in _ALARM_REQUIRED) for name in _ALARM},
        "name": Property(required=True, replaces=True),
        "actionsEnabled": Property(default=True),
        "treatMissingData": Property(default="missing"),
    },
    outputs=("arn",),
    create=_put_alarm,
    read=_read_alarm,
    update=lambda aws, _name, _old, new: _put_alarm(aws, new),
    delete=lambda aws, name, _properties: aws.cloudwatch.delete_alarms(AlarmNames=[name]),
    named_by="name",
    tagging=_ALARM_TAGGING,
)
