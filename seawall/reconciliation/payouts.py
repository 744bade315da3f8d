"""What became of each withdrawal, and what each payment was for; pure.

A payment belongs to the withdrawal that its event names; where payments have no ids, to the one
whose number it carries, and where they have neither, to one of the same network, asset, destination
and amount.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from seawall.reconciliation.contradictions import Contradiction, ContradictionName, Doubt, ids_of
from seawall.reconciliation.facts import Failure, Payment, Sight, Signature, Slot, Withdrawal


class Stage(StrEnum):
    """How far a withdrawal has come, as records and network show it together."""

    FINAL = "final"
    FINAL_LATER = "final_later"
    NOT_POSTED = "not_posted"
    BROADCAST = "broadcast"
    SIGNED = "signed"
    SLOTTED = "slotted"
    RESERVED = "reserved"
    INSTRUCTED = "instructed"
    FAILED = "failed"
    HELD = "held"
    VOIDED = "voided"
    NOT_SEEN = "not_seen"
    CONTRADICTED = "contradicted"


STAGES: Mapping[Stage, str] = {
    Stage.FINAL: "paid and posted, final at the pinned block",
    Stage.FINAL_LATER: "paid and posted, final in a later block",
    Stage.NOT_POSTED: "paid and final, not posted yet",
    Stage.BROADCAST: "broadcast, not final",
    Stage.SIGNED: "signed, not broadcast",
    Stage.SLOTTED: "slotted, not signed",
    Stage.RESERVED: "reserved, waiting",
    Stage.INSTRUCTED: "with a provider of a rail, not settled",
    Stage.FAILED: "failed on the chain, not settled yet",
    Stage.HELD: "held",
    Stage.VOIDED: "voided",
    Stage.NOT_SEEN: "posted, its payment could not be seen",
    Stage.CONTRADICTED: "contradicted",
}
"""What each says, in the order in which people read them."""

STATES = ("posted", "slotted", "instructed", "unknown", "voided", "reserved")
"""States of a withdrawal; where several are alike, payments are taken for theirs in this order."""
OPEN = frozenset({"reserved", "slotted", "instructed", "unknown"})
"""States whose amount the ledger still reserves."""
SLOT_STATES = ("open", "signed", "broadcast", "included", "final")
_IN_FLIGHT = {
    "open": Stage.SLOTTED,
    "signed": Stage.SIGNED,
    "broadcast": Stage.BROADCAST,
    "included": Stage.BROADCAST,
}


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A withdrawal with its slot, and with what the signer's log has for that slot's nonce."""

    withdrawal: Withdrawal
    slot: Slot | None = None
    signature: Signature | None = None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A payment with the slot whose nonce its transaction used."""

    payment: Payment
    slot: Slot | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that belongs together."""

    recorded: Sequence[Recorded] = ()
    seen: Sequence[Seen] = ()
    failures: Sequence[Failure] = ()


@dataclass(frozen=True, kw_only=True)
class Line:
    """A withdrawal, how far it has come, and the payment that shows it."""

    recorded: Recorded
    stage: Stage
    payment: Payment | None = None


@dataclass(kw_only=True)
class Explained:
    """What explains a case.

    ``newer`` counts payments by network that are too new to be judged: they were not final yet when
    the records were read. ``by_slot`` counts payments that were held against the slots on record.
    """

    lines: list[Line] = field(default_factory=list)
    contradictions: list[Contradiction] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    newer: Counter[str] = field(default_factory=Counter)
    by_slot: int = 0


def explain(case: Case, sights: Mapping[str, Sight], *, slots: bool) -> Explained:
    """Explain ``case``.

    Args:
        case: What belongs together.
        sights: How far payments were seen, by network; one that was not read is absent, and what
            was posted there is not seen.
        slots: Whether the venue's slots are known, so that a payment without one contradicts
            them.
    """
    found = Explained()
    for recorded, seen in _shared(case):
        if recorded is not None:
            sight = sights.get(recorded.withdrawal.network)
            _One(recorded, seen, case.failures, sight, found, slots=slots).explain()
            continue
        for each in seen:
            payment = each.payment
            if sights[payment.network].at_pin(payment):
                found.contradictions.append(
                    _contradiction("paid-without-withdrawal", each, "no withdrawal asks for it")
                )
                if slots:
                    _compare_slot(each, None, found)
            else:
                found.newer[payment.network] += 1
    return found


def _about(
    withdrawal: Withdrawal, name: ContradictionName, text: str, **ids: str | int | None
) -> Contradiction:
    """What is wrong with a withdrawal as it is on record; ``ids`` besides its own."""
    return Contradiction(
        name=name,
        text=text,
        network=withdrawal.network,
        asset=withdrawal.asset,
        amount=withdrawal.amount,
        ids=ids_of(withdrawal=withdrawal.id, seq=withdrawal.seq, **ids),
    )


def number_used_twice(withdrawal: Withdrawal) -> Contradiction:
    """A withdrawal that shares its number with another one."""
    return _about(
        withdrawal,
        "number-used-twice",
        f"withdrawal {withdrawal.id} shares its number {withdrawal.seq} with another one",
    )


