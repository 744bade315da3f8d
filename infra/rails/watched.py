"""What the parts of a rail are told, and the alarm that each of them hangs on its topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from seawall.policy import Severity
from seawall.policy.model import Rail

Topics = Mapping[str, Mapping[Severity, pulumi.Input[str]]]
"""ARN by region and severity."""
BREACHING, NOT_BREACHING = "breaching", "notBreaching"


@dataclass(frozen=True, kw_only=True)
class StandbyRailArgs:
    """``rail`` is the name of ``declared``; ``regions`` are primary and standby.

    ``readers``: ARN by region of the workload that pays over the rail there; it alone reads the
    credentials. ``topics`` of both regions take the alarms. ``ages_published``: whether someone
    publishes the age of credentials; until then its alarms act on nothing.
    """

    venue: str
    rail: str
    declared: Rail
    regions: tuple[str, str]
    account: str
    readers: Mapping[str, str]
    topics: Topics
    ages_published: bool
    recovery_window_days: int
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One alarm on one metric.

    It fires at ``threshold`` and above, after ``periods`` of ``period_s`` in a row.
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
    watch: Watch,
    *,
    topics: Topics,
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> aws.cloudwatch.MetricAlarm:
    """The CloudWatch alarm of ``watch``.

    Its actions go to the topic of its own region, which is all that CloudWatch allows.
    """
    actions: Sequence[pulumi.Input[str]] = [topics[watch.region][watch.severity]]
    return aws.cloudwatch.MetricAlarm(
        logical,
        region=watch.region,
        name=watch.name,
        alarm_description=watch.description,
        namespace=watch.namespace,
        metric_name=watch.metric,
        dimensions=watch.dimensions,
        statistic=watch.statistic,
        comparison_operator=watch.comparison,
        threshold=watch.threshold,
        period=watch.period_s,
        evaluation_periods=watch.periods,
        treat_missing_data=watch.missing,
        actions_enabled=watch.armed,
        alarm_actions=actions,
        ok_actions=actions,
        tags=tags,
        opts=opts,
    )
