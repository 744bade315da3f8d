"""The time budgets: from which moment, to which moment, seen by whom, against which target.

Observer 1 is the venue's database (commit timestamps), observer 2 stands outside (status and nonce
probes, the pager). A time is only worth something if both saw it; see :func:`compare_observers`.
"""

from __future__ import annotations

from dataclasses import dataclass

from seawall.conventions import metrics
from seawall.errors import EvidenceError
from seawall.scorecard.facts import (
    FOREVER,
    MILLISECOND,
    Facts,
    Sighting,
    format_s,
    longest_gap_us,
    sighting,
)
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import Slot

CLOCK_TOLERANCE_US = 50 * MILLISECOND
"""Beyond the sampling gap, two observers of one moment may differ by this much (design section 7).
"""

OBSERVER_GAP_US_MAX = SECOND
"""An observer that was silent for longer was not watching."""

RECORDS = "venue records"
OUTSIDE = "outside probe"
PAGER = "pager"
CHAINS = "request log and chains"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A moment within a budget, ``offset_us`` after its start.

    ``limit_us`` where it has a target of its own.
    """

    name: str
    offset_us: int
    observer: str
    limit_us: int | None = None


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A measured time: what started it, what ended it as each observer saw it, and what that makes
    of the target.
    """

    id: str
    title: str
    begins: str
    starts: Instant | None
    limit_us: int
    marks: tuple[Mark, ...] = ()
    measured_us: int | None = None
    witness_us: int | None = None
    tolerance_us: int | None = None
    outcome: Outcome
    reason: str

    @property
    def measured(self) -> str:
        """The time for people.

        ``0.412 s``, ``> 10.000 s`` if it never came, or that nobody knows.
        """
        if self.measured_us is not None:
            return format_s(self.measured_us)
        return f"> {format_s(self.limit_us)}" if self.outcome is Outcome.FAIL else "unknown"


def compare_observers(
    *,
    limit_us: int,
    measured_us: int | None,
    witness_us: int | None,
    tolerance_us: int,
    bound_passed: bool,
    observers_watching: bool,
) -> tuple[Outcome, str]:
    """What two observers of one moment prove about a bound.

    ``None`` is a moment that an observer never saw.

    FAIL needs both to have missed the bound, or both to have watched in vain until after it. PASS
    needs both to have seen it.
    """
    if measured_us is None and witness_us is None:
        if bound_passed and observers_watching:
            return (
                Outcome.FAIL,
                "it never happened, and both observers watched until the bound had passed",
            )
        missing = (
            "an observer was not watching all the time"
            if bound_passed
            else "the evidence ends before the bound"
        )
        return Outcome.UNKNOWN, f"it was not seen to happen, but {missing}"
    if (
        all(time is None or time > limit_us for time in (measured_us, witness_us))
        and observers_watching
        and bound_passed
    ):
        return Outcome.FAIL, "it happened after the bound"
    if measured_us is None or witness_us is None:
        blind, seeing = (RECORDS, OUTSIDE) if measured_us is None else (OUTSIDE, RECORDS)
        return Outcome.UNKNOWN, f"the {seeing} saw it, the {blind} did not"
    difference_us = abs(measured_us - witness_us)
    if difference_us > tolerance_us:
        return Outcome.UNKNOWN, (
            f"the observers differ by {format_s(difference_us)}, more than the {format_s(tolerance_us)} that sampling explains"
        )
    if measured_us > limit_us:
        return Outcome.FAIL, "it happened after the bound"
    return Outcome.PASS, f"both observers saw it, {format_s(difference_us)} apart"


