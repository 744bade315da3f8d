"""Who is told: a topic per severity, and an alarm per trigger of the policy.

They live in the standby region: a watcher must not go dark with what it watches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from seawall import conventions
from seawall.policy import Policy, Severity, Trigger

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
_PERIODS_S = (10, 30, 60)
"""Periods that CloudWatch takes below a minute, and a minute (API reference, PutMetricAlarm)."""


@dataclass(frozen=True, kw_only=True)
class PagingArgs:
    """``region`` holds topics and alarms. ``armed``: whether alarms act; one whose metric nobody publishes would fire for ever."""

    policy: Policy
    region: str
    armed: bool
    tags: Mapping[str, str]


class Paging(pulumi.ComponentResource):
    """Topics with the policy's pages as subscribers, alarms on its triggers. ``topics``: ARN by severity; ``alarms``: names."""

    topics: dict[Severity, pulumi.Output[str]]
    alarms: list[pulumi.Output[str]]

    def __init__(self, name: str, args: PagingArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:Paging", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.topics = {severity: self._topic(severity) for severity in SEVERITIES}
        self.alarms = [self._alarm(trigger) for trigger in args.policy.triggers]
        self.register_outputs({"topics": self.topics, "alarms": self.alarms})

    def _topic(self, severity: Severity) -> pulumi.Output[str]:
        policy, region = self._args.policy, self._args.region
        topic = aws.sns.Topic(
            severity,
            region=region,
            name=conventions.severity_topic(policy.venue.name, severity),
            tags=self._args.tags,
            opts=self._child,
        )
        paged = {role for trigger in policy.triggers if trigger.severity == severity for role in trigger.pages}
        for role in sorted(paged):
            aws.sns.TopicSubscription(
                f"{severity}-{role}",
                region=region,
                topic=topic.arn,
                protocol="email",
                endpoint=policy.roles[role].email,
                opts=self._child,
            )
        return topic.arn

    def _alarm(self, trigger: Trigger) -> pulumi.Output[str]:
        policy = self._args.policy
        topic = self.topics[trigger.severity]
        alarm = aws.cloudwatch.MetricAlarm(
            trigger.name,
            region=self._args.region,
            name=conventions.cloudwatch_alarm(policy.venue.name, trigger.name),
            alarm_description=trigger.customer_impact,
            namespace=conventions.CLOUDWATCH_NAMESPACE,
            metric_name=conventions.INDICATOR,
            dimensions={"indicator": trigger.indicator},
            statistic="Maximum",
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=float(trigger.enter_at),
            period=period_s(policy.monitoring.evaluate_every),
            evaluation_periods=1,
            treat_missing_data="breaching",  # a venue that says nothing is not a healthy one
            actions_enabled=self._args.armed,
            alarm_actions=[topic],
            ok_actions=[topic],
            tags=self._args.tags,
            opts=self._child,
        )
        return alarm.name


def period_s(wanted_ms: int) -> int:
    """The shortest period of an alarm that is not below ``wanted_ms``: 10 s, 30 s or whole minutes."""
    wanted_s = -(-wanted_ms // 1000)
    return next((period for period in _PERIODS_S if period >= wanted_s), -(-wanted_s // 60) * 60)
