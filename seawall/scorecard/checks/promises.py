"""Checks of the promises: was each promise of the tiers kept while the shock lasted?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import partial

from seawall.conventions import faults
from seawall.errors import EvidenceError
from seawall.policy import Drill
from seawall.scorecard.budgets import protection
from seawall.scorecard.facts import FOREVER, MILLISECOND, Facts, format_s
from seawall.scorecard.outcome import Finding, Outcome, check, failed, passed, unknown
from seawall.scorecard.payments import payment_of
from seawall.scorecard.readers import CLOCK_TOLERANCE_US, SECOND, Instant
from seawall.scorecard.rows import Followed, ProbeSample, Slot, Withdrawal
from seawall.scorecard.seen import TierSpan
from seawall.scorecard.sources import Doubts

SAMPLES_SHARE_MIN = Fraction(1, 2)
"""Of the probes that the policy's period lets expect, how many must be there to prove something.

A prober that waits for an answer asks nothing meanwhile, so some are missing on any bad day.
"""

SUSPENDED = "suspended"
"""The drill contract's code for a refusal because the tier suspends the function."""


def _expects_protected(drill: Drill) -> bool:
    return "protected" in drill.expects.reaches


@check(
    "stress.small_completed",
    question=(
        "Of the small withdrawals that customers requested under stress, were enough paid in time?"
    ),
    motivation=(
        "This is the promise that protected mode exists for, and a request that is refused or "
        "lost breaks it like a late one."
    ),
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "timeline.jsonl",
        "probes.jsonl",
        "followed.csv",
        "chain/payouts.csv",
        "chain/blocks.csv",
        "rails/statements.csv",
        "records/instructions.csv",
        "records/withdrawals.csv",
    ),
    adapts_to=("withdrawals", "statements", "instructions"),
    remediation=(
        "See whether the late ones were refused, or waited for signing, for money or for blocks."
    ),
    belongs=lambda drill: "small_withdrawals_completed_min" in drill.expects.targets,
    steerable=True,
    believes={"generator": "requests that it leaves out, or calls planned later than they were"},
)
def small_completed(facts: Facts) -> Finding:
    """Every id that left counts, acknowledged or not.

    But for those of an asset that the drill itself lets its issuer pause: no venue can pay them.
    Time runs from the planned instant of its first attempt in the window to the later of two
    moments: the posting in the venue's ledger, and the block of the payment on the chain; over a
    rail, what its provider's statement says. Where a network or rail is not known well enough, FAIL
    only if the rest could not make up for what was not paid.
    """
    targets = facts.run.policy.targets
    within_us = targets.small_withdrawal_within * MILLISECOND
    share_min = targets.small_withdrawals_completed_min
    target = f">= {float(share_min):.2%} within {format_s(within_us)}"
    until = max(facts.healing, facts.run_ends)
    asked: dict[str, Instant] = {}
    paused = _paused_assets(facts.run.drill)
    for arrival, request in facts.sent:
        if (arrival.network, arrival.asset) in paused:
            continue
        if arrival.size == "small" and facts.run_starts <= request.planned_at <= until:
            asked[arrival.id] = min(asked.get(arrival.id, request.planned_at), request.planned_at)
    if not asked:
        return unknown(
            target=target,
            measured="no samples",
            reason="no small withdrawal was requested under stress",
        )
    doubts = Doubts()
    late, unproven = _late(facts, asked, within_us, doubts)
    done = len(asked) - len(late) - unproven
    share = Fraction(done, len(asked))
    at_best = Fraction(done + unproven, len(asked))
    measured = f"{float(share):.2%} ({done:,} of {len(asked):,})"
    if paused:
        names = " and ".join(f"{asset} on {network}" for network, asset in sorted(paused))
        measured += f", without {names}"
    if doubts and at_best >= share_min:
        return unknown(target=target, measured=measured, reason=doubts.reasons[0])
    if share >= share_min:
        return passed(
            measured=measured,
            target=target,
            reason="from the planned instant to the later of posting and block",
        )
    if facts.observed_until < until + within_us:
        return unknown(
            target=target, measured=measured, reason="the evidence ends before the last bound"
        )
    worst = max(late, key=lambda item: item[1])
    details = [
        f"{label}: {what}"
        for label, (_, _, what) in (("first", min(late)), ("worst", worst), ("last", max(late)))
    ]
    return failed(
        measured=measured,
        target=target,
        reason=f"{len(late):,} were refused, late or never paid",
        details=details,
    )