def failover(facts: Facts) -> Budget:
    """Signing dark to the first payout broadcast signed by the standby region.

    Top-ups have no outside observer.
    """
    policy = facts.run.policy
    standby = policy.regions.standby
    limit_us = policy.targets.failover_max * MILLISECOND
    starts = facts.fault_effective
    broadcasts = sorted(
        (
            slot
            for slot in facts.run.slots
            if slot.purpose == "payout" and slot.broadcast_at is not None
        ),
        key=lambda slot: slot.broadcast_at or FOREVER,
    )
    before = [slot for slot in broadcasts if (slot.broadcast_at or FOREVER) < facts.fault_applied]
    if not before:
        raise EvidenceError(
            "nothing was broadcast before the fault, so there was no signing that could fail over"
        )
    if before[-1].signer_region == standby:
        raise EvidenceError(
            f"{before[-1].wallet} was already signed for by {standby} when the fault was applied"
        )
    after = [
        slot
        for slot in broadcasts
        if (slot.broadcast_at or 0) >= facts.fault_applied and slot.signer_region == standby
    ]
    act = after[0] if after else None
    seen = _nonce_seen(facts, act) if act else None
    marks = [
        *_failover_decision(facts, act),
        *(
            [
                Mark(
                    name="act: first standby broadcast",
                    offset_us=(act.broadcast_at or 0) - starts,
                    observer=RECORDS,
                )
            ]
            if act
            else []
        ),
        *(
            [Mark(name="nonce used on the node", offset_us=seen.seen_at - starts, observer=OUTSIDE)]
            if seen
            else []
        ),
    ]
    measured_us = None if act is None else max(0, (act.broadcast_at or 0) - starts)
    witness_us = None if seen is None else max(0, seen.seen_at - starts)
    tolerance_us = (seen.gap_us if seen else 0) + CLOCK_TOLERANCE_US
    deadline = Instant(starts + limit_us)
    outcome, reason = compare_observers(
        limit_us=limit_us,
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_us,
        bound_passed=min(facts.observed_until, facts.fault_reverted) >= deadline,
        observers_watching=_answered_throughout(facts, "pending_nonce", starts, deadline)
        and _records_went_on(facts, deadline),
    )
    return Budget(
        id="failover",
        title="Failover: signing dark to the first broadcast signed by the standby",
        begins="an outside probe saw the fault take effect",
        starts=starts,
        limit_us=limit_us,
        marks=(*marks, *_page_mark(facts, failover_alerts(facts), starts)),
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_us,
        outcome=outcome,
        reason=reason,
    )


def protection(facts: Facts) -> Budget:
    """Breach committed to protected mode committed."""
    limit_us = facts.run.policy.targets.protected_max * MILLISECOND
    trigger, crossing = facts.breach
    starts = Instant(crossing.at_us)
    flip = next(
        (
            flip
            for flip in facts.run.flips
            if flip.tier == "protected" and flip.committed_at >= facts.run_starts
        ),
        None,
    )
    if flip is not None and flip.committed_at < starts:
        raise EvidenceError(
            f"protected mode was committed {format_s(starts - flip.committed_at)} before any row reached {trigger.name}"
        )
    if flip is not None and flip.sample_flow_id < crossing.flow_id:
        raise EvidenceError(
            f"the mode controller decided on a sample up to flow row {flip.sample_flow_id}, but row {crossing.flow_id} is the first "
            f"to reach {trigger.name}: the flip had another cause"
        )
    samples = facts.status_samples
    seen = sighting(
        samples,
        tuple((sample.detail or {})["tier"] == "protected" for sample in samples),
        after=starts,
    )
    marks = []
    if flip is not None:
        marks = [
            Mark(
                name="detect: the mode controller's sample",
                offset_us=flip.sampled_at - starts,
                observer=RECORDS,
            ),
            Mark(
                name="act: protected committed",
                offset_us=flip.committed_at - starts,
                observer=RECORDS,
            ),
        ]
    if seen is not None:
        marks.append(
            Mark(name="status says protected", offset_us=seen.seen_at - starts, observer=OUTSIDE)
        )
    measured_us = None if flip is None else flip.committed_at - starts
    witness_us = None if seen is None else seen.seen_at - starts
    tolerance_us = (seen.gap_us if seen else 0) + CLOCK_TOLERANCE_US
    deadline = Instant(starts + limit_us)
    outcome, reason = compare_observers(
        limit_us=limit_us,
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_us,
        bound_passed=facts.observed_until >= deadline,
        observers_watching=_answered_throughout(facts, "status", starts, deadline)
        and _records_went_on(facts, deadline),
    )
    return Budget(
        id="protection",
        title="Protection: breach committed to protected mode committed",
        begins=f"flow row {crossing.flow_id} was committed, the first to reach {trigger.name}",
        starts=starts,
        limit_us=limit_us,
        marks=(*marks, *_page_mark(facts, protection_alerts(facts), starts)),
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_us,
        outcome=outcome,
        reason=reason,
    )


