"""The time budget of a rail's failover: its provider dark to a withdrawal accepted by the other.

What a provider has accepted is what its own statement says. The venue's records say when the venue
knew; the later of the two moments counts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from seawall.conventions import faults
from seawall.errors import EvidenceError
from seawall.scorecard.budgets import (
    RECORDS,
    Budget,
    Mark,
    compare_observers,
    records_went_on,
    watched,
    worst_of,
)
from seawall.scorecard.facts import MILLISECOND, Facts, once
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.probed import STILL_LATE_US_MAX, answered_meanwhile, inside_of
from seawall.scorecard.rail_rows import StatementLine
from seawall.scorecard.readers import CLOCK_TOLERANCE_US, Instant
from seawall.scorecard.rows import Arrival, ProbeSample
from seawall.scorecard.seen import FaultSeen
from seawall.scorecard.sources import Doubts
from seawall.scorecard.statements import READ_LATE_US_MAX

STATEMENT = "provider's statement"


@once
def rail_failover(facts: Facts) -> Budget:
    """A provider dark to the first withdrawal that its standby accepted, of the worst rail.

    Only a rail over which nobody asked for a withdrawal in the dark is left out; one whose
    customers were all turned away is not.

    Raises :class:`EvidenceError` if nobody asked for any. So it does if a primary did not pay
    before, or if the records, statements and observers contradict each other: but for a rail that
    failed, by evidence of its own.
    """
    judged: list[Budget] = []
    doubts = Doubts()
    for fault in facts.faults:
        if fault.planned.fault != faults.COUNTERPARTY_DARK:
            continue
        kind, _, side = fault.planned.target.partition(".")
        for rail, declared in facts.run.policy.paying_rails().items():
            if declared.kind == kind and side == "primary":
                judged += doubts.ask(partial(_judged, facts, fault, rail)) or []
    return worst_of(judged, doubts, none="no rail had a withdrawal to pay in the dark")


def _judged(facts: Facts, fault: FaultSeen, rail: str) -> list[Budget]:
    """The budget of a rail; empty if it had nothing to pay. Raises :class:`EvidenceError`."""
    return [_of_rail(facts, fault, rail)] if _had_work(facts, fault, rail) else []


def _moments(fault: FaultSeen) -> tuple[Instant, Instant, Instant, Instant]:
    """When it was applied, seen, last seen, and undone. Raises :class:`EvidenceError`."""
    found = (fault.applied, fault.effective, fault.held_until, fault.reverted)
    applied, effective, held_until, reverted = found
    if applied is None or effective is None or held_until is None or reverted is None:
        raise EvidenceError(f"timeline.jsonl does not show {fault.name} begin and end")
    return applied, effective, held_until, reverted


def _had_work(facts: Facts, fault: FaultSeen, rail: str) -> bool:
    """Whether the flood asked for a withdrawal over ``rail`` in the dark, early enough for it.

    Whatever it was answered: a venue that takes none because it cannot pay has not failed over. One
    that was acknowledged before and is asked for once more is no work.
    """
    _, effective, _, reverted = _moments(fault)
    latest = reverted - facts.run.policy.targets.rail_failover_max * MILLISECOND
    done = {
        identity
        for identity, promise in facts.acknowledged.items()
        if promise.acknowledged_at < effective
    }
    return any(
        arrival.network == rail
        and effective <= (request.sent_at or 0) <= latest
        and arrival.id not in done
        for arrival, request in facts.sent
    )


def _of_rail(facts: Facts, fault: FaultSeen, rail: str) -> Budget:
    """The budget of one rail, by withdrawals that were acknowledged in the dark: they had to move.

    Raises :class:`EvidenceError`.
    """
    applied, starts, _, reverted = _moments(fault)
    lines = _accepted(facts, rail)
    ours = {
        identity: promise
        for identity, promise in facts.acknowledged.items()
        if promise.arrival.network == rail
    }
    _require_changeless(facts, fault, lines, {_asked(each.arrival) for each in ours.values()})
    _require_dark(facts, fault, lines)
    moved = {key: each for key, each in ours.items() if each.acknowledged_at >= starts}
    asked = {_asked(each.arrival) for each in moved.values()}
    stated = next(
        (
            line
            for line in lines
            if line.side == "standby" and applied <= line.at < reverted and _paid(line) in asked
        ),
        None,
    )
    recorded = min(
        (
            row
            for row in facts.run.instructions
            if (row.rail, row.side) == (rail, "standby")
            and row.withdrawal_id in moved
            and applied <= (row.accepted_at or 0) < reverted
        ),
        key=lambda row: row.accepted_at or 0,
        default=None,
    )
    measured_us = None if recorded is None else max(0, (recorded.accepted_at or 0) - starts)
    witness_us = None if stated is None else max(0, stated.at - starts)
    outcome, reason = _judge(facts, fault, measured_us=measured_us, witness_us=witness_us)
    return Budget(
        id="rail_failover",
        title="Failover of a rail: its provider dark to a withdrawal accepted by its standby",
        begins="its own observer saw the provider dark",
        starts=starts,
        limit_us=facts.run.policy.targets.rail_failover_max * MILLISECOND,
        marks=tuple(
            Mark(name=name, offset_us=offset_us, observer=observer)
            for name, offset_us, observer in (
                ("act: the standby accepted one", witness_us, STATEMENT),
                ("the venue had that on record", measured_us, RECORDS),
            )
            if offset_us is not None
        ),
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=READ_LATE_US_MAX,
        outcome=outcome,
        reason=f"{rail}: {reason}",
    )


def _judge(
    facts: Facts, fault: FaultSeen, *, measured_us: int | None, witness_us: int | None
) -> tuple[Outcome, str]:
    """What both say about the bound, while the prober found the provider dark all the time."""
    _, starts, _, reverted = _moments(fault)
    limit_us = facts.run.policy.targets.rail_failover_max * MILLISECOND
    deadline = Instant(starts + limit_us)
    later = Instant(starts + max(measured_us or 0, witness_us or 0))
    asked = [sample.done_at for sample in _probes(facts, fault)]
    return compare_observers(
        limit_us=limit_us,
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=READ_LATE_US_MAX,
        bound_passed=min(facts.observed_until, reverted) >= deadline,
        watched_to_bound=watched(asked, starts=starts, ends=deadline)
        and records_went_on(facts, deadline),
        watched_to_moment=watched(asked, starts=starts, ends=later)
        and records_went_on(facts, later),
        witness=STATEMENT,
    )


def _probes(facts: Facts, fault: FaultSeen) -> list[ProbeSample]:
    """The prober's samples of the provider."""
    return [
        sample
        for sample in facts.samples("provider")
        if (sample.detail or {}).get("proxy") == fault.planned.target
    ]