def _shared(case: Case) -> Iterator[tuple[Recorded | None, Sequence[Seen]]]:
    """Each withdrawal with its payments; payments without a withdrawal come with None."""
    if not case.recorded:
        yield None, case.seen
        return
    ordered = sorted(case.recorded, key=lambda each: STATES.index(each.withdrawal.state))
    shares: list[list[Seen]] = [[] for _ in ordered]
    for payment in case.seen:
        free = [number for number, share in enumerate(shares) if not share]
        fitting = [number for number in free if _fits(ordered[number].withdrawal, payment.payment)]
        shares[(*fitting, *free, 0)[0]].append(payment)
    yield from zip(ordered, shares, strict=True)


def _fits(asked: Withdrawal, paid: Payment) -> bool:
    return (asked.destination, asked.amount) == (paid.to, paid.amount)


@dataclass(frozen=True)
class _One:
    """One withdrawal with the payments that are its own."""

    recorded: Recorded
    seen: Sequence[Seen]
    failures: Sequence[Failure]
    sight: Sight | None
    found: Explained
    slots: bool = field(kw_only=True)

    def explain(self) -> None:
        """Add its line, and what is wrong with it."""
        withdrawal = self.recorded.withdrawal
        before = len(self.found.contradictions)
        first, *more = self.seen or (None,)
        for each in more:
            assert each is not None
            self._add("paid-twice", each, f"it was paid already by {_first(first).tx_hash}")
        at_pin = [each for each in self.seen if self._at_pin(each)]
        if self.slots:
            posted = [first] if first is not None and withdrawal.state == "posted" else []
            for each in {id(each): each for each in (*posted, *at_pin)}.values():
                _compare_slot(each, withdrawal if each is first else None, self.found)
        match withdrawal.state:
            case "posted":
                stage = self._posted(first)
            case "voided":
                stage = Stage.VOIDED
                if first is not None:
                    self._add("voided-yet-paid", first, "it was voided, its money given back")
            case "unknown":
                stage = Stage.HELD
                if at_pin:
                    why = f"it is held: {withdrawal.reason or 'no reason given'}"
                    self._add("held-yet-paid", at_pin[0], why)
            case "reserved" | "instructed":
                stage = Stage(withdrawal.state)
                if at_pin:
                    self._add("paid-while-waiting", at_pin[0], "it waits for its payment")
            case _:
                stage = self._slotted(at_pin)
        if len(self.found.contradictions) > before:
            stage = Stage.CONTRADICTED
        payment = None if first is None else first.payment
        self.found.lines.append(Line(recorded=self.recorded, stage=stage, payment=payment))

    def _posted(self, first: Seen | None) -> Stage:
        if first is not None:
            self._compare(first)
            return Stage.FINAL if self._at_pin(first) else Stage.FINAL_LATER
        if self.sight is None:
            return Stage.NOT_SEEN
        doubt = self._doubt(self.sight)
        withdrawal = self.recorded.withdrawal
        if doubt is not None:
            text = f"withdrawal {withdrawal.id} (seq {withdrawal.seq}) is posted: {doubt}"
            self.found.doubts.append(Doubt(comparison="payouts", text=text))
            return Stage.NOT_SEEN
        slot = self.recorded.slot
        self.found.contradictions.append(
            _about(
                withdrawal,
                "posted-without-payment",
                f"{withdrawal.amount} {withdrawal.asset} to {withdrawal.destination} on"
                f" {withdrawal.network}: posted, and no payment of it is there",
                slot=withdrawal.slot_id,
                tx_hash=None if slot is None else slot.tx_hash,
                block=None if slot is None else slot.block_number,
            )
        )
        return Stage.CONTRADICTED

    def _doubt(self, sight: Sight) -> str | None:
        """Why its payment may be there although it was not seen."""
        withdrawal, slot = self.recorded.withdrawal, self.recorded.slot
        if sight.statement_until is not None:
            at = withdrawal.resolved_at
            late = at is None or at > sight.statement_until
            return "the statement of payments ends before that" if late else None
        block = None if slot is None else slot.block_number
        if block is not None and sight.until is not None and block > sight.until:
            return f"in block {block}, and {withdrawal.network} was read until {sight.until}"
        if not sight.complete:
            return f"what is newer than block {sight.until} of {withdrawal.network} is not final"
        return None

    def _slotted(self, at_pin: Sequence[Seen]) -> Stage:
        withdrawal, slot = self.recorded.withdrawal, self.recorded.slot
        if at_pin:
            self._compare(at_pin[0])
            if self.slots and slot is not None and slot.state == "final":
                self._final_yet_open(slot)
            return Stage.NOT_POSTED
        if not self.slots:
            return Stage.SLOTTED
        if slot is None:
            self.found.contradictions.append(
                _about(
                    withdrawal,
                    "slot-missing",
                    f"it is to be paid by slot {withdrawal.slot_id}, which is not on record",
                    slot=withdrawal.slot_id,
                )
            )
            return Stage.CONTRADICTED
        if slot.state == "final":
            self._final_yet_open(slot)
            return Stage.CONTRADICTED
        if any(
            (each.network, each.sender, each.nonce) == (slot.network, slot.address, slot.nonce)
            for each in self.failures
        ):
            return Stage.FAILED
        stage = _IN_FLIGHT[slot.state]
        signature = self.recorded.signature
        if stage is Stage.SLOTTED and signature is not None and signature.tx_hash is not None:
            return Stage.SIGNED
        return stage

    def _final_yet_open(self, slot: Slot) -> None:
        self.found.contradictions.append(
            _about(
                self.recorded.withdrawal,
                "final-yet-open",
                f"its slot {slot.id} is final, and it is not settled",
                slot=slot.id,
                tx_hash=slot.tx_hash,
                block=slot.block_number,
            )
        )

    def _compare(self, seen: Seen) -> None:
        """Whether ``seen`` is what was asked for."""
        asked, paid = self.recorded.withdrawal, seen.payment
        if (paid.network, paid.asset) != (asked.network, asked.asset):
            why = f"{asked.asset} on {asked.network} was asked for"
            self._add("paid-other-asset", seen, why)
        if paid.seq is not None and paid.seq != asked.seq:
            self._add("paid-under-another-number", seen, f"it has the number {asked.seq}")
        if paid.to != asked.destination:
            self._add("paid-elsewhere", seen, f"{asked.destination} was asked for")
        if paid.amount != asked.amount:
            self._add("paid-other-amount", seen, f"{asked.amount} was asked for")

    def _add(self, name: ContradictionName, seen: Seen, why: str) -> None:
        self.found.contradictions.append(_contradiction(name, seen, why, self.recorded.withdrawal))

    def _at_pin(self, seen: Seen) -> bool:
        """Whether a payment counts; on another network than it was asked for, it always does."""
        same = self.sight is not None and seen.payment.network == self.recorded.withdrawal.network
        return not same or self.sight is None or self.sight.at_pin(seen.payment)


