"""Recovery: healing until the queue is drained and the tier is normal, for good."""

from __future__ import annotations

from collections.abc import Iterable

from seawall.errors import EvidenceError
from seawall.scorecard.budgets import CLOCK_TOLERANCE_US, OUTSIDE, RECORDS, Budget, Mark, weigh
from seawall.scorecard.facts import FOREVER, MILLISECOND, Facts, Sighting, longest_gap_us
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import Probe, Withdrawal

_QUEUE_INDICATOR = "queue_age_s"


def drained_at(withdrawals: Iterable[Withdrawal], *, age_us_max: int, since: Instant, until: Instant) -> Instant | None:
    """From when on, at or after ``since``, nothing open was ever as old as ``age_us_max``; None if something was at ``until``.

    A withdrawal is too old from its reservation plus the limit until it is resolved, so the last such moment is the answer.
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


def recovery(facts: Facts) -> Budget:
    """The later of queue drained and tier normal, after the outside probe saw the fault gone."""
    policy = facts.run.policy
    limit_us = policy.targets.recovery_max * MILLISECOND
    starts = facts.healing
    drained = drained_at(
        facts.run.withdrawals, age_us_max=queue_age_us_max(facts), since=starts, until=facts.observed_until
    )
    last = facts.tiers[-1]
    normal = max(starts, last.starts) if last.tier == "normal" else None
    seen = _normal_seen(facts.status_samples, after=starts)
    marks = [
        *([Mark(name="queue drained", offset_us=drained - starts, observer=RECORDS)] if drained is not None else []),
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
    tolerance_us = (seen.gap_us if seen else 0) + CLOCK_TOLERANCE_US
    deadline = Instant(starts + limit_us)
    outcome, reason = weigh(
        limit_us=limit_us,
        measured_us=None if normal is None else normal - starts,
        witness_us=None if seen is None else seen.seen_at - starts,
        tolerance_us=tolerance_us,
        bound_passed=facts.observed_until >= deadline,
        observers_awake=longest_gap_us(
            [sample.done_at for sample in facts.status_samples], starts=starts, ends=facts.watch_ends
        )
        <= SECOND,
    )
    measured_us = None if drained is None or normal is None else max(drained, normal) - starts
    witness_us = None if drained is None or seen is None else max(drained, seen.seen_at) - starts
    if outcome is Outcome.PASS and (drained is None or drained > deadline):
        outcome, reason = _late_queue(drained=drained is not None, bound_passed=facts.observed_until >= deadline)
    return Budget(
        id="recovery",
        title="Recovery: healing to queue drained and tier normal",
        begins="an outside probe saw the fault gone",
        starts=starts,
        limit_us=limit_us,
        marks=tuple(marks),
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_us,
        outcome=outcome,
        reason=reason,
    )


def queue_age_us_max(facts: Facts) -> int:
    """Below which age the oldest open withdrawal is normal: the exit level of the backlog trigger."""
    levels = [trigger.exit_below for trigger in facts.run.policy.triggers if trigger.indicator == _QUEUE_INDICATOR]
    if not levels:
        message = f"the policy declares no trigger on {_QUEUE_INDICATOR}, so nothing says when the queue is drained"
        raise EvidenceError(message)
    return int(min(levels) * SECOND)


def _late_queue(*, drained: bool, bound_passed: bool) -> tuple[Outcome, str]:
    if drained:
        return Outcome.FAIL, "the tier was normal again in time, but the queue was drained after the bound"
    if bound_passed:
        return Outcome.FAIL, "the tier was normal again, but the queue was never drained"
    return Outcome.UNKNOWN, "the queue was not drained, but the evidence ends before the bound"


def _normal_seen(samples: tuple[Probe, ...], *, after: Instant) -> Sighting | None:
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
