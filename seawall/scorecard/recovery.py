"""The time budget of recovery: from healing until the queue stays drained and the tier normal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from seawall.controls.modes import QUEUE_AGE, drained_age_ms
from seawall.errors import EvidenceError
from seawall.scorecard.budgets import (
    CHAINS,
    OUTSIDE,
    RECORDS,
    SEVERITY,
    Budget,
    Mark,
    compare_observers,
    tolerance_of,
    watched,
)
from seawall.scorecard.chain_rows import Payout
from seawall.scorecard.facts import FOREVER, MILLISECOND, Facts, Sighting, format_s, once
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.payments import payment_of
from seawall.scorecard.readers import CLOCK_TOLERANCE_US, Instant
from seawall.scorecard.rows import ProbeSample, Withdrawal
from seawall.scorecard.seen import TierSpan
from seawall.scorecard.sources import Doubts


def drained_at(
    withdrawals: Iterable[Withdrawal], *, age_us_max: int, since: Instant, until: Instant
) -> Instant | None:
    """The first moment at or after ``since`` from which on no open withdrawal was too old.

    None if one was still too old at ``until``. A withdrawal is too old from its reservation plus
    ``age_us_max`` until it is resolved, so the last such moment is the answer.
    """
    drained = since
    for withdrawal in withdrawals:
        too_old_from = withdrawal.reserved_at + age_us_max
        resolved_at = withdrawal.resolved_at or FOREVER
        if too_old_from >= min(resolved_at, until):
            continue
        if resolved_at > until:
            return None
        drained = max(drained, resolved_at)
    return drained


@dataclass(frozen=True, kw_only=True, slots=True)
class _Promise:
    """A withdrawal as those outside know it: acknowledged, and paid or not."""

    acknowledged_at: Instant
    payment: Payout | None


def _promises(facts: Facts, doubts: Doubts) -> list[_Promise]:
    """What was promised to customers, with no moment taken from the venue's records.

    What the venue voided left no trace outside and is left out; the safety checks require a reason
    for it. ``doubts`` gets what is left out because its network or rail is not known well enough.
    """
    found = []
    for identity, acknowledged_at in facts.known_promises(doubts).items():
        record = facts.withdrawals_by_id.get(identity)
        if record is None or record.state != "voided":
            try:
                payment = payment_of(facts, identity)
            except EvidenceError as error:
                doubts.note(str(error))
                continue
            found.append(_Promise(acknowledged_at=acknowledged_at, payment=payment))
    return found


def _drained_outside(
    facts: Facts, promises: Iterable[_Promise], doubts: Doubts, *, age_us_max: int, since: Instant
) -> Instant | None:
    """As :func:`drained_at`, but by ``promises``.

    A withdrawal is open from the acknowledgement that its customer got until the block that made
    its payment final was seen.
    """
    until = facts.observed_until
    drained = since
    for promise in promises:
        final_at = (
            FOREVER
            if promise.payment is None
            else doubts.ask(partial(_final_seen, facts, promise.payment))
        )
        if final_at is None:
            continue
        if promise.acknowledged_at + age_us_max >= min(final_at, until):
            continue
        if final_at > until:
            return None
        drained = max(drained, final_at)
    return drained


def _final_seen(facts: Facts, payment: Payout) -> Instant:
    """When the block that makes ``payment`` final was seen; that of a statement is final at once.

    If the evidence ends before it: when it was due, by the network's block time.
    """
    network, block = payment.network, payment.block_number
    if block is None:
        return payment.block_timestamp
    declared = facts.run.policy.networks[network]
    seen = facts.block_seen.get((network, block + declared.finality_depth_blocks))
    if seen is not None:
        return seen
    mined = facts.block_seen.get((network, block))
    if mined is None:
        raise EvidenceError(
            f"chain/blocks.csv lacks block {block} of {network}, which chain/payouts.csv names"
        )
    return Instant(mined + declared.finality_depth_blocks * declared.block_time * MILLISECOND)


def _drained_tolerance_us(
    facts: Facts, promises: Sequence[_Promise], paid: Instant | None, *, since: Instant
) -> int:
    """How far the end of the queue by the records may be from the one by the chains.

    A posting comes within two blocks of finality. Whether a withdrawal was older than the limit
    depends on the same two blocks, so the limit is tried that much lower and higher.
    """
    posting_us = (
        2 * MILLISECOND * max(network.block_time for network in facts.run.policy.networks.values())
    )
    tolerance_us = posting_us + CLOCK_TOLERANCE_US
    if paid is None:
        return tolerance_us
    limit_us = queue_age_us_max(facts)
    tried = (
        _drained_outside(
            facts, promises, Doubts(), age_us_max=max(0, limit_us + shift_us), since=since
        )
        for shift_us in (-tolerance_us, tolerance_us)
    )
    return tolerance_us + max(abs((other or facts.observed_until) - paid) for other in tried)


@once
def recovery(facts: Facts) -> Budget:
    """The later of queue drained and tier normal, after the outside probe saw the fault gone.

    The tier must also stay normal for as long as its machine could still flip for what came before
    (:func:`seawall.controls.modes.settling_ms`): a venue that is back for a moment has not
    recovered, and one that nobody watched for so long is not known to have.
    """
    limit_us = facts.run.policy.targets.recovery_max * MILLISECOND
    starts = facts.healing
    doubts = Doubts()
    tier = doubts.ask(lambda: _tier_normal(facts, limit_us=limit_us))
    queue = doubts.ask(lambda: _queue_drained(facts, limit_us=limit_us))
    parts = [part for part in (tier, queue) if part is not None]
    if not any(part.outcome is Outcome.FAIL for part in parts):
        doubts.require_none()
    # What failed counts, then what is not proven: the tier's return first.
    worst = max(parts, key=lambda part: SEVERITY[part.outcome])
    reason = worst.reason
    if worst is queue and worst.outcome is not Outcome.PASS:
        in_time = tier is not None and tier.outcome is Outcome.PASS
        reason = f"{'the tier was normal in time; ' if in_time else ''}the queue drained: {reason}"
    later = max(parts, key=lambda part: part.measured_us or 0)
    return Budget(
        id="recovery",
        title="Recovery: healing to queue drained and tier normal",
        begins="an outside probe saw the last fault gone"
        if facts.faults
        else "the last arrival of the run",
        starts=starts,
        limit_us=limit_us,
        marks=tuple(mark for part in (queue, tier) if part is not None for mark in part.marks),
        measured_us=_latest(part.measured_us for part in parts),
        witness_us=_latest(part.witness_us for part in parts),
        tolerance_us=later.tolerance_us,
        outcome=worst.outcome,
        reason=reason,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """One of the two things that a recovery waits for, as both observers saw it."""

    measured_us: int | None
    witness_us: int | None
    tolerance_us: int
    marks: tuple[Mark, ...]
    outcome: Outcome
    reason: str


def _latest(times: Iterable[int | None]) -> int | None:
    """The last of ``times``; None if one never came."""
    found = [*times]
    return None if None in found else max(time for time in found if time is not None)


def _tier_normal(facts: Facts, *, limit_us: int) -> _Part:
    """The tier's return to normal, by the venue's records and by the status that customers see."""
    starts = facts.healing
    last = facts.tiers[-1]
    normal = max(starts, last.starts) if last.tier == "normal" else None
    seen = _normal_seen(facts.status_samples, after=starts)
    deadline = Instant(starts + limit_us)
    statuses = [sample.done_at for sample in facts.status_samples]
    later = max(facts.watch_ends, normal or starts, starts if seen is None else seen.seen_at)
    measured_us = None if normal is None else normal - starts
    witness_us = None if seen is None else seen.seen_at - starts
    outcome, reason = compare_observers(
        limit_us=limit_us,
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_of(seen),
        bound_passed=facts.observed_until >= deadline,
        watched_to_bound=watched(statuses, starts=starts, ends=deadline),
        watched_to_moment=watched(statuses, starts=starts, ends=later, seen=seen),
    )
    if outcome is not Outcome.FAIL:
        outcome, reason = _stayed(facts, normal, outcome, reason)
    return _Part(
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_of(seen),
        marks=_marks(
            (
                ("tier normal committed", measured_us, RECORDS),
                ("status says normal", witness_us, OUTSIDE),
            )
        ),
        outcome=outcome,
        reason=reason,
    )


def _queue_drained(facts: Facts, *, limit_us: int) -> _Part:
    """The end of the queue, by the venue's records and by what customers were paid.

    Raises :class:`EvidenceError` unless it failed, if some of what they were paid is not known.
    """
    starts = facts.healing
    age_us_max = queue_age_us_max(facts)
    drained = drained_at(
        facts.run.withdrawals, age_us_max=age_us_max, since=starts, until=facts.observed_until
    )
    doubts = Doubts()
    promises = _promises(facts, doubts)
    paid = _drained_outside(facts, promises, doubts, age_us_max=age_us_max, since=starts)
    measured_us = None if drained is None else drained - starts
    witness_us = None if paid is None else paid - starts
    tolerance_us = _drained_tolerance_us(facts, promises, paid, since=starts)
    outcome, reason = compare_observers(
        limit_us=limit_us,
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_us,
        bound_passed=facts.observed_until >= starts + limit_us,
        # The chains and the request log have no gaps to check for: both end later.
        watched_to_bound=True,
        watched_to_moment=True,
    )
    if outcome is not Outcome.FAIL:
        doubts.require_none()
    return _Part(
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_us,
        marks=_marks(
            (
                ("queue drained", measured_us, RECORDS),
                ("all acknowledged are paid", witness_us, CHAINS),
            )
        ),
        outcome=outcome,
        reason=reason,
    )


def _marks(found: Iterable[tuple[str, int | None, str]]) -> tuple[Mark, ...]:
    return tuple(
        Mark(name=name, offset_us=offset_us, observer=observer)
        for name, offset_us, observer in found
        if offset_us is not None
    )


def _stayed(
    facts: Facts, normal: Instant | None, outcome: Outcome, reason: str
) -> tuple[Outcome, str]:
    """``outcome`` and ``reason``, unless the tier left normal again, or nobody watched whether."""
    settling_us = facts.settling_us
    relapse = _relapse(facts)
    if relapse is not None:
        back, left = relapse
        what = (
            f"the tier left normal again {format_s(left.starts - back.starts)} after its return, "
            f"within the {format_s(settling_us)} in which it may still flip"
        )
        if any(
            (sample.detail or {})["tier"] != "normal"
            for sample in facts.status_samples
            if left.starts <= sample.done_at and sample.at <= left.ends
        ):
            return Outcome.FAIL, what
        return Outcome.UNKNOWN, f"by the {RECORDS} {what}, and the {OUTSIDE} did not see it"
    if normal is None or outcome is not Outcome.PASS:
        return outcome, reason
    must_watch_until = Instant(max(normal, facts.shock_ends) + settling_us)
    statuses = [sample.done_at for sample in facts.status_samples]
    if facts.observed_until < must_watch_until or not watched(
        statuses, starts=facts.healing, ends=must_watch_until
    ):
        return Outcome.UNKNOWN, (
            "the observers did not watch for the "
            f"{format_s(settling_us)} in which the tier may still flip after its return"
        )
    return outcome, reason


def _relapse(facts: Facts) -> tuple[TierSpan, TierSpan] | None:
    """The first return to normal that did not last, and the tier after it.

    What is left while the shock still goes on is no relapse.
    """
    for back, left in pairwise(facts.tiers):
        if (
            back.tier == "normal"
            and back.starts >= facts.healing
            and left.starts >= facts.shock_ends
            and left.starts - back.starts < facts.settling_us
        ):
            return back, left
    return None


def queue_age_us_max(facts: Facts) -> int:
    """The age below which the queue is drained: the exit level of the backlog trigger."""
    age_ms = drained_age_ms(facts.run.policy)
    if age_ms is None:
        raise EvidenceError(
            f"the policy declares no trigger on {QUEUE_AGE}, so nothing says when the queue is "
            "drained"
        )
    return age_ms * MILLISECOND


def _normal_seen(samples: tuple[ProbeSample, ...], *, after: Instant) -> Sighting | None:
    """The first sample at or after ``after`` from which on all say normal."""
    found: Sighting | None = None
    last_other = after
    for sample in samples:
        if sample.at < after:
            continue
        if (sample.detail or {})["tier"] != "normal":
            found, last_other = None, sample.at
        elif found is None:
            found = Sighting(seen_at=sample.done_at, gap_us=sample.done_at - last_other)
    return found