def _compare_slot(seen: Seen, withdrawal: Withdrawal | None, found: Explained) -> None:
    """Whether ``seen`` was paid by a transaction that is on record, whatever it paid.

    Args:
        seen: A payment that the records must know.
        withdrawal: What it settles or is to settle; None if nothing is settled by it, so that no
            slot is its own.
        found: Gets what is wrong.
    """
    paid, slot = seen.payment, seen.slot
    found.by_slot += 1
    if slot is None or slot.purpose != "payout":
        where = "on no record" if slot is None else f"on record for a {slot.purpose}"
        why = f"nonce {paid.nonce} of {paid.sender} is {where}"
        found.contradictions.append(_contradiction("paid-without-slot", seen, why, withdrawal))
    elif not _same_transaction(slot, paid):
        why = f"slot {slot.id} is for another transaction with this nonce"
        found.contradictions.append(
            _contradiction("paid-by-other-transaction", seen, why, withdrawal)
        )
    elif withdrawal is not None and not _may_settle(slot, withdrawal):
        own = "no slot" if withdrawal.slot_id is None else f"slot {withdrawal.slot_id}"
        why = f"by slot {slot.id}, and the withdrawal has {own} on record"
        found.contradictions.append(_contradiction("paid-by-other-slot", seen, why, withdrawal))


def _may_settle(slot: Slot, withdrawal: Withdrawal) -> bool:
    """Whether ``slot`` is the withdrawal's own, or an earlier try that had paid after all.

    A later try finds its number used up then and is held, and keeps its own slot when it is
    resolved as paid.
    """
    if withdrawal.state not in ("posted", "slotted"):
        return True
    return withdrawal.slot_id is not None and slot.id <= withdrawal.slot_id


def _same_transaction(slot: Slot, paid: Payment) -> bool:
    """Whether ``paid`` was made by what ``slot`` is for.

    By what was called, where both sides say that: with a higher fee the same call has another hash.
    """
    if slot.payload_digest is not None and paid.payload_digest is not None:
        return slot.payload_digest == paid.payload_digest
    return slot.tx_hash is None or slot.tx_hash == paid.tx_hash


def _first(seen: Seen | None) -> Payment:
    assert seen is not None
    return seen.payment


def _contradiction(
    name: ContradictionName, seen: Seen, why: str, withdrawal: Withdrawal | None = None
) -> Contradiction:
    paid = seen.payment
    return Contradiction(
        name=name,
        text=f"{paid.amount} {paid.asset or 'of an unknown token'} to {paid.to} on {paid.network}"
        f" were paid: {why}",
        network=paid.network,
        asset=paid.asset,
        amount=paid.amount,
        ids=ids_of(
            withdrawal=paid.withdrawal if withdrawal is None else withdrawal.id,
            seq=withdrawal.seq if paid.seq is None and withdrawal is not None else paid.seq,
            wallet=paid.wallet,
            slot=None if seen.slot is None else seen.slot.id,
            tx_hash=paid.tx_hash,
            block=paid.block_number,
            nonce=paid.nonce,
        ),
    )
