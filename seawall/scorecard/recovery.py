"""The time budget of recovery: from healing until the queue stays drained and the tier normal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from seawall.controls.modes import QUEUE_AGE, drained_age_ms
from seawall.errors import EvidenceError
from seawall.scorecard.budgets import (
    CHAINS,
    OUTSIDE,
    RECORDS,
    Budget,
    Mark,
    compare_observers,
    tolerance_of,
    watched,
)
from seawall.scorecard.facts import FOREVER, MILLISECOND, Facts, Sighting, format_s, once
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import CLOCK_TOLERANCE_US, Instant
from seawall.scorecard.rows import Payout, ProbeSample, Withdrawal
from seawall.scorecard.seen import TierSpan


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


def _promises(facts: Facts) -> list[_Promise]:
    """What was promised to customers, with no moment taken from the venue's records.

    What the venue voided left no trace outside and is left out; the safety checks require a reason
    for it.
    """
    found = []
    for identity, acknowledged_at in facts.promised.items():
        record = facts.withdrawals_by_id.get(identity)
        if record is None or record.state != "voided":
            payment = facts.payment_of(identity)
            found.append(_Promise(acknowledged_at=acknowledged_at, payment=payment))
    return found


def _drained_outside(
    facts: Facts, promises: Iterable[_Promise], *, age_us_max: int, since: Instant
) -> Instant | None:
    """As :func:`drained_at`, but by ``promises``.

    A withdrawal is open from the acknowledgement that its customer got until the block that made
    its payment final was seen.
    """
    until = facts.observed_until
    drained = since
    for promise in promises:
        final_at = FOREVER if promise.payment is None else _final_seen(facts, promise.payment)
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
        _drained_outside(facts, promises, age_us_max=max(0, limit_us + shift_us), since=since)
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
    policy = facts.run.policy
    limit_us = policy.targets.recovery_max * MILLISECOND
    starts = facts.healing
    drained = drained_at(
        facts.run.withdrawals,
        age_us_max=queue_age_us_max(facts),
        since=starts,
        until=facts.observed_until,
    )
    promises = _promises(facts)
    paid = _drained_outside(facts, promises, age_us_max=queue_age_us_max(facts), since=starts)
    last = facts.tiers[-1]
    normal = max(starts, last.starts) if last.tier == "normal" else None
    seen = _normal_seen(facts.status_samples, after=starts)
    marks = [
        *(
            [Mark(name="queue drained", offset_us=drained - starts, observer=RECORDS)]
            if drained is not None
            else []
        ),
        *(
            [Mark(name="all acknowledged are paid", offset_us=paid - starts, observer=CHAINS)]
            if paid is not None
            else []
        ),
        *(
            [Mark(name="tier normal committed", offset_us=normal - starts, observer=RECORDS)]
            if normal is not None
            else []
        ),
        *(
            [Mark(name="status says normal", offset_us=seen.seen_at - starts, observer=OUTSIDE)]
            if seen is not None
            else []
        ),
    ]
    tolerance_us = tolerance_of(seen)
    deadline = Instant(starts + limit_us)
    statuses = [sample.done_at for sample in facts.status_samples]
    later = max(facts.watch_ends, normal or starts, starts if seen is None else seen.seen_at)
    outcome, reason = compare_observers(
        limit_us=limit_us,
        measured_us=None if normal is None else normal - starts,
        witness_us=None if seen is None else seen.seen_at - starts,
        tolerance_us=tolerance_us,
        bound_passed=facts.observed_until >= deadline,
        watched_to_bound=watched(statuses, starts=starts, ends=deadline),
        watched_to_moment=watched(statuses, starts=starts, ends=later, seen=seen),
    )
    measured_us = None if drained is None or normal is None else max(drained, normal) - starts
    witness_us = None if paid is None or seen is None else max(paid, seen.seen_at) - starts
    if outcome is Outcome.PASS:
        drained_tolerance_us = _drained_tolerance_us(facts, promises, paid, since=starts)
        outcome, why = compare_observers(
            limit_us=limit_us,
            measured_us=None if drained is None else drained - starts,
            witness_us=None if paid is None else paid - starts,
            tolerance_us=drained_tolerance_us,
            bound_passed=facts.observed_until >= deadline,
            # The chains and the request log have no gaps to check for: both end later.
            watched_to_bound=True,
            watched_to_moment=True,
        )
        if outcome is not Outcome.PASS:
            reason = f"the tier was normal in time; the queue drained: {why}"
        if drained is not None and normal is not None and drained > normal:
            tolerance_us = drained_tolerance_us
    if outcome is not Outcome.FAIL:
        outcome, reason = _stayed(facts, normal, outcome, reason)
    return Budget(
        id="recovery",
        title="Recovery: healing to queue drained and tier normal",
        begins="an outside probe saw the last fault gone"
        if facts.faults
        else "the last arrival of the run",
        starts=starts,
        limit_us=limit_us,
        marks=tuple(marks),
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_us,
        outcome=outcome,
        reason=reason,
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
