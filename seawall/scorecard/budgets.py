"""The time budgets: from which moment to which, by which observers, against which target.

Observer 1 is the venue's database (commit timestamps), observer 2 is outside the venue (status and
nonce probes, the pager). A time counts only if both saw it; see :func:`compare_observers`.
"""

from __future__ import annotations

from collections.abc import Iterable
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
"""An observer without a sample for longer than this was not watching."""

WITNESS_GAP_US_MAX = 500 * MILLISECOND
"""The longest time without a sample before the one that shows the moment (decision 0019).

The gap is by how much the two observers may differ, so a witness that slept would confirm anything.
"""

RECORDS = "venue records"
OUTSIDE = "outside probe"
PAGER = "pager"
CHAINS = "request log and chains"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A moment within a budget, ``offset_us`` after its start.

    ``limit_us`` is set where the moment has a target of its own.
    """

    name: str
    offset_us: int
    observer: str
    limit_us: int | None = None


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A measured time: its start, its end as each observer saw it, and the comparison.

    ``measured_us`` is by the venue's records, ``witness_us`` by the outside observer; None where
    that observer did not see the end.
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
    def later_us(self) -> int | None:
        """The later of the two times, which is the one that is judged; None if there is none."""
        return max(
            (time for time in (self.measured_us, self.witness_us) if time is not None), default=None
        )

    @property
    def measured(self) -> str:
        """The time for people: ``0.412 s``, ``> 10.000 s`` if it never came, or ``unknown``."""
        if self.later_us is not None:
            return format_s(self.later_us)
        return f"> {format_s(self.limit_us)}" if self.outcome is Outcome.FAIL else "unknown"


def compare_observers(
    *,
    limit_us: int,
    measured_us: int | None,
    witness_us: int | None,
    tolerance_us: int,
    bound_passed: bool,
    watched_to_bound: bool,
    watched_to_moment: bool,
) -> tuple[Outcome, str]:
    """Return what two observers of one moment prove about a bound, and why.

    The later of their two times is judged. PASS needs both to have watched until that moment, and
    both to have seen it within the bound. FAIL needs both to have seen it, the later one after the
    bound; or one or both not at all although both watched until after it.

    Args:
        limit_us: The bound, counted from the same start as the two times.
        measured_us: When the venue's records say that it happened; None if never.
        witness_us: When the outside observer saw it; None if never.
        tolerance_us: By how much the two may differ.
        bound_passed: Whether the evidence goes on until after the bound.
        watched_to_bound: Whether both watched without a gap until the bound.
        watched_to_moment: Whether both watched without a gap until the later of the two times.
    """
    if measured_us is None and witness_us is None:
        if bound_passed and watched_to_bound:
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
        and watched_to_bound
        and bound_passed
    ):
        return Outcome.FAIL, "it happened after the bound"
    if measured_us is None or witness_us is None:
        blind, seeing = (RECORDS, OUTSIDE) if measured_us is None else (OUTSIDE, RECORDS)
        return Outcome.UNKNOWN, f"the {seeing} saw it, the {blind} did not"
    difference_us = abs(measured_us - witness_us)
    if difference_us > tolerance_us:
        return Outcome.UNKNOWN, (
            f"the observers differ by {format_s(difference_us)}, more than the "
            f"{format_s(tolerance_us)} that sampling explains"
        )
    if max(measured_us, witness_us) > limit_us:
        return Outcome.FAIL, "it happened after the bound"
    if not watched_to_moment:
        return Outcome.UNKNOWN, "both observers saw it, but one did not watch all the time before"
    return Outcome.PASS, f"both observers saw it, {format_s(difference_us)} apart"


def tolerance_of(seen: Sighting | None) -> int:
    """By how much the records may differ from what the outside observer saw, in microseconds."""
    gap_us = 0 if seen is None else min(seen.gap_us, WITNESS_GAP_US_MAX)
    return gap_us + CLOCK_TOLERANCE_US


def watched(
    moments: Iterable[Instant], *, starts: Instant, ends: Instant, seen: Sighting | None = None
) -> bool:
    """Whether an observer with a sample at each of ``moments`` watched from ``starts`` to ``ends``.

    ``seen`` is its sighting, which counts only if a sample shortly before did not show it.
    """
    if seen is not None and seen.gap_us > WITNESS_GAP_US_MAX:
        return False
    return longest_gap_us(sorted(moments), starts=starts, ends=ends) <= OBSERVER_GAP_US_MAX


def failover(facts: Facts) -> Budget:
    """Signing dark to the first payout broadcast signed by the standby region, on every lane.

    The lane that is worst is the one that counts: it failed, or its proof is missing, or it was
    last. A lane without a withdrawal to pay in the dark had nothing to fail over. Only payouts
    count: top-ups have no outside observer.
    """
    policy = facts.run.policy
    lanes: dict[tuple[str, str], list[Slot]] = {}
    for slot in _broadcasts(facts):
        lanes.setdefault((slot.network, slot.wallet), []).append(slot)
    signing = {
        lane: [slot for slot in slots if (slot.broadcast_at or FOREVER) < facts.fault_applied]
        for lane, slots in lanes.items()
    }
    if not any(signing.values()):
        raise EvidenceError(
            "nothing was broadcast before the fault, so there was no signing that could fail over"
        )
    for (_, wallet), before in sorted(signing.items()):
        if before and before[-1].signer_region == policy.regions.standby:
            raise EvidenceError(
                f"{wallet} was already signed for by {policy.regions.standby} when the fault was"
                " applied"
            )
    networks = _networks_with_work(facts)
    judged = [
        _lane_failover(facts, wallet, lanes[network, wallet])
        for (network, wallet), before in sorted(signing.items())
        if before and network in networks
    ]
    if not judged:
        raise EvidenceError("no lane had a withdrawal to pay in the dark")
    severity = {Outcome.PASS: 0, Outcome.UNKNOWN: 1, Outcome.FAIL: 2}
    return max(judged, key=lambda lane: (severity[lane.outcome], lane.later_us or 0))


def _broadcasts(facts: Facts) -> list[Slot]:
    """Payouts that were broadcast, in order of time.

    Raises :class:`EvidenceError` if the signers' own log names another region for one. That every
    signature is in the log is a check of its own (``safety.signed_is_logged``).
    """
    found = [
        slot
        for slot in facts.run.slots
        if slot.purpose == "payout" and slot.broadcast_at is not None
    ]
    signed_by = {
        (row.chain_id, row.address, row.nonce): row.signed_by for row in facts.run.signatures
    }
    for slot in found:
        logged = signed_by.get((slot.chain_id, slot.address, slot.nonce), slot.signer_region)
        if logged != slot.signer_region:
            raise EvidenceError(
                f"nonce {slot.nonce} of {slot.wallet} was signed in {slot.signer_region} by"
                f" records/slots.csv, in {logged} by records/sign_log.csv"
            )
    return sorted(found, key=lambda slot: slot.broadcast_at or FOREVER)


def _networks_with_work(facts: Facts) -> frozenset[str]:
    """Networks on which a withdrawal waited for its payment at some time of the dark."""
    return frozenset(
        row.network
        for row in facts.run.withdrawals
        if row.reserved_at < facts.fault_reverted
        and (row.resolved_at or FOREVER) > facts.fault_effective
    )


def _lane_failover(facts: Facts, wallet: str, broadcasts: list[Slot]) -> Budget:
    """The budget of one lane from its payouts in order of time."""
    policy = facts.run.policy
    limit_us = policy.targets.failover_max * MILLISECOND
    starts = facts.fault_effective
    act = next(
        (
            slot
            for slot in broadcasts
            if (slot.broadcast_at or 0) >= facts.fault_applied
            and slot.signer_region == policy.regions.standby
        ),
        None,
    )
    seen = _nonce_seen(facts, act) if act else None
    marks = [
        *_failover_decision(facts, act),
        *(
            [
                Mark(
                    name=f"act: first standby broadcast of {wallet}",
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
    deadline = Instant(starts + limit_us)
    later = Instant(starts + max(measured_us or 0, witness_us or 0))
    nonces = [
        sample.done_at
        for sample in facts.samples("pending_nonce")
        if sample.ok and (sample.detail or {}).get("wallet") == wallet
    ]
    outcome, reason = compare_observers(
        limit_us=limit_us,
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_of(seen),
        bound_passed=min(facts.observed_until, facts.fault_reverted) >= deadline,
        watched_to_bound=watched(nonces, starts=starts, ends=deadline)
        and _records_went_on(facts, deadline),
        watched_to_moment=watched(nonces, starts=starts, ends=later, seen=seen)
        and _records_went_on(facts, later),
    )
    return Budget(
        id="failover",
        title="Failover: signing dark to the first broadcast signed by the standby, last lane",
        begins="an outside probe saw the fault take effect",
        starts=starts,
        limit_us=limit_us,
        marks=(*marks, *_page_mark(facts, failover_alerts(facts), starts)),
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_of(seen),
        outcome=outcome,
        reason=f"{wallet}: {reason}",
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
            f"protected mode was committed {format_s(starts - flip.committed_at)} before "
            f"any row reached {trigger.name}"
        )
    if flip is not None and flip.sample_flow_id < crossing.flow_id:
        raise EvidenceError(
            f"the mode controller decided on a sample up to flow row {flip.sample_flow_id}, "
            f"but row {crossing.flow_id} is the first to reach {trigger.name}: "
            "the flip had another cause"
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
    deadline = Instant(starts + limit_us)
    later = Instant(starts + max(measured_us or 0, witness_us or 0))
    answered = [sample.done_at for sample in facts.samples("status") if sample.ok]
    outcome, reason = compare_observers(
        limit_us=limit_us,
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_of(seen),
        bound_passed=facts.observed_until >= deadline,
        watched_to_bound=watched(answered, starts=starts, ends=deadline)
        and _records_went_on(facts, deadline),
        watched_to_moment=watched(answered, starts=starts, ends=later, seen=seen)
        and _records_went_on(facts, later),
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
        tolerance_us=tolerance_of(seen),
        outcome=outcome,
        reason=reason,
    )


def failover_alerts(facts: Facts) -> tuple[str, ...]:
    """Names of the alerts that a dark signing region must raise."""
    triggers = (
        trigger.name
        for trigger in facts.run.policy.triggers
        if trigger.indicator == "signing_failures"
    )
    return (metrics.ALERT_SIGNING_DARK, *map(metrics.trigger_alert, triggers))


def protection_alerts(facts: Facts) -> tuple[str, ...]:
    """The alert that the breach must raise, whatever the mode controller does."""
    return (metrics.trigger_alert(facts.breach[0].name),)


def page(
    facts: Facts, *, identity: str, alerts: tuple[str, ...], starts: Instant, begins: str
) -> Budget:
    """The start of a shock to the pager's receipt of one of ``alerts``.

    One observer is enough here, because the pager is outside the venue.
    """
    limit_us = facts.run.policy.targets.page_max * MILLISECOND
    firing = {}
    for received in facts.run.pages:
        if received.received_at < starts and received.alertname in alerts:
            firing[received.alertname] = received.status == "firing"
    if any(firing.values()):
        raise EvidenceError(
            f"{', '.join(name for name, still in firing.items() if still)} was already "
            "firing when the shock began"
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
    """Detection and decision of the lane that broadcast first; of any lane if none did."""
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
    """The first nonce probe that shows that the nonce of ``slot`` was used."""
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


def _records_went_on(facts: Facts, ends: Instant) -> bool:
    """Whether the venue's database still recorded commits at ``ends`` or later."""
    return any(row.committed_at >= ends for row in facts.run.flow)
