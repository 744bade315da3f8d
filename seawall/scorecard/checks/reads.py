"""Checks of what customers looked at in the run: could all of them, and not only the prober?

The prober has one account, and asks once in a while. A run on the bank looks at its balance first,
with everybody at once; so each function is judged from the flood's own log, too.
"""

from __future__ import annotations

from collections.abc import Callable

from seawall.conventions.reads import FOLLOW_READ, SAMPLES_MIN
from seawall.policy import Function
from seawall.scorecard.checks.drill import MISSED_PER_MILLE_MAX
from seawall.scorecard.facts import MILLISECOND, Facts, format_s
from seawall.scorecard.outcome import Check, Finding, failed, passed, unknown
from seawall.scorecard.reads import Tally, by_tier, guaranteed, longest_pause_us, tally
from seawall.scorecard.sources import Doubts


def _answer(operation: str, function: Function | None) -> Callable[[Facts], Finding]:
    """The judgement of one operation; see :func:`judge`."""
    return lambda facts: judge(facts, operation, function)


def judge(facts: Facts, operation: str, function: Function | None) -> Finding:
    """The share of the run's reads that were answered right and in time, against the policy's.

    In all tiers together that guarantee it, and in each that has enough of them. Time counts from
    the planned instant. What did not leave, or what the generator made late, shows nothing: FAIL
    only if the rest could not make up for what was lost, and UNKNOWN if too much is missing.
    """
    probing = facts.run.policy.probing
    within_us = probing.answer_within * MILLISECOND
    target = f">= {float(probing.answered_min):.2%} right within {format_s(within_us)}"
    reads = guaranteed(facts, operation, function)
    total = tally(reads, within_us=within_us)
    unseen = Doubts()
    tiers = {
        tier: tally(found, within_us=within_us)
        for tier, found in (unseen.ask(lambda: by_tier(facts, reads)) or {}).items()
    }
    measured = total.text
    details = [f"{tier}: {found.text}" for tier, found in tiers.items() if found.shown]
    judged = {"all": total} | {
        tier: found for tier, found in tiers.items() if found.shown >= SAMPLES_MIN
    }
    broken = [
        (where, found)
        for where, found in judged.items()
        if found.shown and found.share_at_best < probing.answered_min
    ]
    if broken:
        where, found = broken[-1]
        return failed(
            measured=measured,
            target=target,
            reason=f"{operation} did not go on working for customers"
            + ("" if where == "all" else f" in tier {where}"),
            details=(*found.complaints, *details),
        )
    if unseen:
        return unknown(measured=measured, target=target, reason=unseen.reasons[0])
    doubts = [
        doubt
        for doubt in (
            _too_few(facts, total, tiers.get("protected"), function),
            _too_much_missing(total),
            _paused(facts, operation),
            *(
                f"whether the share was reached depends on {found.unproven:,} that were not sent"
                " in time"
                for found in judged.values()
                if found.shown and found.share < probing.answered_min
            ),
        )
        if doubt is not None
    ]
    if doubts:
        return unknown(
            measured=measured, target=target, reason=doubts[0], details=(*doubts[1:], *details)
        )
    return passed(
        measured=measured,
        target=target,
        reason="from the planned instant, by the flood's own log",
        details=details,
    )


def _too_few(
    facts: Facts, total: Tally, protected: Tally | None, function: Function | None
) -> str | None:
    if total.shown < SAMPLES_MIN:
        return f"only {total.shown:,} say anything, and it takes {SAMPLES_MIN}"
    promise = facts.run.policy.tiers.promise("protected")
    if (
        protected is None
        or "protected" not in facts.run.drill.expects.reaches
        or not (function is None or function in promise.guarantees)
        or not facts.spans_of("protected")  # whether it came, and in time, other checks judge
        or protected.shown >= SAMPLES_MIN
    ):
        return None
    return f"only {protected.shown:,} of protected mode say anything, and it takes {SAMPLES_MIN}"


def _too_much_missing(total: Tally) -> str | None:
    planned = total.shown + total.unproven
    if total.unproven * 1000 <= planned * MISSED_PER_MILLE_MAX:
        return None
    return f"{total.unproven:,} of {planned:,} planned were not sent, or not in time"


def _paused(facts: Facts, operation: str) -> str | None:
    longest_us = longest_pause_us(facts, operation)
    if longest_us <= facts.run.policy.probing.gap_max * MILLISECOND:
        return None
    return f"nobody looked for {format_s(longest_us)} of the run"


_REMEDIATION = (
    "Look at the api's latency and errors under load, and at the error column of reads.csv; if too "
    "few were sent, at the profile's shares and at what the generator had of the machine."
)
_EVIDENCE = ("planned_reads.csv", "reads.csv", "arrivals.csv", "requests.csv", "flood.json")


def _check(
    operation: str, identity: str, function: Function | None, *, question: str, motivation: str
) -> Check:
    return Check(
        id=f"reads.{identity}",
        question=question,
        motivation=motivation,
        evidence=(*_EVIDENCE, "timeline.jsonl", "records/mode_log.csv"),
        remediation=_REMEDIATION,
        answer=_answer(operation, function),
        adapts_to=frozenset({"mode_changes"}),
        operation=operation,
        function=function,
        steerable=True,
        believes={
            "generator": "right answers in time that it never got; the prober's own login, balances"
            " and status say otherwise",
            "venue": "a tier that guarantees the function dated shorter; the status holds against"
            " it",
        },
    )


CHECKS = (
    _check(
        "login",
        "login",
        "login",
        question="In the run, could customers log in?",
        motivation="Whoever cannot log in fears for the money, and tells everybody.",
    ),
    _check(
        "balances",
        "balances",
        "balances",
        question="In the run, could customers see their balances?",
        motivation="A run on the bank looks at its balance first; a blank page begins the next.",
    ),
    _check(
        "status",
        "status",
        None,
        question="In the run, did the status page answer whoever asked?",
        motivation="A venue that cannot say what it promises now promises nothing.",
    ),
    _check(
        FOLLOW_READ,
        "follow",
        None,
        question="In the run, could customers see what became of their own withdrawals?",
        motivation="Who was promised money and sees no trace of it asks again, and again.",
    ),
)
SHOWN = tuple(check.id for check in CHECKS)
"""Their ids, for what is shown first of a verdict."""
