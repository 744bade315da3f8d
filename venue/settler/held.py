"""Held withdrawals: the way out of ``unknown``.

A withdrawal is held when its payment failed, or when the chain contradicts itself about it. Before
its money may move again, its number must be used up: a transaction cancels it in the contract,
which pays no number twice and none that is cancelled. Once that is final, the money goes back to
the customer or is paid anew under a new number, as the resolution on record says.

A number that was used up before was either paid by the transaction that held it, and is then
posted, or cancelled by an earlier try. Both are read from the receipts of the very transactions
that could have done it. If they show neither, the withdrawal stays held, and people must look.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seawall.conventions import database
from seawall.errors import InternalError
from seawall.ethereum.rpc import ChainView, ReceiptDisputedError
from seawall.ethereum.values import Receipt
from venue.contracts.calls import Events, Item, Number, decode_paid_many, paid_many, read_events
from venue.crash_points import committing
from venue.database import Pool
from venue.settler.lanes import Slot
from venue.settler.posting import DISPUTED, LOCK_FLOATS, RAISE_FLOAT, mark_final, post_paid


@dataclass(frozen=True, kw_only=True)
class Held:
    """One resolution and the withdrawal that it is about.

    ``item`` is what was to be paid; ``could_have`` are the hashes of the transactions that could
    have used up its number before, oldest first.
    """

    resolution: int
    withdrawal: Any
    asset: str
    item: Item
    decision: str
    actor: str
    float_lowered: bool
    could_have: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Cancellation:
    """What became of the numbers of a slot: whose may move on, and who was paid after all.

    ``untried``: the transaction changed nothing and the number is free; it is cancelled again.
    ``disputed``: the number is used up, and nothing says by what.
    """

    cancelled: tuple[int, ...]
    paid: tuple[int, ...]
    untried: tuple[int, ...]
    disputed: tuple[int, ...]


def cancellation_of(
    items: Sequence[Item],
    *,
    bits: Mapping[int, bool],
    cancelled: frozenset[Number],
    earlier: Mapping[int, Sequence[Events]],
) -> Cancellation:
    """Sort ``items`` by what the chain says of their numbers.

    Args:
        items: What was to be paid, by the venue's records.
        bits: Whether each number is used up, at the finalized block.
        cancelled: What this slot's own transaction cancelled.
        earlier: By number, the events of each transaction that could have used it up before.
    """
    sorted_: dict[str, list[int]] = {"cancelled": [], "paid": [], "untried": [], "disputed": []}
    for item in items:
        seq, before = item.seq, earlier.get(item.seq, ())
        paid = any(events.paid.get(seq) == item for events in before)
        gone = any(item.number in each for each in (cancelled, *(e.cancelled for e in before)))
        named = any(seq in events.paid for events in before)
        if not bits[seq]:
            where = "disputed" if gone or named else "untried"
        elif gone and not named:
            where = "cancelled"
        elif paid and not gone:
            where = "paid"
        else:
            where = "disputed"
        sorted_[where].append(seq)
    return Cancellation(**{where: tuple(seqs) for where, seqs in sorted_.items()})


async def read_cancellation(
    view: ChainView, receipt: Receipt, held: Sequence[Held], *, contract: str
) -> Cancellation:
    """What became of the numbers of ``held`` in the transaction of ``receipt``, or before it.

    Raises :class:`ReceiptDisputedError`, :class:`ViewLostError`.
    """
    await view.confirm(receipt)
    seqs = [each.item.seq for each in held]
    bits = await view.read(contract, paid_many(seqs), lambda answer: decode_paid_many(answer, seqs))
    own = _events(receipt, contract)
    unexplained = [
        each for each in held if bits[each.item.seq] and each.item.number not in own.cancelled
    ]
    seen: dict[str, Events] = {}
    for tx_hash in dict.fromkeys(tx_hash for each in unexplained for tx_hash in each.could_have):
        found = await view.receipt(tx_hash)
        if found is not None:
            await view.confirm(found)
            seen[tx_hash] = _events(found, contract)
    return cancellation_of(
        [each.item for each in held],
        bits=bits,
        cancelled=own.cancelled,
        earlier={
            each.item.seq: [seen[tx_hash] for tx_hash in each.could_have if tx_hash in seen]
            for each in unexplained
        },
    )


def _events(receipt: Receipt, contract: str) -> Events:
    try:
        return read_events(receipt.logs, contract=contract)
    except ValueError as error:
        raise ReceiptDisputedError(f"the receipt of a cancel is malformed: {error}") from error


GIVEN_BACK = "The payment could not be made; the amount is back in your balance."
CANCELLED = "cancelled by its customer"
NOT_CANCELLED = (
    "The number was used up before, and no receipt says whether it was paid or cancelled."
)
PAID_AFTER_ALL = "The transaction that held it had paid it."

_HELD = """
    select r.id as resolution, r.withdrawal_id as withdrawal, r.seq, r.decision, r.actor,
           coalesce(w.paid_to, w.destination) as destination, w.asset, w.amount,
           w.held_because = 'disputed' as float_lowered,
           array(select coalesce(s.mined_hash, s.tx_hash)
                 from attempts t join slots s on s.id = t.slot_id
                 where (t.withdrawal_id, t.seq) = (r.withdrawal_id, r.seq)
                   and s.id <> r.slot_id and s.tx_hash is not null order by s.id) as could_have
    from resolutions r join withdrawals w on w.id = r.withdrawal_id
    where r.slot_id = $1 and r.state = 'slotted' order by r.seq"""
_RESOLVE = "update resolutions set state = $2, found = $3 where id = any($1::bigint[])"
_ASK_AGAIN = (
    "update resolutions set state = 'requested', slot_id = null where id = any($1::bigint[])"
)
_LOCK = """
    select id from withdrawals where id = any($1::uuid[]) and state = 'unknown'
    order by id for update"""
_GIVE_BACK = "select give_back_held($1::uuid[], $2::text[])"
_PAY_ANEW = """
    update withdrawals w
    set state = 'reserved', seq = default, slot_id = null, reason = null, held_because = null,
        queued_at = clock_timestamp(),
        paid_to = coalesce((select destination from resolutions where id = $1), paid_to)
    where id = $2 and state = 'unknown'"""
_LOWER_FLOAT = "select lower_float($1, $2, $3)"
_DISPUTED = "update withdrawals set reason = $2 where id = $1"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Resolver:
    """Carries out resolutions whose numbers are used up. ``tokens`` are addresses by asset."""

    pool: Pool
    tokens: Mapping[str, str]

    async def held(self, slot: Slot) -> list[Held]:
        """What ``slot`` is to cancel: from the venue's records, not from the calldata."""
        return [
            Held(
                resolution=row["resolution"],
                withdrawal=row["withdrawal"],
                asset=row["asset"],
                item=Item(
                    seq=row["seq"],
                    id=row["withdrawal"],
                    to=row["destination"],
                    token=self.tokens[row["asset"]],
                    amount=row["amount"],
                ),
                decision=row["decision"],
                actor=row["actor"],
                float_lowered=row["float_lowered"],
                could_have=tuple(row["could_have"]),
            )
            for row in await self.pool.fetch(_HELD, slot.id)
        ]

    async def post(self, slot: Slot, held: Sequence[Held], found: Cancellation) -> bool:
        """Commit what became of ``held``; False if another settler committed it before."""
        by_seq = {each.item.seq: each for each in held}

        def of(seqs: Sequence[int]) -> list[Held]:
            return [by_seq[seq] for seq in seqs]

        async with committing(self.pool, "post a cancellation") as connection:
            if not await mark_final(connection, slot):
                return False
            await connection.execute(LOCK_FLOATS, slot.lane.wallet)
            # Before their resolutions, as whoever decides does.
            await connection.fetch(_LOCK, [each.withdrawal for each in held])
            await connection.execute(_ASK_AGAIN, [each.resolution for each in of(found.untried)])
            await self._dispute(connection, slot, of(found.disputed))
            await self._move_on(connection, slot, of(found.cancelled))
            for each in of(found.paid):
                await connection.execute(_RESOLVE, [each.resolution], "paid", PAID_AFTER_ALL)
                await post_paid(connection, [each.withdrawal])
                if not each.float_lowered:
                    await connection.execute(
                        _LOWER_FLOAT, slot.lane.wallet, each.asset, each.item.amount
                    )
                _log.warning("withdrawal %s was paid after all, and is posted", each.withdrawal)
            if found.cancelled or found.paid:
                await connection.execute("select pg_notify($1, '')", database.FLOW_CHANNEL)
                await connection.execute("select pg_notify($1, '')", database.WITHDRAWAL_CHANNEL)
        slot.state = "final"
        return True

    async def _move_on(self, connection: Any, slot: Slot, cancelled: Sequence[Held]) -> None:
        await connection.execute(
            _RESOLVE, [each.resolution for each in cancelled], "cancelled", None
        )
        for each in cancelled:
            if each.float_lowered:
                await connection.execute(
                    RAISE_FLOAT, slot.lane.wallet, each.asset, each.item.amount
                )
            if each.decision == "pay":
                await connection.execute(_PAY_ANEW, each.resolution, each.withdrawal)
        void = [each for each in cancelled if each.decision == "void"]
        why = [CANCELLED if each.actor == "customer" else GIVEN_BACK for each in void]
        given = await connection.fetchval(_GIVE_BACK, [each.withdrawal for each in void], why)
        if given != len(void):
            raise InternalError(f"slot {slot.id}: {given} of {len(void)} were given back")
        if cancelled:
            _log.warning("slot %s: %d held withdrawals are resolved", slot.id, len(cancelled))

    async def _dispute(self, connection: Any, slot: Slot, disputed: Sequence[Held]) -> None:
        for each in disputed:
            await connection.execute(_RESOLVE, [each.resolution], "disputed", NOT_CANCELLED)
            await connection.execute(_DISPUTED, each.withdrawal, DISPUTED)
            _log.error(
                "slot %s: withdrawal %s stays held: %s", slot.id, each.withdrawal, NOT_CANCELLED
            )
