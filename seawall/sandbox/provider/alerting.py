"""SNS topics and subscriptions, CloudWatch alarms. Declared: nothing is sent and no alarm changes state in the sandbox."""

from __future__ import annotations

from botocore.exceptions import ClientError

from seawall.sandbox.provider.clients import Aws, is_gone
from seawall.sandbox.provider.table import Property, ResourceType, given, tag_map, tag_pairs
from seawall.sandbox.provider.values import Properties


def _create_topic(aws: Aws, inputs: Properties) -> str:
    attributes = given(DisplayName=inputs.get("displayName"))
    return str(
        aws.sns.create_topic(Name=inputs["name"], Attributes=attributes, Tags=tag_pairs(inputs.get("tags")))["TopicArn"]
    )


def _read_topic(aws: Aws, arn: str) -> Properties | None:
    try:
        attributes = aws.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    tags = tag_map(aws.sns.list_tags_for_resource(ResourceArn=arn)["Tags"])
    name = {"name": arn.rpartition(":")[2], "displayName": attributes.get("DisplayName", "")}
    return {**name, "arn": arn, "owner": attributes.get("Owner"), "tags": tags, "tagsAll": tags}


def _update_topic(aws: Aws, arn: str, old: Properties, new: Properties) -> None:
    if old.get("displayName") != new.get("displayName"):
        aws.sns.set_topic_attributes(
            TopicArn=arn, AttributeName="DisplayName", AttributeValue=new.get("displayName", "")
        )
    gone = sorted(set(old.get("tags", {})) - set(new.get("tags", {})))
    if gone:
        aws.sns.untag_resource(ResourceArn=arn, TagKeys=gone)
    if new.get("tags"):
        aws.sns.tag_resource(ResourceArn=arn, Tags=tag_pairs(new["tags"]))


def _delete_topic(aws: Aws, arn: str, _properties: Properties) -> None:
    aws.sns.delete_topic(TopicArn=arn)  # SNS forgives a topic that is gone


TOPIC = ResourceType(
    kind="aws:sns/topic:Topic",
    acts=False,
    inputs={"name": Property(required=True, replaces=True), "displayName": Property(), "tags": Property()},
    outputs=("arn", "owner", "tagsAll"),
    create=_create_topic,
    read=_read_topic,
    update=_update_topic,
    delete=_delete_topic,
    named_by="name",
)


def _subscribe(aws: Aws, inputs: Properties) -> str:
    answer = aws.sns.subscribe(
        TopicArn=inputs["topic"], Protocol=inputs["protocol"], Endpoint=inputs["endpoint"], ReturnSubscriptionArn=True
    )
    return str(answer["SubscriptionArn"])


def _read_subscription(aws: Aws, arn: str) -> Properties | None:
    try:
        found = aws.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    pending = found.get("PendingConfirmation") == "true"
    return {
        "topic": found["TopicArn"],
        "protocol": found["Protocol"],
        "endpoint": found["Endpoint"],
        "arn": arn,
        "pendingConfirmation": pending,
    }


def _unsubscribe(aws: Aws, arn: str, _properties: Properties) -> None:
    if _read_subscription(aws, arn) is not None:
        aws.sns.unsubscribe(SubscriptionArn=arn)


TOPIC_SUBSCRIPTION = ResourceType(
    kind="aws:sns/topicSubscription:TopicSubscription",
    acts=False,
    inputs={name: Property(required=True, replaces=True) for name in ("topic", "protocol", "endpoint")},
    outputs=("arn", "pendingConfirmation"),
    create=_subscribe,
    read=_read_subscription,
    delete=_unsubscribe,
)

_ALARM_FIELDS = {
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
    fields = given(**{theirs: inputs.get(ours) for ours, theirs in _ALARM_FIELDS.items()})
    dimensions = tag_pairs(inputs.get("dimensions"), key="Name")
    aws.cloudwatch.put_metric_alarm(
        AlarmName=inputs["name"], Dimensions=dimensions, Tags=tag_pairs(inputs.get("tags")), **fields
    )
    return str(inputs["name"])


def _read_alarm(aws: Aws, name: str) -> Properties | None:
    alarms = aws.cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    if not alarms:
        return None
    alarm = alarms[0]
    tags = tag_map(aws.cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"])
    fields = {ours: alarm.get(theirs) for ours, theirs in _ALARM_FIELDS.items()}
    threshold = alarm["Threshold"]
    return {
        **fields, "threshold": int(threshold) if float(threshold).is_integer() else threshold, "name": name,
        "dimensions": tag_map(alarm.get("Dimensions", []), key="Name"), "arn": alarm["AlarmArn"], "tags": tags, "tagsAll": tags,
    }  # fmt: skip


def _update_alarm(aws: Aws, _name: str, old: Properties, new: Properties) -> None:
    _put_alarm(aws, new)
    arn = _alarm_arn(aws, new["name"])
    gone = sorted(set(old.get("tags", {})) - set(new.get("tags", {})))
    if gone:
        aws.cloudwatch.untag_resource(ResourceARN=arn, TagKeys=gone)
    if new.get("tags"):  # PutMetricAlarm ignores the tags of an alarm that exists (API reference)
        aws.cloudwatch.tag_resource(ResourceARN=arn, Tags=tag_pairs(new["tags"]))


def _alarm_arn(aws: Aws, name: str) -> str:
    return str(
        aws.cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm"])["MetricAlarms"][0]["AlarmArn"]
    )


def _delete_alarm(aws: Aws, name: str, _properties: Properties) -> None:
    if _read_alarm(aws, name) is not None:
        aws.cloudwatch.delete_alarms(AlarmNames=[name])


METRIC_ALARM = ResourceType(
    kind="aws:cloudwatch/metricAlarm:MetricAlarm",
    acts=False,
    inputs={
        "name": Property(required=True, replaces=True),
        "dimensions": Property(),
        "tags": Property(),
        **{name: Property(required=name in _ALARM_REQUIRED) for name in _ALARM_FIELDS},
        "actionsEnabled": Property(default=True),
    },
    outputs=("arn", "tagsAll"),
    create=_put_alarm,
    read=_read_alarm,
    update=_update_alarm,
    delete=_delete_alarm,
    named_by="name",
)
