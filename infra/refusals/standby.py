"""What stands by and must not be missing: rails, pages, rules, copies, the kit and game days.

Part of ``complete``.
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.rails.served import METRICS_REGION
from seawall.conventions import aws, components
from seawall.keys import access as segregation
from seawall.policy import Policy

_ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
_QUEUE = "aws:sqs/queue:Queue"

_ALLOWED = {
    "backup": "the plan would be allowed to back nothing up",
    "kit": "nobody would be allowed to open the offline kit",
    "replication": "backups would not be allowed to leave their region",
}
"""What a role may do that stands by; the role itself is named by its policy."""

Wanted = tuple[str, str, str]
"""Type token, logical name, why."""


def demanded_standby(policy: Policy) -> Iterator[Wanted]:
    """Everything that a stack of ``policy`` must have ready."""
    yield from _rails(policy)
    yield from _served(policy)
    yield from _pages(policy)
    yield from _copies(policy)
    yield from _gamedays(policy)


def _rails(policy: Policy) -> Iterator[Wanted]:
    for rail, promised in policy.rails.items():
        for region in segregation.regions(policy):
            yield (
                "aws:ssm/parameter:Parameter",
                f"{rail}-{region}",
                f"clients in {region} would not know how to fail over {rail}",
            )
            for side in components.SIDES:
                yield (
                    "aws:secretsmanager/secret:Secret",
                    f"{rail}-{side}-{region}",
                    f"{region} could not log in at the {side} of {rail}",
                )
                yield (
                    _ALARM,
                    f"{rail}-{side}-age-{region}",
                    f"nobody would see the credentials of {rail} grow old in {region}",
                )
            for direction in aws.RAIL_DIRECTIONS if promised.asynchronous else ():
                yield (
                    _QUEUE,
                    f"{rail}-{direction}-{region}",
                    f"{direction} of {rail} would have nowhere to wait in {region}",
                )
                yield (
                    _QUEUE,
                    f"{rail}-{direction}-dead-{region}",
                    f"{direction} of {rail} that fail would be tried for ever",
                )
                for what in ("dead-depth", "age"):
                    yield (
                        _ALARM,
                        f"{rail}-{direction}-{what}-{region}",
                        f"nobody would see {direction} of {rail} stand still in {region}",
                    )


def _served(policy: Policy) -> Iterator[Wanted]:
    for name in policy.served:
        for side in components.SIDES:
            yield (
                "aws:route53/healthCheck:HealthCheck",
                f"{name}-{side}",
                f"nothing would notice that the {side} of {name} is down",
            )
            yield "aws:route53/record:Record", f"{name}-{side}", f"{name} could not move"
            yield (
                _ALARM,
                f"{name}-{side}-health",
                f"nobody would be told that the {side} of {name} is down",
            )


def _pages(policy: Policy) -> Iterator[Wanted]:
    regions = segregation.regions(policy)
    for region in dict.fromkeys([*regions, *([METRICS_REGION] if policy.served else [])]):
        for severity in sorted({trigger.severity for trigger in policy.triggers}):
            yield (
                "aws:sns/topic:Topic",
                f"{severity}-{region}",
                f"{region} could page nobody for what is {severity}",
            )
            for role in sorted(
                {
                    role
                    for trigger in policy.triggers
                    if trigger.severity == severity
                    for role in trigger.pages
                }
            ):
                yield (
                    "aws:sns/topicSubscription:TopicSubscription",
                    f"{severity}-{role}-{region}",
                    f"{region} would not page {role} for what is {severity}",
                )
    for region in regions:
        yield (
            "aws:amp/ruleGroupNamespace:RuleGroupNamespace",
            region,
            f"no alert would be evaluated in {region}",
        )
        yield (
            "aws:amp/alertManagerDefinition:AlertManagerDefinition",
            region,
            f"alerts of {region} would reach nobody",
        )


def _copies(policy: Policy) -> Iterator[Wanted]:
    source, _ = regions = segregation.regions(policy)
    yield "aws:s3/bucket:Bucket", "evidence", "drills would leave no evidence"
    yield (
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
        f"backups-{source}",
        f"backups would be lost with {source}",
    )
    yield "aws:backup/plan:Plan", "ledger", "the ledger would not be backed up"
    yield "aws:backup/selection:Selection", "tagged", "the plan would back nothing up"
    for role, why in _ALLOWED.items():
        yield "aws:iam/rolePolicy:RolePolicy", role, why
    for region in regions:
        yield "aws:backup/vault:Vault", region, f"{region} would keep no backup"
        yield (
            "aws:backup/vaultLockConfiguration:VaultLockConfiguration",
            region,
            f"backups in {region} could be deleted",
        )
        yield (
            "aws:s3/bucket:Bucket",
            f"kit-{region}",
            f"the offline kit would be missing in {region}",
        )
        yield (
            "aws:s3/bucketObjectv2:BucketObjectv2",
            f"{aws.DIGEST_LIST}-{region}",
            "nobody could tell a forged kit from ours",
        )


def _gamedays(policy: Policy) -> Iterator[Wanted]:
    for region in segregation.regions(policy):
        yield (
            "aws:ssm/parameter:Parameter",
            f"kill-switch-{region}",
            "game days could not be stopped",
        )
    for day in policy.gamedays:
        yield (
            "aws:scheduler/schedule:Schedule",
            day.name,
            f"the game day {day.name} would never be held",
        )
