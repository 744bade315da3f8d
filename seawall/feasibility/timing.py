"""Feasibility in time: no target is shorter than the sum of its steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from seawall.controls.timing import MODE_CONTROLLER_AGES_EVERY_MS, MODE_CONTROLLER_TICK_MS
from seawall.feasibility import steps
from seawall.feasibility.steps import ms
from seawall.feasibility.sums import Sum, Term
from seawall.policy.sections import TIERS

if TYPE_CHECKING:
    from seawall.policy.model import Policy

DISABLE_KEY_PER_S = 5
"""DisableKey requests a second that KMS accepts, by account and region.

KMS developer guide, "Request quotas", requests-per-second.
"""
_BACKUP_START_WINDOW_MS = 3_600_000
"""How much later than scheduled AWS Backup may begin a job.

It is the smallest window that the API accepts (BackupRuleInput, StartWindowMinutes).
"""


def in_time(policy: Policy) -> Iterator[Sum]:
    """Every sum of durations, in milliseconds."""
    yield from _pages(policy)
    yield from _switches(policy)
    yield from _payments(policy)
    yield from _ways_back(policy)
    yield from _stops(policy)


def _within(name: str, path: str, limit: int, terms: Iterable[Term], remedy: str) -> Sum:
    return Sum(
        kind="time",
        name=name,
        path=path,
        relation="within",
        limit=Fraction(limit),
        unit="ms",
        terms=tuple(terms),
        remedy=remedy,
    )


def _pages(policy: Policy) -> Iterator[Sum]:
    remedy = "raise page_max, or scrape and evaluate more often and wait less"
    for trigger in policy.triggers:
        yield _within(
            f"page of {trigger.name}",
            "targets.page_max",
            policy.targets.page_max,
            steps.noticing(policy),
            remedy,
        )
    monitoring = policy.monitoring
    yield _within(
        "page of metrics that are absent",
        "monitoring.absent_for",
        policy.targets.page_max,
        (
            ms("scrape", monitoring.scrape_every),
            ms("evaluate", monitoring.evaluate_every),
            ms("absent for", monitoring.absent_for),
            ms("group wait", monitoring.group_wait),
        ),
        (
            "lower absent_for, or raise targets.page_max: no page is sent for a shock while its "
            "alerts are blind"
        ),
    )


def _switches(policy: Policy) -> Iterator[Sum]:
    yield _within(
        "failover of signing",
        "targets.failover_max",
        policy.targets.failover_max,
        (steps.claiming(), steps.switching(), steps.signing()),
        "raise failover_max; the breaker needs that long to tell a dark region from a lost packet",
    )
    yield _within(
        "protection",
        "targets.protected_max",
        policy.targets.protected_max,
        (
            ms("tick of the mode controller", MODE_CONTROLLER_TICK_MS),
            ms("ages of the queue", MODE_CONTROLLER_AGES_EVERY_MS),
        ),
        "raise protected_max; the mode controller reads no more often",
    )
    for name in policy.paying_rails():
        yield _within(
            f"failover of rail {name}",
            "targets.rail_failover_max",
            policy.targets.rail_failover_max,
            steps.changing_rail(),
            "raise rail_failover_max; a provider is asked twice before it is left, each time for so"
            " long",
        )
    for key, served in policy.served.items():
        pace_ms = int(served.check_every.removesuffix("s")) * 1_000
        yield _within(
            f"failover of {served.name}",
            f"served.{key}",
            policy.targets.served_failover_max,
            (
                ms(
                    "health checks",
                    served.failures * pace_ms,
                    f"{served.failures} x {served.check_every}",
                ),
                ms("ttl", served.ttl),
            ),
            "lower failures or ttl, check every 10s, or raise targets.served_failover_max",
        )
    for name, drill in policy.drills.items():
        for target, limit_ms in (
            ("failover_max", policy.targets.failover_max),
            ("rail_failover_max", policy.targets.rail_failover_max),
        ):
            # failover is measured from the first one
            for fault in drill.faults[:1] if target in drill.expects.targets else ():
                yield Sum(
                    kind="time",
                    name=f"{fault.fault} of {name} lasts long enough to see a failover",
                    path=f"drills.{name}.faults.0.length",
                    relation="covers",
                    limit=Fraction(limit_ms),
                    unit="ms",
                    terms=(ms("length", fault.length),),
                    remedy=f"lengthen it; one that ends before {target} proves nothing about it",
                )


def _paying(policy: Policy) -> list[str]:
    return list(dict.fromkeys(wallet.network for wallet in policy.payout_wallets().values()))


def _payments(policy: Policy) -> Iterator[Sum]:
    for network in _paying(policy):
        final = (steps.claiming(), steps.signing(), *steps.becoming_final(policy, network))
        yield _within(
            f"refill on {network}",
            "treasury.refill_lead_time",
            policy.treasury.refill_lead_time,
            (*final, steps.switching()),
            (
                "raise refill_lead_time; a top-up is a payment like any other, also over the "
                "standby region"
            ),
        )
        yield _within(
            f"small withdrawal on {network} from an empty wallet",
            "targets.small_withdrawal_within",
            policy.targets.small_withdrawal_within,
            (*steps.refilling(policy), *final),
            "raise small_withdrawal_within, or shorten treasury.refill_lead_time",
        )
        yield _within(
            f"ledger restored on {network}",
            "targets.database_rto_max",
            policy.targets.database_rto_max,
            (
                *final,
                steps.claiming(),
                steps.signing(),
                ms("block", policy.networks[network].block_time),
            ),
            (
                "raise database_rto_max; before anything is paid after a restore, the new "
                "generation must be final in the contract, and the restore itself takes its time"
            ),
        )
        yield _within(
            f"small withdrawal on {network} while the signer's cap is used up",
            "caps.signer.window",
            policy.targets.small_withdrawal_within,
            (ms("window of the signer's cap", policy.caps.signer.window), *final),
            "shorten caps.signer.window, or raise targets.small_withdrawal_within",
        )


def _ways_back(policy: Policy) -> Iterator[Sum]:
    target = policy.targets.recovery_max
    stays: list[Term] = []
    for tier in reversed(TIERS[1:]):
        promise = policy.tiers.promise(tier)
        what = "dwell_min" if promise.dwell_min >= promise.exit_after else "exit_after"
        stay = ms(f"{tier} {what}", max(promise.dwell_min, promise.exit_after))
        stays.append(stay)
        yield _within(
            f"leaving {tier}",
            f"tiers.{tier}.{what}",
            target,
            (stay,),
            f"lower it, or raise targets.recovery_max: {tier} could not be left in time",
        )
    window = max((settings.window or 0 for settings in policy.indicators.values()), default=0)
    for network in _paying(policy):
        yield _within(
            f"recovery on {network}",
            "targets.recovery_max",
            target,
            (
                ms("longest window", window),
                *stays,
                *steps.refilling(policy),
                steps.claiming(),
                steps.signing(),
                *steps.becoming_final(policy, network),
            ),
            (
                "raise recovery_max, or shorten the stays in tiers, the windows or the refill lead "
                "time"
            ),
        )


def _stops(policy: Policy) -> Iterator[Sum]:
    keys = len(policy.signing_wallets())
    yield _within(
        "emergency stop of a region",
        "targets.emergency_stop_max",
        policy.targets.emergency_stop_max,
        (
            ms(
                "DisableKey",
                -(-keys // DISABLE_KEY_PER_S) * 1_000,
                f"{keys} keys at {DISABLE_KEY_PER_S}/s",
            ),
        ),
        "raise emergency_stop_max, or have KMS raise the quota of DisableKey",
    )
    yield _within(
        "ledger lost with its region",
        "targets.rpo_max",
        policy.targets.rpo_max,
        (
            ms("backup every", policy.backup.every),
            ms("late start of a backup", _BACKUP_START_WINDOW_MS),
        ),
        "raise rpo_max, or back up more often",
    )
