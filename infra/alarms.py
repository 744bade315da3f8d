"""One CloudWatch alarm on one metric, and the topics that alarms page through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from seawall.policy import Severity

Topics = Mapping[str, Mapping[Severity, pulumi.Input[str]]]
"""ARN by region and severity."""
BREACHING, NOT_BREACHING = "breaching", "notBreaching"


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """One alarm on one metric: it fires at ``threshold``, ``periods`` of ``period_s`` in a row.

    Args:
        severity: of the topic that it pages.
        missing: what CloudWatch takes missing data for.
        armed: whether it acts on anything.
    """

    name: str
    region: str
    severity: Severity
    description: str
    namespace: str
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    threshold: float
    period_s: int
    periods: int = 1
    statistic: str = "Maximum"
    comparison: str = "GreaterThanOrEqualToThreshold"
    missing: str = NOT_BREACHING
    armed: bool = True


def alarm(
    logical: str,
    spec: AlarmSpec,
    *,
    topics: Topics,
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> aws.cloudwatch.MetricAlarm:
    """Declare the alarm of ``spec``; CloudWatch lets it page topics of its own region only."""
    actions: Sequence[pulumi.Input[str]] = [topics[spec.region][spec.severity]]
    return aws.cloudwatch.MetricAlarm(
        logical,
        region=spec.region,
        name=spec.name,
        alarm_description=spec.description,
        namespace=spec.namespace,
        metric_name=spec.metric,
        dimensions=spec.dimensions,
        statistic=spec.statistic,
        comparison_operator=spec.comparison,
        threshold=spec.threshold,
        period=spec.period_s,
        evaluation_periods=spec.periods,
        treat_missing_data=spec.missing,
        actions_enabled=spec.armed,
        alarm_actions=actions,
        ok_actions=actions,
        tags=tags,
        opts=opts,
    )
