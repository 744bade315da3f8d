from __future__ import annotations

from tests.integration.stack_types.example import Example

TOPIC_NEEDED = ("aws:sns/topic:Topic", {"name": "seawall-topic"})

EXAMPLES: dict[str, Example] = {
    "aws:sns/topic:Topic": Example(
        inputs={"name": "seawall-thing", "tags": {"a": "1"}}, changed={"displayName": "Thing", "tags": {"a": "2"}}
    ),
    "aws:sns/topicSubscription:TopicSubscription": Example(
        inputs={"topic": "$topic.arn", "protocol": "email", "endpoint": "someone@harbour.example"},
        needs={"topic": TOPIC_NEEDED},
    ),
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
            "tags": {"a": "1"},
        },
        changed={"threshold": 2, "tags": {"b": "2"}, "actionsEnabled": False},
    ),
}