def _late(
    facts: Facts, asked: Mapping[str, Instant], within_us: int, doubts: Doubts
) -> tuple[list[tuple[Instant, int, str]], int]:
    """Requests that were not paid in time, each with since when, how late and why.

    And of how many that is not known, for which ``doubts`` gets the reasons.
    """
    late: list[tuple[Instant, int, str]] = []
    unproven = 0
    records = doubts.ask(lambda: _records(facts))
    for identity, since in asked.items():
        try:
            paid = _paid(facts, identity, records)
        except EvidenceError as error:
            unproven += 1
            doubts.note(str(error))
            continue
        if isinstance(paid, str):
            late.append((since, FOREVER, f"{identity}, {paid}"))
        elif paid < since - SECOND:  # a block has the second in which it was made
            late.append((since, FOREVER, f"{identity}, paid before it was asked for"))
        elif (took_us := paid - since) > within_us:
            late.append((since, took_us, f"{identity}, paid after {format_s(took_us)}"))
    return late, unproven


def _paused_assets(drill: Drill) -> frozenset[tuple[str, str]]:
    """(network, asset) of what the drill's own faults keep from moving."""
    return frozenset(
        (network, asset)
        for fault in drill.faults
        if fault.fault == faults.ASSET_PAUSED
        for _, network, asset in [fault.target.split(".")]
    )


def _records(facts: Facts) -> Mapping[str, Withdrawal | Followed]:
    """What the venue says of each request: its records or, without them, what it told customers."""
    return facts.withdrawals_by_id if facts.offers("withdrawals") else facts.followed_by_id


def _paid(
    facts: Facts, identity: str, records: Mapping[str, Withdrawal | Followed] | None
) -> Instant | str:
    """When a request was paid by all who can tell, or why it was not.

    Those are the chain, and the venue's ledger. Without its records: what it told the customer,
    which says that it is paid, and not when. What one of them does not have was not paid, whatever
    the other would say.

    Raises :class:`EvidenceError` if neither says so, and one of them is not known well enough.
    """
    if identity not in facts.acknowledged:
        return "never acknowledged"
    row = None if records is None else records.get(identity)
    if records is not None:
        if row is None:
            return "never paid" if facts.offers("withdrawals") else "not followed"
        if row.state != "posted":
            told = isinstance(row, Followed)
            return f"told that it is {row.state}" if told else f"in state {row.state}"
        if isinstance(row, Withdrawal) and row.resolved_at is None:
            return f"in state {row.state}"
    payment = payment_of(facts, identity)
    if payment is None:
        return "called paid, but paid on no chain"
    if records is None:
        raise EvidenceError("the venue's records of it are missing")
    resolved_at = row.resolved_at if isinstance(row, Withdrawal) else None
    return max(resolved_at or Instant(0), facts.paid_at(payment))


