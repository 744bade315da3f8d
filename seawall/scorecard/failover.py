"""The time budget of failover: signing dark to payouts signed by the standby, on every lane."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import partial

from seawall.errors import EvidenceError
from seawall.scorecard.aws_log import compared, contradicted
from seawall.scorecard.budgets import (
    OUTSIDE,
    RECORDS,
    Budget,
    Mark,
    failover_alerts,
    page_mark,
    records_and_probe,
    tolerance_of,
    worst_of,
)
from seawall.scorecard.facts import FOREVER, MILLISECOND, Facts, Sighting, once, sighting
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import CLOCK_TOLERANCE_US, SECOND, Instant
from seawall.scorecard.rows import LaneChange, ProbeSample, Slot, Withdrawal
from seawall.scorecard.sources import Doubts

Lane = tuple[str, str]
"""(network, wallet)."""


@once
def failover(facts: Facts) -> Budget:
    """Signing dark to the first payout broadcast signed by the standby region, on every lane.

    The lane that is worst is the one that counts: it failed, or its proof is missing, or it was
    last. Only a lane that had no withdrawal to pay in the dark is left out. Only payouts count:
    top-ups have no outside observer.

    Each lane is judged by its own evidence. Raises :class:`EvidenceError` if none failed, and one
    did not sign in the primary region before the fault, or its records contradict themselves; or
    if customers asked a network to pay in the dark, and it has no lane that had to.
    """
    broadcasts = _broadcasts(facts)
    judged: list[Budget] = []
    doubts = Doubts()
    lanes = _lanes_with_work(facts, broadcasts, doubts)
    for lane in sorted(lanes):
        judged += doubts.ask(partial(_judged, facts, lane, broadcasts.get(lane, []))) or []
    asked: Mapping[str, int] = doubts.ask(partial(_asked_in_dark, facts)) or {}
    for network in sorted(asked.keys() - {network for network, _ in lanes}):
        doubts.note(
            f"{network}: no work: {asked[network]:,} requests asked it to pay in the dark, and no"
            " withdrawal is on record that it had to pay then, so its failover is not known"
        )
    return worst_of(judged, doubts, none="no lane had a withdrawal to pay in the dark")


def _judged(facts: Facts, lane: Lane, sent: list[Slot]) -> list[Budget]:
    """The budget of a lane. Raises :class:`EvidenceError` for one that cannot be judged.

    What AWS's own log lacks as a whole is a doubt about a PASS alone: it excuses nothing.
    """
    gap = _gap_of_log(facts)
    _require_as_logged(facts, sent)
    if gap is None and facts.offers("aws_log"):
        _require_as_aws_logged(facts, sent)
    _require_primary_before(facts, lane[1], sent)
    budget = _lane_failover(facts, lane, sent)
    if gap is not None and budget.outcome is not Outcome.FAIL:
        raise EvidenceError(gap)
    return [budget]


def _gap_of_log(facts: Facts) -> str | None:
    """Why AWS's own log is not known to be complete; None if it is, or nobody offers it."""
    if not facts.offers("aws_log"):
        return None
    try:
        return compared(facts).gap
    except EvidenceError as error:
        return str(error)


def _broadcasts(facts: Facts) -> dict[Lane, list[Slot]]:
    """Payouts that were broadcast, by lane, in order of time."""
    found: dict[Lane, list[Slot]] = defaultdict(list)
    for slot in sorted(facts.run.slots, key=lambda slot: slot.broadcast_at or FOREVER):
        if slot.purpose == "payout" and slot.broadcast_at is not None:
            found[slot.network, slot.wallet].append(slot)
    return found


@once
def _signed_by(facts: Facts) -> dict[tuple[int, str, int], str | None]:
    """The region that signed each nonce first, by the signers' own log."""
    found: dict[tuple[int, str, int], str | None] = {}
    for row in facts.run.signatures:  # later ones of a nonce only raise its fees
        found.setdefault((row.chain_id, row.address, row.nonce), row.signed_by)
    return found