def _accepted(facts: Facts, rail: str) -> list[StatementLine]:
    """The lines of both providers of ``rail`` that say accepted, in order of time.

    Raises :class:`EvidenceError` if a statement of the rail is in doubt.
    """
    for doubt in facts.stated.doubts_of(rail):
        raise EvidenceError(doubt)
    return sorted(
        (line for line in facts.stated.of_rail(rail) if line.state == "accepted"),
        key=lambda line: (line.at, line.n),
    )


def _asked(arrival: Arrival) -> tuple[str | None, int | None, str]:
    return arrival.asset, arrival.amount, arrival.destination.lower()


def _paid(line: StatementLine) -> tuple[str | None, int | None, str]:
    return line.asset, line.amount, (line.destination or "").lower()


def _require_changeless(
    facts: Facts,
    fault: FaultSeen,
    lines: Sequence[StatementLine],
    asked: Collection[tuple[str | None, int | None, str]],
) -> None:
    """Raise :class:`EvidenceError` unless the primary alone was paid over until it went dark.

    A standby that had its share before would have it in the dark, too, and nothing changed. What
    the primary accepted must be ``asked`` by this flood.
    """
    applied, *_ = _moments(fault)
    before = [line for line in lines if facts.calm_starts <= line.at < applied]
    early = next((line for line in before if line.side != "primary"), None)
    if early is not None:
        raise EvidenceError(
            f"the {early.side} of {early.rail} has accepted {early.client_id} before"
            f" {fault.planned.target} went dark, so that nothing had to change"
        )
    if not any(_paid(line) in asked for line in before):
        raise EvidenceError(
            f"{fault.planned.target} was not paid over before it went dark, so nothing could change"
        )


def _require_dark(facts: Facts, fault: FaultSeen, lines: Sequence[StatementLine]) -> None:
    """Raise :class:`EvidenceError` unless the primary accepted nothing in the dark."""
    _, effective, held_until, reverted = _moments(fault)
    meanwhile = [
        line
        for line in lines
        if line.side == "primary"
        and effective + STILL_LATE_US_MAX <= line.at <= held_until - CLOCK_TOLERANCE_US
    ]
    if meanwhile:
        raise EvidenceError(
            f"{fault.planned.target} has accepted {meanwhile[0].client_id} while it was dark, by"
            " its own statement"
        )
    inside = inside_of(_probes(facts, fault), starts=effective, ends=reverted)
    doubt = answered_meanwhile(inside, starts=effective, ends=held_until)
    if doubt is not None:
        raise EvidenceError(f"of {fault.planned.target} the prober says: {doubt}")
