"""Everything that must be ready before a failure, declared from the policy and the settings.

Pages, evidence, backups, the offline kit, rails, served names, rules and game days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from infra.backup import Backups, BackupsArgs, days
from infra.evidence import Evidence, EvidenceArgs
from infra.gamedays import GameDays, GameDaysArgs
from infra.generated_files import MonitoringFiles
from infra.keepers import Keepers, KeepersArgs
from infra.kit import Kit, KitArgs, contents_of
from infra.monitoring import Monitoring, MonitoringArgs
from infra.paging import Paging, PagingArgs
from infra.rails import StandbyRail, StandbyRailArgs, failover_of
from infra.served_names import METRICS_REGION, Served, ServedArgs
from infra.settings import Settings
from seawall.conventions import aws

_RECOVERY_DAYS = 30
"""The longest that Secrets Manager keeps a secret that was deleted (API reference, DeleteSecret).
"""


@dataclass(frozen=True, kw_only=True)
class Standby:
    """The parts that the rest of the program needs, and their share of the stack's ``outputs``."""

    paging: Paging
    evidence: Evidence
    outputs: Mapping[str, Any]


def declare_standby(
    settings: Settings,
    files: MonitoringFiles,
    *,
    repository: Path,
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> Standby:
    """Declare everything that must be ready before a failure.

    Raises:
        PolicyError: for what AWS would refuse of the policy.
        UsageError: for what it would refuse of the settings.
    """
    policy = settings.policy
    regions = (policy.regions.primary, policy.regions.standby)
    remover = None if settings.deletion.protect else settings.principals.deployer
    watched = dict.fromkeys([*regions, *([METRICS_REGION] if policy.served else [])])
    paging = Paging(
        "paging",
        PagingArgs(
            policy=policy,
            regions=tuple(watched),
            alarmed=regions,
            account=settings.account,
            armed=settings.indicators_published,
            deletion=settings.deletion,
            tags=tags,
        ),
        opts,
    )
    evidence_name = aws.evidence_bucket(policy.venue.name, settings.account)
    evidence = Evidence(
        "evidence",
        EvidenceArgs(
            bucket=evidence_name,
            region=policy.regions.standby,
            retention_days=days(policy.backup.evidence_keep),
            lock_mode=settings.lock_mode,
            remover=remover,
            tags=tags,
        ),
        opts,
    )
    backups = Backups(
        "backups",
        BackupsArgs(
            policy=policy,
            account=settings.account,
            lock_mode=settings.lock_mode,
            irrevocable=settings.lock_mode == "COMPLIANCE",
            remover=remover,
            tags=tags,
        ),
        opts,
    )
    kit = Kit(
        "kit",
        KitArgs(
            venue=policy.venue.name,
            regions=regions,
            account=settings.account,
            files=contents_of(policy, repository=repository),
            trusted=settings.principals.kit,
            deployer=settings.principals.deployer,
            retention_days=days(policy.backup.keep),
            lock_mode=settings.lock_mode,
            remover=remover,
            deletion=settings.deletion,
            tags=tags,
        ),
        opts,
    )
    rails = {name: _rail(settings, name, paging, tags=tags, opts=opts) for name in policy.rails}
    keepers = Keepers(
        KeepersArgs(
            policy=policy,
            regions=regions,
            readers=settings.principals.treasury,
            topics=paging.topics,
            ages_published=settings.indicators_published,
            recovery_window_days=_recovery_days(settings),
            tags=tags,
        ),
        opts=opts,
    )
    served = Served(
        ServedArgs(
            venue=policy.venue.name, declared=policy.served, topics=paging.topics, tags=tags
        ),
        opts=opts,
    )
    monitoring = Monitoring(
        "monitoring",
        MonitoringArgs(
            venue=policy.venue.name, regions=regions, files=files, topics=paging.topics, tags=tags
        ),
        opts,
    )
    gamedays = GameDays(
        "gamedays",
        GameDaysArgs(
            policy=policy,
            policy_file=f"policies/{policy.policy}.yaml",
            account=settings.account,
            people=settings.principals.gamedays,
            evidence=evidence_name,
            runner=settings.runner,
            armed=not settings.deletion.protect,
            tags=tags,
        ),
        opts,
    )
    return Standby(
        paging=paging,
        evidence=evidence,
        outputs={
            "evidence_bucket": evidence.bucket,
            "topics": paging.topics[policy.regions.standby],
            "pages": paging.topics,
            "alarms": paging.alarms,
            "backup": backups.outputs,
            "kit": kit.outputs,
            "rails": {name: rail.outputs for name, rail in rails.items()},
            "keepers": keepers.outputs,
            "served": served.outputs,
            "monitoring": monitoring.outputs,
            "gamedays": gamedays.outputs,
        },
    )


def _recovery_days(settings: Settings) -> int:
    """How long a deleted secret can be restored."""
    return _RECOVERY_DAYS if settings.deletion.protect else 0


def _rail(
    settings: Settings,
    name: str,
    paging: Paging,
    *,
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> StandbyRail:
    policy = settings.policy
    regions = (policy.regions.primary, policy.regions.standby)
    args = StandbyRailArgs(
        venue=policy.venue.name,
        rail=name,
        declared=policy.rails[name],
        regions=regions,
        account=settings.account,
        readers=settings.principals.rails,
        topics=paging.topics,
        ages_published=settings.indicators_published,
        recovery_window_days=_recovery_days(settings),
        tags={**tags, "rail": name},
    )
    failover = {region: failover_of(policy, name, region=region) for region in regions}
    return StandbyRail(args, failover=failover, opts=opts)
