"""Was every promise of the tiers kept while the shock lasted?"""

from __future__ import annotations

from fractions import Fraction

from seawall.errors import EvidenceError
from seawall.scorecard.budgets import CLOCK_TOLERANCE_US, protection
from seawall.scorecard.facts import FOREVER, MILLISECOND, Acknowledged, Facts, format_s
from seawall.scorecard.outcome import Finding, Outcome, check, failed, passed, unknown
from seawall.scorecard.readers import Instant
from seawall.scorecard.rows import Probe

SAMPLES_MIN = 5
"""Fewer samples of a promise than this prove nothing about it."""

SUSPENDED = "suspended"
"""The drill contract's code of a refusal that a tier demands."""


@check(
    "stress.small_completed",
    question="Of the small withdrawals acknowledged under stress, were enough paid in time?",
    motivation="This is the promise that protected mode exists for.",
    evidence=("arrivals.csv", "requests.csv", "records/withdrawals.csv"),
    remediation="See whether the late ones waited for signing, for money or for blocks.",
)
def small_completed(facts: Facts) -> Finding:
    """Every acknowledged one counts, whatever became of it; time runs from the planned instant of its first acknowledged attempt."""
    targets = facts.run.policy.targets
    within_us = targets.small_withdrawal_within * MILLISECOND
    share_min = targets.small_withdrawals_completed_min
    target = f">= {float(share_min):.2%} within {format_s(within_us)}"
    until = facts.moment("fault.cleared") or facts.run_ends
    promised = [
        promise
        for promise in facts.acknowledged.values()
        if promise.arrival.size == "small" and facts.run_starts <= promise.planned_at <= until
    ]
    if not promised:
        return unknown(target=target, measured="no samples", reason="no small withdrawal was acknowledged under stress")
    late: list[tuple[int, Acknowledged, str]] = []
    for promise in promised:
        record = facts.withdrawals_by_id.get(promise.arrival.id)
        if record is None or record.state != "posted" or record.resolved_at is None:
            late.append((FOREVER, promise, "never paid" if record is None else f"in state {record.state}"))
        elif record.resolved_at - promise.planned_at > within_us:
            took_us = record.resolved_at - promise.planned_at
            late.append((took_us, promise, f"paid after {format_s(took_us)}"))
    done = len(promised) - len(late)
    share = Fraction(done, len(promised))
    measured = f"{float(share):.2%} ({done:,} of {len(promised):,})"
    if share >= share_min:
        return passed(measured=measured, target=target, reason="measured from the planned instant to the posting")
    if facts.observed_until < until + within_us:
        return unknown(target=target, measured=measured, reason="the evidence ends before the last bound")
    worst = max(late, key=lambda item: item[0])
    ordered = sorted(late, key=lambda item: item[1].planned_at)
    details = [
        f"{label}: {promise.arrival.id}, {what}"
        for label, (_, promise, what) in (("first", ordered[0]), ("worst", worst), ("last", ordered[-1]))
    ]
    return failed(measured=measured, target=target, reason=f"{len(late):,} were late or never paid", details=details)


@check(
    "protected.guarantees",
    question="While protected, did login, balances and small withdrawals go on working?",
    motivation="Protected mode that locks everyone out is the freeze that starts the next run.",
    evidence=("probes.jsonl", "records/mode_log.csv"),
    remediation="Look at the api's latency and errors under load.",
)
def guarantees(facts: Facts) -> Finding:
    """Each guaranteed function's probes answered as well as the completion target asks for."""
    share_min = facts.run.policy.targets.small_withdrawals_completed_min
    target = f">= {float(share_min):.2%} of each answered"
    counts: dict[str, tuple[int, int]] = {}
    for probe in ("login", "balances", "small_withdrawal"):
        inside = _inside(facts, probe)
        counts[probe] = (sum(1 for sample in inside if sample.ok), len(inside))
    measured = ", ".join(f"{probe} {answered}/{total}" for probe, (answered, total) in counts.items())
    thin = [probe for probe, (_, total) in counts.items() if total < SAMPLES_MIN]
    broken = [probe for probe, (answered, total) in counts.items() if total and Fraction(answered, total) < share_min]
    if broken:
        return failed(
            measured=measured, target=target, reason=f"{', '.join(broken)} did not go on working in protected mode"
        )
    if thin:
        return unknown(
            target=target, measured=measured, reason=f"too few samples of {', '.join(thin)} in protected mode"
        )
    return passed(measured=measured, target=target, reason="probed from outside throughout protected mode")


@check(
    "protected.suspensions",
    question="While protected, was every swap and every large cross-rail transfer refused, with its reason?",
    motivation="What protected mode does not stop empties the wallets by another door.",
    evidence=("probes.jsonl", "records/mode_log.csv", "records/flow.csv"),
    remediation="Look at the guard if the mode never came, at admission if it did.",
)
def suspensions(facts: Facts) -> Finding:
    """Refused inside protected mode, and accepted at least once in normal mode, or the refusal would prove nothing."""
    target = f"all refused as {SUSPENDED!r} in protected mode, accepted in normal mode"
    if not facts.spans_of("protected"):
        return _never_protected(facts, target=target)
    counts = []
    faults: list[str] = []
    thin = []
    for probe in ("swap", "large_transfer"):
        answered = [sample for sample in _inside(facts, probe) if sample.ok or _code(sample) is not None]
        let_through = [sample for sample in answered if _code(sample) != SUSPENDED]
        counts.append(f"{probe} {len(answered) - len(let_through)}/{len(answered)} refused")
        faults += [
            f"{probe} was answered {_code(sample) or 'as if nothing was wrong'} {format_s(sample.at - facts.run_starts)} into the run"
            for sample in let_through
        ]
        if len(answered) < SAMPLES_MIN:
            thin.append(f"too few answers to {probe} in protected mode")
        if not any(sample.ok for sample in _inside(facts, probe, tier="normal", whole=True)):
            thin.append(f"{probe} was never accepted in normal mode either")
    measured = ", ".join(counts)
    if faults:
        return failed(measured=measured, target=target, reason=faults[0], details=faults[1:4])
    if thin:
        return unknown(target=target, measured=measured, reason=thin[0], details=thin[1:])
    return passed(measured=measured, target=target, reason="probed from outside throughout protected mode")


def _never_protected(facts: Facts, *, target: str) -> Finding:
    """Protected mode never came: FAIL if it was called for and both observers watched, else UNKNOWN."""
    try:
        budget = protection(facts)
    except EvidenceError as error:
        return unknown(target=target, measured="never protected", reason=str(error))
    if budget.outcome is Outcome.FAIL:
        return failed(
            measured="never protected", target=target, reason="the breach was committed, and protected mode never came"
        )
    return unknown(target=target, measured="never protected", reason=budget.reason)


def _code(sample: Probe) -> str | None:
    """The venue's code in its answer; None if it gave none, or no answer."""
    code = (sample.detail or {}).get("code")
    return None if code is None else str(code)


def _inside(facts: Facts, probe: str, *, tier: str = "protected", whole: bool = False) -> list[Probe]:
    """Samples that lie within a time of ``tier`` with room for the flips' uncertainty; from the run on unless ``whole``."""
    found: list[Probe] = []
    for span in facts.tiers:
        if span.tier != tier or (not whole and span.ends <= facts.run_starts):
            continue
        starts = Instant(span.starts + CLOCK_TOLERANCE_US)
        ends = Instant(span.ends - CLOCK_TOLERANCE_US)
        found += [sample for sample in facts.samples(probe) if starts <= sample.at and sample.done_at <= ends]
    return found


CHECKS = (small_completed, guarantees, suspensions)
