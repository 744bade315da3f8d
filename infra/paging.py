"""Pages: a topic per severity with its subscribers, and an alarm per trigger, in every region.

A monitor must not fail together with what it monitors, so each region pages by itself: one page too
many is better than none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.documents import document
from infra.settings import Deletion
from seawall.conventions import aws as aws_names
from seawall.conventions import metrics
from seawall.policy import Policy, Severity, Trigger

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
_PERIODS_S = (10, 30, 60)
"""Periods that CloudWatch takes below a minute, and a minute (API reference, PutMetricAlarm)."""
_SENDERS = {
    "cloudwatch.amazonaws.com": "arn:aws:cloudwatch:{region}:{account}:alarm:*",
    "events.amazonaws.com": "arn:aws:events:{region}:{account}:rule/*",
    "aps.amazonaws.com": "arn:aws:aps:{region}:{account}:workspace/*",
}
"""Services that may page, by the ARNs of their resources that may: alarms, event rules, workspaces.

Each service's guide asks for its own permission on the topic and on the topic's key (CloudWatch
user guide, Notifying users on alarm changes; EventBridge user guide, Amazon SNS permissions; AMP
user guide, Giving permission to send alert messages).
"""
_ADMINISTER_KEY = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:DisableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
]


@dataclass(frozen=True, kw_only=True)
class PagingArgs:
    """The inputs of :class:`Paging`.

    Args:
        regions: each gets topics.
        alarmed: those of them that get alarms on the policy's triggers.
        armed: whether these alarms act. An alarm whose metric is not published fires for ever.
    """

    policy: Policy
    regions: Sequence[str]
    alarmed: Sequence[str]
    account: str
    armed: bool
    deletion: Deletion
    tags: Mapping[str, str]


class Paging(pulumi.ComponentResource):
    """Topics, with the roles that the policy pages as subscribers, and alarms.

    Attributes:
        topics: ARN by region and severity.
        alarms: names of the alarms, the same in all regions.
    """

    topics: dict[str, dict[Severity, pulumi.Output[str]]]
    alarms: list[str]
    outputs: dict[str, Any]

    def __init__(self, name: str, args: PagingArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:Paging", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.topics = {}
        for region in args.regions:
            key = self._key(region)
            self.topics[region] = {
                severity: self._topic(severity, region, key) for severity in SEVERITIES
            }
        for region in args.alarmed:
            for trigger in args.policy.triggers:
                self._alarm(trigger, region)
        venue = args.policy.venue.name
        self.alarms = [
            aws_names.cloudwatch_alarm(venue, trigger.name) for trigger in args.policy.triggers
        ]
        self.outputs = {"topics": self.topics, "alarms": self.alarms}
        self.register_outputs(self.outputs)

    def _key(self, region: str) -> pulumi.Output[str]:
        """The key of a region's topics.

        CloudWatch cannot publish to a topic under the key that AWS manages (CloudWatch user guide,
        as above).
        """
        args = self._args
        key = aws.kms.Key(
            f"paging-{region}",
            region=region,
            description=f"Encrypts the pages of {args.policy.venue.name} in {region}",
            policy=document(
                {
                    "Sid": "Administer",
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{args.account}:root"},
                    "Action": _ADMINISTER_KEY,
                    "Resource": "*",
                },
                *(
                    {
                        "Sid": f"Send{number}",
                        "Effect": "Allow",
                        "Principal": {"Service": service},
                        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                        "Resource": "*",
                        "Condition": {"StringEquals": {"aws:SourceAccount": args.account}},
                    }
                    for number, service in enumerate(_SENDERS)
                ),
            ),
            enable_key_rotation=True,
            deletion_window_in_days=args.deletion.key_window_days,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.deletion.protect),
        )
        aws.kms.Alias(
            f"paging-{region}",
            region=region,
            name=aws_names.paging_alias(args.policy.venue.name),
            target_key_id=key.key_id,
            opts=self._child,
        )
        return key.arn

    def _topic(
        self, severity: Severity, region: str, key: pulumi.Output[str]
    ) -> pulumi.Output[str]:
        args = self._args
        policy = args.policy
        name = aws_names.severity_topic(policy.venue.name, severity)
        topic = aws.sns.Topic(
            f"{severity}-{region}",
            region=region,
            name=name,
            kms_master_key_id=key,
            policy=self._topic_policy(f"arn:aws:sns:{region}:{args.account}:{name}", region),
            tags=args.tags,
            opts=self._child,
        )
        paged = {
            role
            for trigger in policy.triggers
            if trigger.severity == severity
            for role in trigger.pages
        }
        for role in sorted(paged):
            aws.sns.TopicSubscription(
                f"{severity}-{role}-{region}",
                region=region,
                topic=topic.arn,
                protocol="email",
                endpoint=policy.roles[role].email,
                opts=self._child,
            )
        return topic.arn

    def _topic_policy(self, arn: str, region: str) -> str:
        """Who may publish: services, for this account's alarms, rules and workspaces alone."""
        return document(
            *(
                {
                    "Sid": f"Page{number}",
                    "Effect": "Allow",
                    "Principal": {"Service": service},
                    "Action": ["sns:Publish", "sns:GetTopicAttributes"]
                    if service.startswith("aps.")
                    else ["sns:Publish"],
                    "Resource": arn,
                    "Condition": {
                        "StringEquals": {"aws:SourceAccount": self._args.account},
                        "ArnLike": {
                            "aws:SourceArn": source.format(
                                region=region, account=self._args.account
                            )
                        },
                    },
                }
                for number, (service, source) in enumerate(_SENDERS.items())
            )
        )

    def _alarm(self, trigger: Trigger, region: str) -> None:
        policy = self._args.policy
        topic = self.topics[region][trigger.severity]
        aws.cloudwatch.MetricAlarm(
            f"{trigger.name}-{region}",
            region=region,
            name=aws_names.cloudwatch_alarm(policy.venue.name, trigger.name),
            alarm_description=trigger.customer_impact,
            namespace=aws_names.CLOUDWATCH_NAMESPACE,
            metric_name=metrics.INDICATOR,
            dimensions={metrics.INDICATOR_LABEL: trigger.indicator},
            statistic="Maximum",
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=float(trigger.enter_at),
            period=period_s(policy.monitoring.evaluate_every),
            evaluation_periods=1,
            treat_missing_data="breaching",  # a venue that reports nothing is not healthy
            actions_enabled=self._args.armed,
            alarm_actions=[topic],
            ok_actions=[topic],
            tags=self._args.tags,
            opts=self._child,
        )


def period_s(wanted_ms: int) -> int:
    """The shortest period of an alarm that is not below ``wanted_ms``.

    10 s, 30 s or whole minutes.
    """
    wanted_s = -(-wanted_ms // 1000)
    return next((period for period in _PERIODS_S if period >= wanted_s), -(-wanted_s // 60) * 60)
