"""Examples of the resource types of CloudWatch."""

from __future__ import annotations

from tests.testing.stack_types.example import Example

TOPIC = "arn:aws:sns:us-east-1:123456789012"
ALARM_NEEDED = (
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    {
        "name": "seawall-needed",
        "comparisonOperator": "GreaterThanThreshold",
        "evaluationPeriods": 1,
        "metricName": "m",
        "namespace": "Seawall",
        "period": 60,
        "statistic": "Sum",
        "threshold": 1,
    },
)

EXAMPLES: dict[str, Example] = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": Example(
        inputs={
            "name": "seawall-thing",
            "comparisonOperator": "GreaterThanOrEqualToThreshold",
            "evaluationPeriods": 1,
            "metricName": "seawall_indicator",
            "namespace": "Seawall",
            "period": 10,
            "statistic": "Maximum",
            "threshold": 0.25,
            "dimensions": {"indicator": "drawdown_velocity"},
            "alarmActions": [f"{TOPIC}:one"],
            "treatMissingData": "breaching",
            "tags": {"a": "1"},
        },
        changed={
            "comparisonOperator": "LessThanThreshold",
            "evaluationPeriods": 3,
            "datapointsToAlarm": 2,
            "metricName": "other",
            "namespace": "Other",
            "period": 60,
            "statistic": "Minimum",
            "threshold": 2,
            "dimensions": {"indicator": "other", "venue": "harbour"},
            "unit": "Seconds",
            "alarmDescription": "two",
            "alarmActions": [f"{TOPIC}:two", f"{TOPIC}:one"],
            "okActions": [f"{TOPIC}:one"],
            "insufficientDataActions": [f"{TOPIC}:one"],
            "treatMissingData": "ignore",
            "actionsEnabled": False,
            "tags": {"b": "2"},
        },
    ),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": Example(
        inputs={
            "alarmName": "seawall-both",
            "alarmRule": "ALARM(seawall-needed)",
            "alarmActions": [f"{TOPIC}:one"],
            "tags": {"a": "1"},
        },
        changed={
            "alarmRule": "NOT OK(seawall-needed)",
            "alarmDescription": "two",
            "alarmActions": [f"{TOPIC}:two"],
            "okActions": [f"{TOPIC}:one"],
            "insufficientDataActions": [f"{TOPIC}:one"],
            "tags": {"a": "2"},
        },
        needs={"alarm": ALARM_NEEDED},
    ),
}
