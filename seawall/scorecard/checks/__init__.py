"""The readiness checks, one question each, in files by topic; see :data:`ALL`."""

from collections.abc import Mapping
from dataclasses import replace

from seawall.conventions import sabotage
from seawall.policy import Drill
from seawall.policy.drilling import NEIGHBOUR, SEGREGATION
from seawall.scorecard.checks import (
    customers,
    database,
    drill,
    evidence,
    expectations,
    fault,
    journal,
    ledger,
    neighbour,
    promises,
    rails,
    reads,
    safety,
    segregation,
    signing,
    times,
)
from seawall.scorecard.outcome import Check

COMPLETE = evidence.complete
"""Unless this one passes, no other finding counts, except a violation that its own rows prove."""

ALL: tuple[Check, ...] = (
    *evidence.CHECKS,
    *drill.CHECKS,
    *fault.CHECKS,
    *customers.CHECKS,
    *times.CHECKS,
    *database.CHECKS,
    *rails.CHECKS,
    *expectations.CHECKS,
    *promises.CHECKS,
    *reads.CHECKS,
    *ledger.CHECKS,
    *safety.CHECKS,
    *journal.CHECKS,
    *signing.CHECKS,
)
"""Every check of a drill that the policy declares, in the order of a report.

Which of them a drill asks, each says itself.
"""

OF_CONTROL: Mapping[str, tuple[Check, ...]] = {
    drill: (replace(COMPLETE, evidence=("manifest.json", *checks[0].evidence)), *checks)
    for drill, checks in ((NEIGHBOUR, neighbour.CHECKS), (SEGREGATION, segregation.CHECKS))
}
"""By drill of one control: every check of it, in the order of a report."""

FLOOR: frozenset[str] = frozenset(
    {
        "evidence.complete",
        "evidence.observers",
        "experiment.sound",
        "drill.calm",
        "drill.flood",
        "drill.payouts",
        "drill.fault_length",
        "drill.fault_landed",
        "customer.followed",
        "customer.paid_once",
        "customer.told_truth",
    }
)
"""What is claimed of every drill on every venue: without one of these there is no PASS."""

SABOTAGE_FAILS: dict[str, frozenset[str]] = {
    sabotage.SABOTAGE_FAILOVER: frozenset(
        {"failover.time", "stress.small_completed", "tiers.avoided"}
    ),
    sabotage.SABOTAGE_RPC_FAILOVER: frozenset({"stress.small_completed", "tiers.avoided"}),
    sabotage.SABOTAGE_RAIL_FAILOVER: frozenset({"failover.rails"}),
    sabotage.SABOTAGE_MODE_CONTROLLER: frozenset({"protection.time", "protected.suspensions"}),
    sabotage.SABOTAGE_ASSET_REST: frozenset(
        {"customer.followed", "recovery.time", "safety.acknowledged_resolved"}
    ),
    sabotage.SABOTAGE_CUSTOMER_LIMITS: frozenset({"tiers.avoided", "page.none"}),
    # What was accepted since the base backup is lost, and the ledger has what the chains have paid.
    sabotage.SABOTAGE_WAL_STREAM: frozenset(
        {
            "database.rpo",
            "database.promises",
            "customer.followed",
            "safety.acknowledged_resolved",
            "safety.chain_equals_posted",
            "safety.hot_reconciles",
        }
    ),
}
"""By control: the ids of the checks that need it. Tests read this; no check does."""


def fails_without(control: str, drill: Drill) -> frozenset[str]:
    """The checks that must fail in ``drill`` with ``control`` switched off, and no other may.

    A drill that cannot fail proves nothing.
    """
    needing = (check for check in ALL if check.id in SABOTAGE_FAILS[control])
    return frozenset(check.id for check in needing if check.belongs(drill))
