"""The readiness checks, one question each, in files by topic; see :data:`ALL`."""

from seawall.conventions import sabotage
from seawall.scorecard.checks import (
    customers,
    drill,
    evidence,
    expectations,
    fault,
    promises,
    safety,
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
    *expectations.CHECKS,
    *promises.CHECKS,
    *safety.CHECKS,
)
"""Every check, in the order of a report. Which of them a drill asks, each says itself."""

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
    sabotage.SABOTAGE_FAILOVER: frozenset({"failover.time", "stress.small_completed"}),
    sabotage.SABOTAGE_RPC_FAILOVER: frozenset({"stress.small_completed"}),
    sabotage.SABOTAGE_MODE_CONTROLLER: frozenset({"protection.time", "protected.suspensions"}),
}
"""By control that is switched off: exactly the ids of the checks that must fail then.

A drill that cannot fail proves nothing. Tests read this; no check does.
"""
