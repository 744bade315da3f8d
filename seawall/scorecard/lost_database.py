"""What the loss of the ledger's database cost: which withdrawals, and how much time.

By what customers were told, the prober's requests, and payouts on the chains. Of the venue it is
asked only which withdrawals it still knows. What the restoration says of itself is shown beside it
and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from seawall.errors import EvidenceError
from seawall.scorecard.budgets import CHAINS, OBSERVER_GAP_US_MAX, OUTSIDE, Budget, Mark
from seawall.scorecard.facts import (
    ACKNOWLEDGED,
    MILLISECOND,
    WITHDRAWAL_PROBES,
    Facts,
    format_s,
    longest_gap_us,
    once,
)
from seawall.scorecard.outcome import Finding, Outcome, passed, unknown
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import LOST
from seawall.scorecard.seen import FaultSeen
from seawall.scorecard.sources import Doubts

LATE_US_MAX = SECOND // 2
"""What was answered before the loss may arrive so much later, and a look at the database may notice
so much later that it serves again."""
PROCEDURE = "the procedure's own words"
_STEPS_MAX = 20


@dataclass(frozen=True, kw_only=True)
class LostWithdrawal:
    """An acknowledged withdrawal that the venue does not know; ``paid`` by the chains.

    None where the chains are not known well enough.
    """

    id: str
    before_us: int
    paid: bool | None

    def __str__(self) -> str:
        if self.paid is None:
            paid = "whether a chain has paid it is not known"
        else:
            paid = "the chain has paid it" if self.paid else "no chain has paid it"
        return f"{self.id}, acknowledged {format_s(self.before_us)} before the loss; {paid}"


def lost_withdrawals(facts: Facts, doubts: Doubts) -> tuple[LostWithdrawal, ...]:
    """Every one that customers or the prober were told of and the venue does not know any more.

    By its records where it offers them, and by its answer to whoever asked in the end. Oldest
    first. ``doubts`` gets why one of these, or of those who were told, says nothing.
    """
    recorded = None
    if facts.offers("withdrawals"):
        recorded = doubts.ask(lambda: facts.withdrawals_by_id)
    followed = doubts.ask(lambda: facts.followed_by_id) or {}
    found: dict[str, int] = {}
    for identity, acknowledged_at in facts.known_promises(doubts).items():
        told = followed.get(identity)
        if (recorded is not None and identity not in recorded) or (
            told is not None and told.state == LOST
        ):
            found[identity] = max(0, facts.fault_effective - acknowledged_at)
    payments = doubts.ask(lambda: _payments(facts)) if found else {}
    lost = [
        LostWithdrawal(
            id=identity,
            before_us=before_us,
            paid=None if payments is None else identity in payments,
        )
        for identity, before_us in found.items()
    ]
    return tuple(sorted(lost, key=lambda each: (-each.before_us, each.id)))


def paid_at(facts: Facts, identity: str) -> Instant | None:
    """When the chains first paid a withdrawal; None if they did not.

    By its id, which payouts name; where they name none, by network, asset, recipient and amount.
    """
    return _payments(facts).get(identity)


@once
def _payments(facts: Facts) -> dict[str, Instant]:
    by_key: dict[Any, list[Instant]] = {}
    found: dict[str, Instant] = {}
    for payout in sorted(facts.payouts_since, key=facts.paid_at):
        if payout.withdrawal_id is not None:
            found.setdefault(payout.withdrawal_id, facts.paid_at(payout))
        else:
            by_key.setdefault(payout.key, []).append(facts.paid_at(payout))
    # Those that share all four are paid in the order in which they were acknowledged.
    for identity in sorted(facts.promised, key=lambda each: facts.promised[each]):
        demand = facts.demand_of(identity)
        if demand is not None and by_key.get(demand.key):
            found.setdefault(identity, by_key[demand.key].pop(0))
    return found


@once
def restoration(facts: Facts) -> Budget:
    """The database seen lost to withdrawals that are asked for after it acknowledged and paid.

    Two observers ask for withdrawals of their own, the flood and the prober; each has to be told
    that one is accepted, and to have one paid by a block. The later of the two counts.
    """
    starts = facts.fault_effective
    limit_us = facts.run.policy.targets.database_rto_max * MILLISECOND
    flood, prober = _after(facts, _flooded(facts)), _after(facts, _probed(facts))
    marks = [
        mark
        for seen, observer in ((flood, CHAINS), (prober, OUTSIDE))
        for mark in _marks(seen, starts, observer)
    ]
    outcome, reason = _judge(facts, flood.whole_at, prober.whole_at, limit_us=limit_us)
    return Budget(
        id="restoration",
        title="Restoration: the database lost to withdrawals acknowledged and paid again",
        begins="its own observer saw the database gone",
        starts=starts,
        limit_us=limit_us,
        marks=(*marks, *_steps(facts, starts)),
        measured_us=None if flood.whole_at is None else flood.whole_at - starts,
        witness_us=None if prober.whole_at is None else prober.whole_at - starts,
        outcome=outcome,
        reason=reason,
    )


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """When an observer's first withdrawal after the loss was acknowledged, and when one was paid.

    ``asked`` are the moments at which it asked for any.
    """

    acknowledged_at: Instant | None
    paid_at: Instant | None
    asked: Sequence[Instant]

    @property
    def whole_at(self) -> Instant | None:
        """The later of the two; None unless both came."""
        if self.acknowledged_at is None or self.paid_at is None:
            return None
        return max(self.acknowledged_at, self.paid_at)


_Asked = tuple[Instant, str | None, Instant]
"""When a withdrawal was asked for, its id if it was acknowledged, and when that was answered."""


def _flooded(facts: Facts) -> Iterator[_Asked]:
    for arrival, request in facts.sent:
        if request.sent_at is not None:
            told = request.done_at if request.outcome in ACKNOWLEDGED else None
            identity = None if told is None else arrival.id
            yield request.sent_at, identity, request.sent_at if told is None else told


def _probed(facts: Facts) -> Iterator[_Asked]:
    for probe in WITHDRAWAL_PROBES:
        for sample in facts.samples(probe):
            identity = (sample.detail or {}).get("id") if sample.ok else None
            yield sample.at, None if identity is None else str(identity), sample.done_at


def _after(facts: Facts, asked: Iterator[_Asked]) -> _Seen:
    """What came of withdrawals that were asked for since the loss."""
    since = [each for each in asked if each[0] >= facts.fault_effective]
    told = [(answered_at, identity) for _, identity, answered_at in since if identity is not None]
    paid = [at for _, identity in told if (at := paid_at(facts, identity)) is not None]
    return _Seen(
        acknowledged_at=min((at for at, _ in told), default=None),
        paid_at=min(paid, default=None),
        asked=sorted(at for at, _, _ in since),
    )


def _judge(
    facts: Facts, flood: Instant | None, prober: Instant | None, *, limit_us: int
) -> tuple[Outcome, str]:
    starts = facts.fault_effective
    deadline = Instant(starts + limit_us)
    later = max((at for at in (flood, prober) if at is not None), default=None)
    if flood is None or prober is None:
        doubt = _unwatched(facts, until=deadline)
        if doubt is not None:
            return Outcome.UNKNOWN, f"it was not seen to be back, but {doubt}"
        if later is None or later > deadline:
            return Outcome.FAIL, "it was not back, and both asked until the bound had passed"
        who = "the flood" if flood is None else "the prober"
        return Outcome.UNKNOWN, f"it was back for one observer, and never for {who}"
    if max(flood, prober) > deadline:
        return Outcome.FAIL, "it was back after the bound"
    return Outcome.PASS, f"for both who asked, {format_s(abs(flood - prober))} apart"


def _unwatched(facts: Facts, *, until: Instant) -> str | None:
    """Why nobody knows whether it was back by ``until``; None if both asked all the time."""
    starts = facts.fault_effective
    if facts.observed_until < until:
        return "the evidence ends before the bound"
    gap_us_max = facts.run.policy.probing.gap_max * MILLISECOND
    for who, asked, most_us in (
        ("the flood", _flooded(facts), OBSERVER_GAP_US_MAX),
        ("the prober", _probed(facts), gap_us_max),
    ):
        moments = sorted(at for at, _, _ in asked)
        gap_us = longest_gap_us(moments, starts=starts, ends=until)
        if gap_us > most_us:
            return f"{who} asked for nothing for {format_s(gap_us)}"
    return None


def _marks(seen: _Seen, starts: Instant, observer: str) -> Iterator[Mark]:
    for name, at in (
        ("a withdrawal is acknowledged again", seen.acknowledged_at),
        ("a withdrawal is paid again", seen.paid_at),
    ):
        if at is not None:
            yield Mark(name=name, offset_us=at - starts, observer=observer)


def _steps(facts: Facts, starts: Instant) -> tuple[Mark, ...]:
    """What the procedure said, for people."""
    marks = []
    for line in facts.run.timeline:
        said = (line.detail or {}).get("procedure") if line.event == "fault.reverted" else None
        steps = said.get("steps") if isinstance(said, dict) else None
        for step in steps[:_STEPS_MAX] if isinstance(steps, list) else []:
            if isinstance(step, dict) and isinstance(step.get("at"), int | float):
                at = round(float(step["at"]) * SECOND)
                marks.append(
                    Mark(name=str(step.get("said")), offset_us=at - starts, observer=PROCEDURE)
                )
    return tuple(marks)


def seen_lost(facts: Facts, fault: FaultSeen) -> Finding:
    """Nothing was acknowledged while the database was away, to the flood or to the prober.

    Whoever acknowledges keeps a promise somewhere, and the observer of the fault looks at nothing
    of that.
    """
    target = "nothing is acknowledged meanwhile, by the flood's and the prober's requests"
    if fault.effective is None or fault.held_until is None:
        raise EvidenceError("timeline.jsonl does not show the database gone")
    starts = Instant(fault.effective + LATE_US_MAX)
    ends = Instant(fault.held_until - LATE_US_MAX)
    counted = {
        who: (
            sum(1 for at, _, _ in all_asked if starts <= at <= ends),
            sum(1 for _, told, at in all_asked if told is not None and starts <= at <= ends),
        )
        for who, all_asked in (("flood", [*_flooded(facts)]), ("prober", [*_probed(facts)]))
    }
    measured = ", ".join(
        f"{told} of {asked} of the {who} acknowledged" for who, (asked, told) in counted.items()
    )
    for who, (asked, told) in counted.items():
        if told:
            reason = f"the {who} was told {told} times meanwhile that a withdrawal is accepted"
            return unknown(target=target, measured=measured, reason=reason)
        if not asked:
            return unknown(
                target=target, measured=measured, reason=f"the {who} asked for nothing meanwhile"
            )
    return passed(
        measured=measured, target=target, reason="nobody was told meanwhile that one is accepted"
    )