def _require_as_logged(facts: Facts, sent: list[Slot]) -> None:
    """Raise :class:`EvidenceError` if the signers' own log names another region than the slots.

    That every signature is in it is a check of its own (``safety.signed_is_logged``).
    """
    signed_by = _signed_by(facts)
    for slot in sent:
        logged = signed_by.get((slot.chain_id, slot.address, slot.nonce), slot.signer_region)
        if logged != slot.signer_region:
            raise EvidenceError(
                f"nonce {slot.nonce} of {slot.wallet} was signed in {slot.signer_region} by"
                f" records/slots.csv, in {logged} by records/sign_log.csv"
            )


def _require_as_aws_logged(facts: Facts, sent: list[Slot]) -> None:
    """Raise :class:`EvidenceError` if AWS's own log does not confirm what a lane ``sent``."""
    begins = round(facts.run.manifest.started_at * SECOND)
    nonces = {
        (slot.chain_id, slot.address, slot.nonce)
        for slot in sent
        if (slot.broadcast_at or 0) >= begins
    }
    doubt = contradicted(facts, nonces)
    if doubt is not None:
        raise EvidenceError(doubt)


def _lanes_with_work(
    facts: Facts, broadcasts: Mapping[Lane, list[Slot]], doubts: Doubts
) -> set[Lane]:
    """Lanes that had to pay a withdrawal in the dark, at least ``failover_max`` before its end.

    A withdrawal without a transaction counts for every lane of its network. ``doubts`` gets one on
    a network of which no lane ever paid.
    """
    slots = {slot.id: slot for slot in facts.run.slots}
    found: set[Lane] = set()
    for row in facts.run.withdrawals:
        slot = None if row.slot_id is None else slots.get(row.slot_id)
        if not _to_pay_in_dark(facts, row, slot):
            continue
        lanes = (
            {lane for lane in broadcasts if lane[0] == row.network}
            if slot is None
            else {(slot.network, slot.wallet)}
        )
        if not lanes:
            doubts.note(
                f"seq {row.seq} had to be paid in the dark, and no lane of {row.network} ever paid"
            )
        found |= lanes
    return found


def _to_pay_in_dark(facts: Facts, row: Withdrawal, slot: Slot | None) -> bool:
    """Whether a withdrawal waited in the dark for a payout that its tier allowed."""
    limit_us = facts.run.policy.targets.failover_max * MILLISECOND
    if (row.resolved_at or FOREVER) <= facts.fault_effective:
        return False
    if slot is not None and (slot.broadcast_at or FOREVER) < facts.fault_applied:
        return False
    starts = max(row.reserved_at, facts.fault_effective)
    if starts > facts.fault_reverted - limit_us:
        return False
    return _is_due(facts, row.size, Instant(starts))


def _asked_in_dark(facts: Facts) -> Counter[str]:
    """By network: requests of the flood in the dark, early enough, for what its tier allowed.

    Whatever they were answered, because a venue that turns all customers of a network away has not
    shown that it fails over there. One for what was acknowledged before asks for nothing new, and
    what was acknowledged later than early enough may have been taken later, too.
    """
    latest = facts.fault_reverted - facts.run.policy.targets.failover_max * MILLISECOND
    not_due = {
        identity
        for identity, promise in facts.acknowledged.items()
        if not facts.fault_effective <= promise.acknowledged_at <= latest
    }
    return Counter(
        arrival.network
        for arrival, request in facts.sent
        if arrival.network in facts.run.policy.networks
        and request.sent_at is not None
        and facts.fault_effective <= request.sent_at <= latest
        and arrival.id not in not_due
        and _is_due(facts, arrival.size, request.sent_at)
    )