@check(
    "protected.guarantees",
    question="While protected, did login, balances and small withdrawals go on working?",
    motivation="Protected mode that locks everyone out is the freeze that starts the next run.",
    evidence=(
        "probes.jsonl",
        "arrivals.csv",
        "flood.json",
        "timeline.jsonl",
        "records/mode_log.csv",
    ),
    remediation="Look at the api's latency and errors under load.",
    belongs=_expects_protected,
    steerable=True,
    believes={
        "prober": "answers that it never got",
        "venue": (
            "a protected mode that it dates shorter; `protection.time` and `recovery.time` hold "
            "its ends against the status"
        ),
    },
)
def guarantees(facts: Facts) -> Finding:
    """Share of probes of each guaranteed function that succeeded, against what the policy asks.

    That is the completion target for withdrawals, and ``probing.answered_min`` for the others. What
    is answered later than ``probing.answer_within`` is no longer kept up. The flood's own log is
    judged by `seawall.scorecard.checks.reads`.
    """
    policy = facts.run.policy
    withdrawn_min = policy.targets.small_withdrawals_completed_min
    answered_min = policy.probing.answered_min
    within_us = policy.probing.answer_within * MILLISECOND
    target = (
        f">= {float(answered_min):.2%} of logins and balances, >= {float(withdrawn_min):.2%} of"
        f" withdrawals answered within {format_s(within_us)}"
    )
    counts: dict[str, tuple[int, int]] = {}
    for probe in ("login", "balances", "small_withdrawal"):
        inside = _inside(facts, probe)
        kept = sum(1 for sample in inside if sample.ok and _in_time(facts, sample))
        counts[probe] = (kept, len(inside))
    measured = ", ".join(
        f"{probe} {answered}/{total}" for probe, (answered, total) in counts.items()
    )
    thin = [probe for probe, (_, total) in counts.items() if _too_few(facts, total)]
    gaps = [gap for probe in counts if (gap := _unwatched(facts, probe)) is not None]
    broken = [
        probe
        for probe, (answered, total) in counts.items()
        if total
        and Fraction(answered, total)
        < (withdrawn_min if probe == "small_withdrawal" else answered_min)
    ]
    if broken:
        return failed(
            measured=measured,
            target=target,
            reason=f"{', '.join(broken)} did not go on working in protected mode",
        )
    if thin:
        return unknown(
            target=target,
            measured=measured,
            reason=f"too few samples of {', '.join(thin)} in protected mode",
        )
    if gaps:
        return unknown(target=target, measured=measured, reason=gaps[0], details=gaps[1:])
    return passed(
        measured=measured, target=target, reason="probed from outside throughout protected mode"
    )


@check(
    "protected.suspensions",
    question=(
        "While protected, was every swap and every large cross-rail transfer refused, with its "
        "reason?"
    ),
    motivation="What protected mode does not stop empties the wallets in another way.",
    evidence=(
        "probes.jsonl",
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "timeline.jsonl",
        "records/mode_log.csv",
        "records/flow.csv",
    ),
    remediation="Look at the mode controller if the mode never came, at admission if it did.",
    belongs=_expects_protected,
    steerable=True,
    believes={
        "prober": "refusals that it never got",
        "venue": "a protected mode that it dates shorter, as above",
    },
)
def suspensions(facts: Facts) -> Finding:
    """Refused inside protected mode, and accepted at least once in normal mode.

    Otherwise the refusal would prove nothing. A refusal later than the policy's
    ``probing.answer_within`` counts for nothing, and what was let through counts however late.
    """
    within_us = facts.run.policy.probing.answer_within * MILLISECOND
    target = (
        f"all refused as {SUSPENDED!r} within {format_s(within_us)} in protected mode, accepted "
        "in normal mode"
    )
    if not facts.spans_of("protected"):
        return _never_protected(facts, target=target)
    counts = []
    faults: list[str] = []
    thin = []
    for probe in ("swap", "large_transfer"):
        answered = [
            sample for sample in _inside(facts, probe) if sample.ok or _code(sample) is not None
        ]
        let_through = [sample for sample in answered if _code(sample) != SUSPENDED]
        refused = [
            sample for sample in answered if _code(sample) == SUSPENDED and _in_time(facts, sample)
        ]
        counts.append(f"{probe} {len(refused)}/{len(answered)} refused")
        faults += [
            (
                f"{probe} was answered {_code(sample) or 'as if nothing was wrong'} "
                f"{format_s(sample.at - facts.run_starts)} into the run"
            )
            for sample in let_through
        ]
        if _too_few(facts, len(refused)):
            thin.append(f"too few answers in time to {probe} in protected mode")
        elif (gap := _unanswered(facts, probe, refused)) is not None:
            thin.append(gap)
        if not any(sample.ok for sample in _inside(facts, probe, tier="normal", whole=True)):
            thin.append(f"{probe} was never accepted in normal mode either")
    measured = ", ".join(counts)
    if faults:
        return failed(measured=measured, target=target, reason=faults[0], details=faults[1:4])
    if thin:
        return unknown(target=target, measured=measured, reason=thin[0], details=thin[1:])
    return passed(
        measured=measured, target=target, reason="probed from outside throughout protected mode"
    )


