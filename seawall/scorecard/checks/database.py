"""Checks of a ledger whose database was lost: what was lost with it, and how soon it was back."""

from __future__ import annotations

from seawall.scorecard.checks.times import finding_of
from seawall.scorecard.facts import MILLISECOND, Facts, format_s
from seawall.scorecard.lost_database import lost_withdrawals, restoration
from seawall.scorecard.lost_promises import count_unnamed, lost_promises, named_promises
from seawall.scorecard.outcome import Finding, check, failed, passed, unknown
from seawall.scorecard.sources import Doubts


def _none_lost_before(limit_us: int) -> str:
    """The target in words: what was acknowledged so shortly before the loss may be lost."""
    if not limit_us:
        return "0 lost of all that were acknowledged"
    return f"0 lost that were acknowledged more than {format_s(limit_us)} before the loss"


@check(
    "database.rpo",
    question="Does the restored ledger know every withdrawal that was acknowledged?",
    motivation="What a customer was told is a promise, and a disk that breaks is no excuse.",
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "probes.jsonl",
        "timeline.jsonl",
        "followed.csv",
        "records/withdrawals.csv",
        "chain/payouts.csv",
        "chain/blocks.csv",
    ),
    adapts_to=("withdrawals",),
    remediation=(
        "Look whether the stream of the log was there and whether the restore had all of it; pay "
        "nobody of the list by hand before the chain was asked."
    ),
    belongs=lambda drill: "database_rpo_max" in drill.expects.targets,
    believes={
        "generator": "acknowledgements that it leaves out",
        "venue": "that it knows what it lost, in its records and to whoever asks",
    },
)
def rpo(facts: Facts) -> Finding:
    """Policy target ``database_rpo_max``: zero, or how long before the loss may be lost with it.

    Every withdrawal that is lost is listed, with whether a chain has paid it.
    """
    limit_us = facts.run.policy.targets.database_rpo_max * MILLISECOND
    target = _none_lost_before(limit_us)
    doubts = Doubts()
    lost = lost_withdrawals(facts, doubts)
    promised = facts.known_promises(Doubts())
    before = sum(1 for at in promised.values() if at <= facts.fault_effective)
    over = [each for each in lost if not limit_us or each.before_us > limit_us]
    paid = sum(1 for each in lost if each.paid)
    measured = f"{len(lost):,} lost of {len(promised):,}, {before:,} of them before the loss"
    if over:
        return failed(
            measured=measured,
            target=target,
            reason=(
                f"{len(over):,} are lost, the oldest acknowledged {format_s(over[0].before_us)}"
                f" before the loss; the chains have paid {paid:,} of all that are lost"
            ),
            details=map(str, lost),
        )
    if doubts:
        return unknown(target=target, measured=measured, reason=doubts.reasons[0])
    if not before:
        return unknown(
            target=target, measured="no samples", reason="nothing was acknowledged before the loss"
        )
    return passed(
        measured=measured,
        target=target,
        reason="the ledger knows all of them" if not lost else "no older one is lost",
        details=map(str, lost),
    )


@check(
    "database.rto",
    question=("After the database was lost, were withdrawals acknowledged and paid again in time?"),
    motivation="Until then the venue is closed, and every minute of that is where a run begins.",
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "probes.jsonl",
        "timeline.jsonl",
        "chain/payouts.csv",
        "chain/blocks.csv",
    ),
    remediation=(
        "See in the report which step of the restoration took longest: the log since the last "
        "backup, catching up with the chains, or what came after it."
    ),
    belongs=lambda drill: "database_rto_max" in drill.expects.targets,
    believes={
        "runner": (
            "a loss that it dates later; `drill.fault_landed` wants nothing to be acknowledged from"
            " then on"
        ),
        "networks": "payouts that were never made",
    },
)
def rto(facts: Facts) -> Finding:
    """Policy target ``database_rto_max``."""
    return finding_of(restoration(facts))


@check(
    "database.promises",
    question=(
        "Does the restored ledger know all else that was acknowledged: swaps, cancellations, "
        "listings, bids, settlements, refunds and tickets?"
    ),
    motivation=(
        "Of these no chain shows one. What only the lost database knew is lost without a name, so "
        "of more promises than logs outside of it name, this check is UNKNOWN."
    ),
    evidence=("probes.jsonl", "timeline.jsonl", "records/promises.csv", "metrics.json"),
    adapts_to=("metrics",),
    remediation=(
        "Keep a log of what is acknowledged before the api, hand it to catch-up "
        "(`--acknowledged`), and make good what it lists."
    ),
    belongs=lambda drill: "database_rpo_max" in drill.expects.targets,
    believes={
        "venue": "that it has on record what it lost",
        "Prometheus": "a count of the api's that leaves out what others than the prober were told",
        "runner": "a loss that it dates earlier, so that what was lost came after it",
    },
)
def promises(facts: Facts) -> Finding:
    """Policy target ``database_rpo_max``, of what is on no chain; each that is lost is listed.

    UNKNOWN where the api acknowledged more than logs outside the database name.
    """
    limit_us = facts.run.policy.targets.database_rpo_max * MILLISECOND
    target = _none_lost_before(limit_us)
    doubts = Doubts()
    lost = lost_promises(facts)
    unnamed = count_unnamed(facts, doubts)
    for kind, count in unnamed.items():
        doubts.note(
            f"the api acknowledged {count:,} {kind}s before the loss that no log outside the"
            " database names: nobody can say whether they are lost, nor which they were"
        )
    before = sum(1 for at in named_promises(facts).values() if at <= facts.fault_effective)
    over = [each for each in lost if not limit_us or each.before_us > limit_us]
    others = sum(unnamed.values())
    measured = f"{len(lost):,} lost of {before:,} before the loss, and {others:,} that nobody names"
    if over:
        return failed(
            measured=measured,
            target=target,
            reason=(
                f"{len(over):,} are lost, the oldest acknowledged {format_s(over[0].before_us)}"
                " before the loss; no chain shows one of them"
            ),
            details=(*map(str, lost), *(f"not all is known: {each}" for each in doubts.reasons)),
        )
    if doubts:
        return unknown(
            target=target, measured=measured, reason=doubts.reasons[0], details=doubts.reasons[1:]
        )
    if not before:
        return unknown(
            target=target, measured="no samples", reason="nothing was acknowledged before the loss"
        )
    return passed(
        measured=measured,
        target=target,
        reason="the ledger knows all of them" if not lost else "no older one is lost",
        details=map(str, lost),
    )


CHECKS = (rpo, promises, rto)