def _is_due(facts: Facts, size: str, starts: Instant) -> bool:
    """Whether the tiers let a withdrawal from ``starts`` on be paid in the dark.

    Protected mode defers large ones, so they ask for no failover while it is in force.
    """
    limit_us = facts.run.policy.targets.failover_max * MILLISECOND
    return size == "small" or any(
        span.tier != "protected"
        and min(span.ends, facts.fault_reverted) - max(span.starts, starts) >= limit_us
        for span in facts.tiers
    )


def _require_primary_before(facts: Facts, wallet: str, broadcasts: list[Slot]) -> None:
    """Raise :class:`EvidenceError` unless the primary region signed for the lane before."""
    before = [slot for slot in broadcasts if (slot.broadcast_at or FOREVER) < facts.fault_applied]
    if not before:
        raise EvidenceError(
            f"{wallet} broadcast nothing before the fault, so there was no signing that could fail"
            " over"
        )
    standby = facts.run.policy.regions.standby
    if before[-1].signer_region == standby:
        raise EvidenceError(
            f"{wallet} was already signed for by {standby} when the fault was applied"
        )


def _lane_failover(facts: Facts, lane: Lane, broadcasts: list[Slot]) -> Budget:
    """The budget of one lane from its payouts in order of time."""
    policy = facts.run.policy
    limit_us = policy.targets.failover_max * MILLISECOND
    starts = facts.fault_effective
    act = next(
        (
            slot
            for slot in broadcasts
            if facts.fault_applied <= (slot.broadcast_at or 0) < facts.fault_reverted
            and slot.signer_region == policy.regions.standby
        ),
        None,
    )
    change = None if act is None else _change(facts, act)
    samples = _nonce_samples(facts, lane)
    seen = _nonce_seen(samples, act, after=facts.fault_applied) if act else None
    marks = [
        *_decision(facts, change),
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
    outcome, reason = records_and_probe(
        facts,
        starts=starts,
        limit_us=limit_us,
        measured_us=measured_us,
        witness_us=witness_us,
        seen=seen,
        answered=[sample.done_at for sample in samples],
        known_until=min(facts.observed_until, facts.fault_reverted),
    )
    return Budget(
        id="failover",
        title="Failover of the last lane: signing dark to a broadcast signed by the standby",
        begins="an outside probe saw the fault take effect",
        starts=starts,
        limit_us=limit_us,
        marks=(*marks, *page_mark(facts, failover_alerts(facts), starts)),
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_of(seen),
        outcome=outcome,
        reason=f"{lane[1]}: {reason}",
    )


def _change(facts: Facts, act: Slot) -> LaneChange:
    """The lane's change to the standby that ``act`` follows from.

    Raises :class:`EvidenceError` if there is none between the fault and ``act``: then the standby
    did not sign because of the fault.
    """
    for change in facts.run.lane_changes:
        if (
            (change.network, change.wallet) == (act.network, act.wallet)
            and change.signer_region == facts.run.policy.regions.standby
            and facts.fault_applied
            <= change.committed_at
            <= (act.broadcast_at or 0) + CLOCK_TOLERANCE_US
        ):
            return change
    raise EvidenceError(
        f"{act.wallet} was signed for by {act.signer_region}, but records/lane_log.csv has no"
        " change to it between the fault and that payout"
    )


def _decision(facts: Facts, change: LaneChange | None) -> list[Mark]:
    """Detection and decision of a lane."""
    if change is None:
        return []
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


def _nonce_samples(facts: Facts, lane: Lane) -> tuple[ProbeSample, ...]:
    """Answered probes of the lane's next nonce, in order of time."""
    return tuple(
        sample
        for sample in facts.samples("pending_nonce")
        if sample.ok
        and ((sample.detail or {}).get("network"), (sample.detail or {}).get("wallet")) == lane
    )


def _nonce_seen(samples: tuple[ProbeSample, ...], slot: Slot, *, after: Instant) -> Sighting | None:
    """The first of ``samples`` that shows that the nonce of ``slot`` was used."""
    return sighting(
        samples,
        tuple((sample.detail or {}).get("nonce", -1) > slot.nonce for sample in samples),
        after=after,
    )