@check(
    "protected.defers",
    question=(
        "While protected, were large withdrawals accepted and deferred, "
        "and were they paid afterwards?"
    ),
    motivation=(
        "What is deferred is the money that small withdrawals live on; what is never paid "
        "afterwards was a refusal."
    ),
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "timeline.jsonl",
        "probes.jsonl",
        "chain/payouts.csv",
        "chain/blocks.csv",
        "rails/statements.csv",
        "records/instructions.csv",
        "records/withdrawals.csv",
        "records/slots.csv",
        "records/mode_log.csv",
    ),
    adapts_to=("statements", "instructions"),
    numbered=True,
    remediation=(
        "Look at the settler's claims: the tier it reads, and the sizes that the tier lets it pick."
    ),
    belongs=_expects_protected,
    steerable=True,
    believes={
        "venue": "under which mode it claimed what had been asked for before that mode",
        "networks": "another transaction than the one that paid",
    },
)
def defers(facts: Facts) -> Finding:
    """FAIL for a large withdrawal that was put into a transaction under protected mode.

    The transaction is the one in the records, and also the one that the chain names. Whatever the
    records say of its claim, one that was both asked for and paid within protected mode was put
    into it under protected mode.
    """
    target = "0 large ones paid under protected mode, those accepted in it paid after it"
    spans = facts.spans_of("protected")
    if not spans:
        return unknown(
            target=target, measured="never protected", reason="protected mode never came"
        )
    if "withdrawals_large" not in facts.run.policy.tiers.promise("protected").defers:
        return unknown(
            target=target, reason="the policy does not defer large withdrawals in protected mode"
        )
    large = {row.seq: row for row in facts.run.withdrawals if row.size == "large"}
    epochs = {span.epoch for span in spans}
    doubts = Doubts()
    claimed = {
        *_slots_by_record(facts, large, doubts),
        *(doubts.ask(lambda: [*_slots_by_chain(facts, large)]) or []),
    }
    broken = sorted((slot.opened_at, seq) for seq, slot in claimed if slot.mode_epoch in epochs)
    seen = doubts.ask(lambda: _paid_within(facts, spans, doubts)) or []
    waited = [
        row
        for row in large.values()
        if any(
            span.starts <= row.reserved_at < span.ends
            and row.state == "posted"
            and (row.resolved_at or 0) > span.ends
            for span in spans
        )
    ]
    measured = (
        f"{len(broken):,} of {len(large):,} large ones paid under it, {len(waited):,} accepted "
        "in it paid after it"
    )
    if broken:
        at, seq = broken[0]
        return failed(
            measured=measured,
            target=target,
            reason=(
                f"seq {seq} was claimed under protected mode, "
                f"{format_s(at - facts.run_starts)} into the run"
            ),
        )
    if seen:
        return failed(
            measured=measured,
            target=target,
            reason=f"{seen[0]} was asked for and paid within protected mode, as seen outside",
            details=seen[1:4],
        )
    if doubts:
        return unknown(target=target, measured=measured, reason=doubts.reasons[0])
    if not waited:
        return unknown(
            target=target,
            measured=measured,
            reason="no large withdrawal was accepted in it and paid after it",
        )
    return passed(
        measured=measured,
        target=target,
        reason="by the slot of each, by the transaction that paid it, and by its block",
    )


def _paid_within(facts: Facts, spans: Iterable[TierSpan], doubts: Doubts) -> list[str]:
    """Large withdrawals that were asked for and paid within one of ``spans``, by id.

    Asked for by the flood's own schedule, and paid by the block in which that was.
    """
    found = []
    for identity, promise in facts.acknowledged.items():
        if promise.arrival.size != "large":
            continue
        payment = doubts.ask(partial(payment_of, facts, identity))
        paid = None if payment is None else doubts.ask(partial(facts.paid_at, payment))
        if paid is not None:
            found += [
                identity
                for span in spans
                if span.starts + CLOCK_TOLERANCE_US <= promise.planned_at
                and paid <= span.ends - CLOCK_TOLERANCE_US
            ]
    return found


def _slots_by_record(
    facts: Facts, large: Mapping[int, Withdrawal], doubts: Doubts
) -> Iterator[tuple[int, Slot]]:
    """(seq, slot) by the venue's records; ``doubts`` gets a slot that is not on record."""
    slots = {slot.id: slot for slot in facts.run.slots}
    for seq, row in large.items():
        if row.slot_id is None:
            continue
        if row.slot_id in slots:
            yield seq, slots[row.slot_id]
        else:
            doubts.note(
                f"records/slots.csv lacks slot {row.slot_id}, which records/withdrawals.csv names"
            )


