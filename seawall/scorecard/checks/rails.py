"""Checks of payouts over rails: an exchange, or a payment processor."""

from __future__ import annotations

from seawall.scorecard.checks.times import finding_of
from seawall.scorecard.facts import Facts
from seawall.scorecard.outcome import Finding, check
from seawall.scorecard.rail_failover import rail_failover


@check(
    "failover.rails",
    question=(
        "After a rail's provider went dark, did its standby accept a withdrawal in time, on every "
        "rail that had one to pay?"
    ),
    motivation="Until then nobody is paid over that rail, however healthy the networks are.",
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "timeline.jsonl",
        "probes.jsonl",
        "rails/statements.csv",
        "records/instructions.csv",
        "records/flow.csv",
    ),
    remediation=(
        "See how long the primary was asked, when the rail changed, and whether the standby had "
        "money; the log of who pays over rails says each."
    ),
    belongs=lambda drill: "rail_failover_max" in drill.expects.targets,
    steerable=True,
    believes={
        "generator": "that it asked for what the standby accepted, and was promised it",
        "prober": "a provider that it found silent; `drill.fault_landed` holds the payer's counts "
        "against it",
    },
)
def failover_rails(facts: Facts) -> Finding:
    """Policy target ``rail_failover_max``."""
    return finding_of(rail_failover(facts))


CHECKS = (failover_rails,)
