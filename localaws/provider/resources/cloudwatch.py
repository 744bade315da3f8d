"""CloudWatch: alarms. They act: see ``localaws.emulator.services.cloudwatch``.

Alarms on metric math or anomaly bands are declared only.

What replaces, after the upstream provider (its resources aws_cloudwatch_metric_alarm and
aws_cloudwatch_composite_alarm): the name, and whether a composite alarm's actions are enabled. Ids,
also for `pulumi import`, are names.
"""

from __future__ import annotations

from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.sameness import same_set
from localaws.provider.table import Property, ResourceType
from localaws.provider.tagging import Tagging, tag_map, tag_pairs
from localaws.provider.values import Properties, from_aws, given, to_aws, whole

_TAGGING = Tagging(service="cloudwatch", resource="ResourceARN")
_ACTIONS = {
    "alarmActions": "AlarmActions",
    "okActions": "OKActions",
    "insufficientDataActions": "InsufficientDataActions",
}
_METRIC_ALARM = {
    "name": "AlarmName",
    "actionsEnabled": "ActionsEnabled",
    "alarmDescription": "AlarmDescription",
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
    "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
    "evaluationPeriods": "EvaluationPeriods",
    "extendedStatistic": "ExtendedStatistic",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "thresholdMetricId": "ThresholdMetricId",
    "treatMissingData": "TreatMissingData",
    "unit": "Unit",
    **_ACTIONS,
}
"""Properties of the alarm resource, and what CloudWatch calls them."""
_REQUIRED = frozenset({"name", "comparisonOperator", "evaluationPeriods"})
_QUERY = {
    "id": "Id",
    "expression": "Expression",
    "label": "Label",
    "period": "Period",
    "returnData": "ReturnData",
    "accountId": "AccountId",
}
_STAT = {"period": "Period", "stat": "Stat", "unit": "Unit"}
_METRIC = {"metricName": "MetricName", "namespace": "Namespace"}


def _query_for_aws(query: Properties) -> dict[str, Any]:
    metric = query.get("metric")
    stat = metric and {
        **to_aws(_STAT, metric),
        "Metric": {
            **to_aws(_METRIC, metric),
            "Dimensions": tag_pairs(metric.get("dimensions"), key="Name"),
        },
    }
    return {**to_aws(_QUERY, query), **given(MetricStat=stat)}


def _query_from_aws(query: dict[str, Any]) -> Properties:
    stat = query.get("MetricStat")
    if stat is None:
        return from_aws(_QUERY, query)
    dimensions = tag_map(stat["Metric"].get("Dimensions", []), key="Name")
    metric = {
        **from_aws(_STAT, stat),
        **from_aws(_METRIC, stat["Metric"]),
        **({"dimensions": dimensions} if dimensions else {}),
    }
    return {**from_aws(_QUERY, query), "metric": metric}


def _same_queries(one: Any, other: Any) -> bool:
    """Whether two sets of metric queries are the same.

    A query without ``returnData`` returns no data, as the upstream provider sends it.
    """
    filled = [
        [{"returnData": False, **query} for query in queries or []] for queries in (one, other)
    ]
    return same_set(*filled)


def _put_metric_alarm(aws: Aws, inputs: Properties) -> str:
    queries = [
        _query_for_aws({"returnData": False, **query})
        for query in inputs.get("metricQueries") or []
    ]
    aws.cloudwatch.put_metric_alarm(
        **to_aws(_METRIC_ALARM, inputs),
        Dimensions=tag_pairs(inputs.get("dimensions"), key="Name"),
        **({"Metrics": queries} if queries else {}),
        # ignored for an alarm that exists (API reference, PutMetricAlarm)
        **_TAGGING.argument(inputs.get("tags")),
    )
    return str(inputs["name"])


def _read_metric_alarm(aws: Aws, name: str) -> Properties | None:
    alarms = aws.cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm"])[
        "MetricAlarms"
    ]
    if not alarms:
        return None
    alarm = alarms[0]
    return {
        **from_aws(_METRIC_ALARM, alarm),
        **given(threshold=whole(alarm["Threshold"]) if "Threshold" in alarm else None),
        "dimensions": tag_map(alarm.get("Dimensions", []), key="Name"),
        "arn": alarm["AlarmArn"],
        "metricQueries": [_query_from_aws(query) for query in alarm.get("Metrics", [])],
    }


METRIC_ALARM = ResourceType(
    kind="aws:cloudwatch/metricAlarm:MetricAlarm",
    acts=True,
    inputs={
        "dimensions": Property(),
        "metricQueries": Property(same=_same_queries),
        **{name: Property(required=name in _REQUIRED) for name in _METRIC_ALARM},
        **{name: Property(same=same_set) for name in _ACTIONS},
        "name": Property(required=True, replaces=True),
        "actionsEnabled": Property(default=True),
        "evaluateLowSampleCountPercentiles": Property(computed=True),
        "treatMissingData": Property(default="missing"),
    },
    outputs=("arn",),
    create=_put_metric_alarm,
    read=_read_metric_alarm,
    update=lambda aws, _name, _old, new: _put_metric_alarm(aws, new),
    delete=lambda aws, name, _properties: aws.cloudwatch.delete_alarms(AlarmNames=[name]),
    named_by="name",
    tagging=_TAGGING,
)

_COMPOSITE = {
    "alarmName": "AlarmName",
    "alarmRule": "AlarmRule",
    "alarmDescription": "AlarmDescription",
    "actionsEnabled": "ActionsEnabled",
    **_ACTIONS,
}


def _same_rule(one: Any, other: Any) -> bool:
    """The official plugin leaves out white space around a rule; within it, it counts."""
    return str(one or "").strip() == str(other or "").strip()


def _put_composite_alarm(aws: Aws, inputs: Properties) -> str:
    aws.cloudwatch.put_composite_alarm(
        **to_aws(_COMPOSITE, inputs), **_TAGGING.argument(inputs.get("tags"))
    )
    return str(inputs["alarmName"])


def _read_composite_alarm(aws: Aws, name: str) -> Properties | None:
    alarms = aws.cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])[
        "CompositeAlarms"
    ]
    return {**from_aws(_COMPOSITE, alarms[0]), "arn": alarms[0]["AlarmArn"]} if alarms else None


COMPOSITE_ALARM = ResourceType(
    kind="aws:cloudwatch/compositeAlarm:CompositeAlarm",
    acts=True,
    inputs={
        "alarmName": Property(required=True, replaces=True),
        "alarmRule": Property(required=True, same=_same_rule),
        "alarmDescription": Property(),
        "actionsEnabled": Property(default=True, replaces=True),
        **{name: Property(same=same_set) for name in _ACTIONS},
    },
    outputs=("arn",),
    create=_put_composite_alarm,
    read=_read_composite_alarm,
    update=lambda aws, _name, _old, new: _put_composite_alarm(aws, new),
    delete=lambda aws, name, _properties: aws.cloudwatch.delete_alarms(AlarmNames=[name]),
    named_by="alarmName",
    tagging=_TAGGING,
)