def _slots_by_chain(facts: Facts, large: Mapping[int, Withdrawal]) -> Iterator[tuple[int, Slot]]:
    """(seq, slot) by the transaction that the chain says paid it."""
    slots = {slot.tx_hash: slot for slot in facts.run.slots if slot.tx_hash is not None}
    for payout in facts.run.payouts:
        if payout.seq is not None and payout.seq in large and payout.tx_hash in slots:
            yield payout.seq, slots[payout.tx_hash]


def _never_protected(facts: Facts, *, target: str) -> Finding:
    """The finding when protected mode never came.

    FAIL if a trigger was reached and both observers watched, else UNKNOWN.
    """
    try:
        budget = protection(facts)
    except EvidenceError as error:
        return unknown(target=target, measured="never protected", reason=str(error))
    if budget.outcome is Outcome.FAIL:
        return failed(
            measured="never protected",
            target=target,
            reason="the breach was committed, and protected mode never came",
        )
    return unknown(target=target, measured="never protected", reason=budget.reason)


def _unwatched(facts: Facts, probe: str) -> str | None:
    """That ``probe`` was not under way for too long in protected mode; None if it always was."""
    longest_us = _longest_pause_us(facts, facts.samples(probe))
    if longest_us <= facts.run.policy.probing.gap_max * MILLISECOND:
        return None
    return f"{probe} was not probed for {format_s(longest_us)} of protected mode"


def _unanswered(facts: Facts, probe: str, answered: Iterable[ProbeSample]) -> str | None:
    """That ``probe`` had no answer in time for too long in protected mode; None if it had."""
    longest_us = _longest_pause_us(facts, answered)
    if longest_us <= facts.run.policy.probing.gap_max * MILLISECOND:
        return None
    return f"{probe} had no answer in time for {format_s(longest_us)} of protected mode"


def _in_time(facts: Facts, sample: ProbeSample) -> bool:
    """Whether the answer came as soon as the policy wants it."""
    return sample.done_at - sample.at <= facts.run.policy.probing.answer_within * MILLISECOND


def _too_few(facts: Facts, found: int) -> bool:
    """Whether so many samples are too few for the time that protected mode lasted."""
    lasted_us = sum(
        min(span.ends, facts.observed_until) - span.starts for span in facts.spans_of("protected")
    )
    expected = Fraction(lasted_us, facts.run.policy.probing.every * MILLISECOND)
    return found == 0 or found < SAMPLES_SHARE_MIN * expected


def _longest_pause_us(facts: Facts, samples: Iterable[ProbeSample]) -> int:
    """The longest part of protected mode in which none of ``samples`` was under way."""
    ordered = sorted(samples, key=lambda sample: sample.at)
    longest_us = 0
    for span in facts.spans_of("protected"):
        known_until, ends = span.starts, min(span.ends, facts.observed_until)
        for sample in ordered:
            if span.starts <= sample.done_at and sample.at <= ends:
                longest_us = max(longest_us, sample.at - known_until)
                known_until = max(known_until, sample.done_at)
        longest_us = max(longest_us, ends - known_until)
    return longest_us


def _code(sample: ProbeSample) -> str | None:
    """The venue's code in its answer; None if it gave none, or no answer."""
    code = (sample.detail or {}).get("code")
    return None if code is None else str(code)


def _inside(
    facts: Facts, probe: str, *, tier: str = "protected", whole: bool = False
) -> list[ProbeSample]:
    """Samples within the times of ``tier``, less `CLOCK_TOLERANCE_US` at each end.

    Times that end before the run are left out unless ``whole``.
    """
    found: list[ProbeSample] = []
    for span in facts.tiers:
        if span.tier != tier or (not whole and span.ends <= facts.run_starts):
            continue
        starts = Instant(span.starts + CLOCK_TOLERANCE_US)
        ends = Instant(span.ends - CLOCK_TOLERANCE_US)
        found += [
            sample
            for sample in facts.samples(probe)
            if starts <= sample.at and sample.done_at <= ends
        ]
    return found


CHECKS = (small_completed, guarantees, suspensions, defers)
