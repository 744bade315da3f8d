"""Checks of the times: did it happen in time? Every target gates: one miss is FAIL."""

from __future__ import annotations

from seawall.scorecard import budgets, recovery
from seawall.scorecard.breach import breach
from seawall.scorecard.budgets import Budget
from seawall.scorecard.facts import Facts, format_s
from seawall.scorecard.failover import failover
from seawall.scorecard.outcome import Finding, check


@check(
    "failover.time",
    question=(
        "After signing went dark in the primary region, did the standby sign and broadcast in time?"
    ),
    motivation="Until then no customer of any network is paid.",
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "timeline.jsonl",
        "probes.jsonl",
        "records/withdrawals.csv",
        "records/lane_log.csv",
        "records/slots.csv",
        "records/sign_log.csv",
        "records/mode_log.csv",
        "records/flow.csv",
        "pages.jsonl",
        "aws/sign_calls.csv",
    ),
    adapts_to=("pages", "aws_log"),
    remediation=(
        "Follow detect, decide, act in the report: the breaker's timeouts, the fencing "
        "transaction, the standby's signer."
    ),
    belongs=lambda drill: "failover_max" in drill.expects.targets,
    steerable=True,
    believes={
        "venue": (
            "which region signed, on a stack that does not offer AWS's log: the nodes show when "
            "something was sent, and not who signed it"
        )
    },
)
def failover_time(facts: Facts) -> Finding:
    """Policy target ``failover_max``."""
    return finding_of(failover(facts))


@check(
    "protection.time",
    question=(
        "After customers had asked for so much that it was called for, was protected mode "
        "committed in time?"
    ),
    motivation=(
        "Every second in between pays large withdrawals from the money that the small ones need."
    ),
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "probes.jsonl",
        "timeline.jsonl",
        "records/flow.csv",
        "records/mode_log.csv",
        "pages.jsonl",
    ),
    adapts_to=("pages",),
    remediation=(
        "Look at the intake, if its rows come late; then at the mode controller: its wake-up, its "
        "query, the wait for the mode lock."
    ),
    belongs=lambda drill: "protected_max" in drill.expects.targets,
    steerable=True,
    believes={
        "venue": (
            "a tier that it shows, in its records and to the prober, and does not act on; "
            "`protected.suspensions` tries it"
        )
    },
)
def protection_time(facts: Facts) -> Finding:
    """Policy target ``protected_max``."""
    return finding_of(budgets.protection(facts))


@check(
    "page.failover",
    question="Was a person paged in time that a signing region is dark?",
    motivation="Automation may be wrong; a person who is not paged cannot correct it.",
    evidence=("pages.jsonl", "timeline.jsonl"),
    remediation="Follow the alert: scrape, rule, group wait, receiver.",
    belongs=lambda drill: {"page_max", "failover_max"} <= set(drill.expects.targets),
    believes={"pager": "a page that nobody received"},
)
def page_failover(facts: Facts) -> Finding:
    """Policy target ``page_max``, from the fault seen effective."""
    return finding_of(
        budgets.page(
            facts,
            identity="page.failover",
            alerts=budgets.failover_alerts(facts),
            starts=facts.fault_effective,
            begins="an outside probe saw the fault take effect",
        )
    )


@check(
    "page.protection",
    question="Was a person paged in time that a run on the venue has begun?",
    motivation="Customers and the market ask at once; someone must be awake to answer.",
    evidence=(
        "pages.jsonl",
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "probes.jsonl",
        "records/flow.csv",
    ),
    remediation="Follow the alert: scrape, rule, group wait, receiver.",
    belongs=lambda drill: {"page_max", "protected_max"} <= set(drill.expects.targets),
    steerable=True,
    believes={"pager": "a page that nobody received"},
)
def page_protection(facts: Facts) -> Finding:
    """Policy target ``page_max``, from the same moment as ``protection.time``."""
    called = breach(facts)
    return finding_of(
        budgets.page(
            facts,
            identity="page.protection",
            alerts=budgets.protection_alerts(facts),
            starts=called.starts,
            begins=called.begins,
        )
    )


@check(
    "recovery.time",
    question="After healing, was the queue drained and the tier normal again in time?",
    motivation="A venue that stays in protected mode has turned an outage into a freeze.",
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "probes.jsonl",
        "timeline.jsonl",
        "chain/payouts.csv",
        "chain/blocks.csv",
        "rails/statements.csv",
        "records/instructions.csv",
        "records/withdrawals.csv",
        "records/mode_log.csv",
    ),
    adapts_to=("statements", "instructions"),
    remediation=(
        "See which came last: payouts per second and top-ups drain the queue, dwell and exit "
        "levels free the tier."
    ),
    belongs=lambda drill: "recovery_max" in drill.expects.targets,
    steerable=True,
    believes={"venue": "a tier that it calls normal, in its records and to the prober"},
)
def recovery_time(facts: Facts) -> Finding:
    """Policy target ``recovery_max``."""
    return finding_of(recovery.recovery(facts))


def finding_of(budget: Budget) -> Finding:
    """What a time proves about its target, with its marks as details."""
    return Finding(
        outcome=budget.outcome,
        measured=budget.measured,
        target=f"<= {format_s(budget.limit_us)}",
        reason=budget.reason,
        details=tuple(
            f"{format_s(mark.offset_us)} {mark.name} ({mark.observer})" for mark in budget.marks
        ),
    )


CHECKS = (failover_time, protection_time, page_failover, page_protection, recovery_time)