def failover_alerts(facts: Facts) -> tuple[str, ...]:
    """Alerts that witness a dark signing region."""
    triggers = (
        trigger.name
        for trigger in facts.run.policy.triggers
        if trigger.indicator == "signing_failures"
    )
    return (metrics.ALERT_SIGNING_DARK, *map(metrics.trigger_alert, triggers))


def protection_alerts(facts: Facts) -> tuple[str, ...]:
    """The alert that witnesses the breach, whatever the mode controller does about it."""
    return (metrics.trigger_alert(facts.breach[0].name),)


def page(
    facts: Facts, *, identity: str, alerts: tuple[str, ...], starts: Instant, begins: str
) -> Budget:
    """The start of a shock to the pager's receipt of an alert of that name.

    The pager stands outside, so one observer is enough.
    """
    limit_us = facts.run.policy.targets.page_max * MILLISECOND
    firing = {}
    for received in facts.run.pages:
        if received.received_at < starts and received.alertname in alerts:
            firing[received.alertname] = received.status == "firing"
    if any(firing.values()):
        raise EvidenceError(
            f"{', '.join(name for name, still in firing.items() if still)} was already firing when the shock began"
        )
    marks = _page_mark(facts, alerts, starts)
    measured_us = marks[0].offset_us if marks else None
    if measured_us is not None:
        outcome = Outcome.PASS if measured_us <= limit_us else Outcome.FAIL
        reason = (
            marks[0].name if outcome is Outcome.PASS else f"{marks[0].name} arrived after the bound"
        )
    elif facts.observed_until >= starts + limit_us:
        outcome, reason = Outcome.FAIL, f"the pager received none of {', '.join(alerts)}"
    else:
        outcome, reason = Outcome.UNKNOWN, "the evidence ends before the bound"
    return Budget(
        id=identity,
        title="Page: the start of the shock to the page received",
        begins=begins,
        starts=starts,
        limit_us=limit_us,
        marks=marks,
        measured_us=measured_us,
        outcome=outcome,
        reason=reason,
    )


def _page_mark(facts: Facts, alerts: tuple[str, ...], starts: Instant) -> tuple[Mark, ...]:
    limit_us = facts.run.policy.targets.page_max * MILLISECOND
    for received in facts.run.pages:
        if (
            received.alertname in alerts
            and received.status == "firing"
            and received.received_at >= starts
        ):
            return (
                Mark(
                    name=f"page: {received.alertname}",
                    offset_us=received.received_at - starts,
                    observer=PAGER,
                    limit_us=limit_us,
                ),
            )
    return ()


def _failover_decision(facts: Facts, act: Slot | None) -> list[Mark]:
    """Detection and decision of the lane that acted first; of any lane if none acted."""
    for change in facts.run.lane_changes:
        if (
            change.signer_region != facts.run.policy.regions.standby
            or change.committed_at < facts.fault_applied
        ):
            continue
        if act is not None and (change.network, change.wallet) != (act.network, act.wallet):
            continue
        decided = Mark(
            name="decide: epoch committed",
            offset_us=change.committed_at - facts.fault_effective,
            observer=RECORDS,
        )
        if change.detected_at is None:
            return [decided]
        detected = Mark(
            name="detect: breaker open",
            offset_us=change.detected_at - facts.fault_effective,
            observer=RECORDS,
        )
        return [detected, decided]
    return []


def _nonce_seen(facts: Facts, slot: Slot) -> Sighting | None:
    """The first nonce probe that shows the nonce of ``slot`` used."""
    samples = tuple(
        sample
        for sample in facts.samples("pending_nonce")
        if sample.ok
        and (sample.detail or {}).get("network") == slot.network
        and (sample.detail or {}).get("wallet") == slot.wallet
    )
    return sighting(
        samples,
        tuple((sample.detail or {}).get("nonce", -1) > slot.nonce for sample in samples),
        after=facts.fault_applied,
    )


def _answered_throughout(facts: Facts, probe: str, starts: Instant, ends: Instant) -> bool:
    """Whether an outside probe was answered all the time from ``starts`` to ``ends``."""
    moments = [sample.done_at for sample in facts.samples(probe) if sample.ok]
    return longest_gap_us(sorted(moments), starts=starts, ends=ends) <= OBSERVER_GAP_US_MAX


def _records_went_on(facts: Facts, ends: Instant) -> bool:
    """Whether the venue's database still recorded commits at ``ends`` or later."""
    return any(row.committed_at >= ends for row in facts.run.flow)
