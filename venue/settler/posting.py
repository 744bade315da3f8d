"""Posting: what became of a slot at finality is written to the ledger.

The receipt's events and the contract's bitmap must agree about each payment. Both are read through
one view of the chain (one endpoint, one finalized block): bits of an older block would contradict
events that are right. The ledger is changed by one set-based transaction per slot, which the
database refuses to make twice.

- Paid: reserved +amount, hot -amount. A top-up: reserve -amount, hot +amount.
- Failed beyond doubt: the float is raised again. If the asset is at fault, the withdrawal is
  ``reserved`` again, else it is held as ``unknown`` (:mod:`seawall.controls.asset_pauses`).
- Events and bitmap disagree: the withdrawal is held as ``unknown``, and its float stays lowered.
- Above the cap of the contract's window, so that every transaction with it reverts: held.
- Untried, because the whole transaction reverted: the float is raised again and the withdrawal is
  ``reserved`` again with its old sequence number. Its bit is clear, and the contract pays a bit
  once.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from seawall.controls.asset_pauses import Tried, blame, pause_s
from seawall.conventions import database
from seawall.errors import InternalError
from seawall.ethereum.rpc import ChainView, ReceiptDisputedError
from seawall.ethereum.values import Receipt, uint256
from venue.contracts.calls import (
    NATIVE,
    Events,
    Item,
    cap,
    decode_paid_many,
    paid_many,
    read_events,
)
from venue.database import Pool
from venue.settler.lanes import Slot


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What became of the payments of a slot, as sequence numbers.

    ``paid`` as intended; ``failed`` beyond doubt; ``unclear``: event and bit disagree; ``untried``:
    the transaction reverted as a whole, for example because of a cap of the contract;
    ``above_cap``: so did it, and so would every other, for the wallet never pays so much at once.
    """

    paid: tuple[int, ...]
    failed: tuple[int, ...]
    unclear: tuple[int, ...]
    untried: tuple[int, ...] = ()
    above_cap: tuple[int, ...] = ()


def settlement_of(
    items: Sequence[Item], *, events: Events, bits: Mapping[int, bool], succeeded: bool
) -> Settlement:
    """Sort ``items`` by what the chain says of each.

    A reverted transaction has tried nothing, provided that all bits are clear.

    Args:
        items: What the slot was to pay.
        events: ``Paid`` and ``Failed`` events of the receipt.
        bits: The contract's bit by sequence number, read at the finalized block.
        succeeded: Whether the transaction ran to its end.
    """
    if not (succeeded or events.paid or any(bits.values())):
        return Settlement(paid=(), failed=(), unclear=(), untried=tuple(item.seq for item in items))
    paid: list[int] = []
    failed: list[int] = []
    unclear: list[int] = []
    for item in items:
        bit = bits[item.seq]
        if succeeded and bit and events.paid.get(item.seq) == item:
            paid.append(item.seq)
        elif (
            not bit and item.seq not in events.paid and (item.seq in events.failed or not succeeded)
        ):
            failed.append(item.seq)
        else:
            unclear.append(item.seq)
    return Settlement(paid=tuple(paid), failed=tuple(failed), unclear=tuple(unclear))


async def read_settlement(
    view: ChainView, receipt: Receipt, items: Sequence[Item], *, contract: str
) -> Settlement:
    """What became of ``items``, which ``contract`` was to pay in the transaction of ``receipt``.

    Nothing is said of a payment unless ``view`` confirms the receipt's block and gives the bits.

    Raises :class:`ReceiptDisputedError`, :class:`ViewLostError`.
    """
    await view.confirm(receipt)
    seqs = [item.seq for item in items]
    bits = await view.read(contract, paid_many(seqs), lambda answer: decode_paid_many(answer, seqs))
    try:
        events = read_events(receipt.logs, contract=contract)
    except ValueError as error:
        raise ReceiptDisputedError(f"the receipt of a payout is malformed: {error}") from error
    found = settlement_of(items, events=events, bits=bits, succeeded=receipt.succeeded)
    if not found.untried:
        return found
    caps = {
        token: await view.read(contract, cap(token), uint256)
        for token in sorted({item.token for item in items})
    }
    return without_impossible(found, items, caps=caps)


def without_impossible(
    found: Settlement, items: Sequence[Item], *, caps: Mapping[str, int]
) -> Settlement:
    """``found`` of a transaction that reverted, without what would revert every other one as well.

    ``caps`` are the most of each token that the contract pays in one window. Nothing else that is
    about a single payment reverts a whole transaction.
    """
    above = {item.seq for item in items if item.amount > caps[item.token]}
    return replace(
        found,
        untried=tuple(seq for seq in found.untried if seq not in above),
        above_cap=tuple(seq for seq in found.untried if seq in above),
    )


_WAY_OUT = "The amount is held. Cancel the withdrawal to have it back in your balance."
REFUSED = f"The destination did not take the payment, so no money left. {_WAY_OUT}"
GIVEN_UP = f"The payment was tried several times and never went through. {_WAY_OUT}"
ABOVE_CAP = f"The amount is more than the wallet pays at once; split it. {_WAY_OUT}"
DISPUTED = (
    "The network's records of this payment contradict each other; "
    "the amount is held while we look into it."
)

_FINAL = "update slots set state = 'final' where id = $1 and state = 'included' returning id"
_EVENT = "insert into slot_events (slot_id, state, signer_region) values ($1, 'final', $2)"
_ITEMS = "select seq, destination, asset, amount from withdrawals where slot_id = $1 order by seq"
_TOPUP_ITEM = "select to_wallet, asset, amount from topups where slot_id = $1"
_POST = """
    with resolved as (
        update withdrawals set state = 'posted', held_because = null
        where id = any($1::uuid[]) and state in ('slotted', 'unknown')
        returning id, bucket, network, asset, amount, size, value_micro
    ), posted as (
        insert into postings (kind, withdrawal_id)
        select 'post', id from resolved returning id, withdrawal_id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select p.id, a.id, case a.kind when 'reserved' then r.amount else -r.amount end
        from posted p join resolved r on r.id = p.withdrawal_id
        join accounts a on (a.bucket, a.network, a.asset) = (r.bucket, r.network, r.asset)
                       and a.kind in ('reserved', 'hot')
        returning 1
    ), counted as (
        insert into flow (kind, network, asset, size, count, value_micro)
        select 'posted', network, asset, size, count(*), sum(value_micro)::bigint
        from resolved group by network, asset, size
        returning 1
    )
    select (select count(*) from resolved) as withdrawals,
           (select count(*) from entered) as entries,
           (select count(*) from counted) as counters"""
_HOLD = """
    update withdrawals set state = 'unknown', held_because = $3, reason = $4
    where slot_id = $1 and seq = any($2::bigint[]) and state = 'slotted'
    returning asset, amount"""
_RELEASE = """
    update withdrawals set state = 'reserved', slot_id = null, failures = failures + $3
    where slot_id = $1 and seq = any($2::bigint[]) and state = 'slotted'
    returning asset, amount"""
_TRIED = """
    select seq, asset, destination, failures + 1 as failures from withdrawals
    where slot_id = $1 and seq = any($2::bigint[])"""
_MOVED = """
    select distinct asset from withdrawals where slot_id = $1 and seq = any($2::bigint[])"""
_PAUSES = """
    select asset, destinations, failures, tried_by from asset_pauses where network = $1
    order by asset for update"""
_PAUSE = """
    insert into asset_pauses (network, asset, failures, destinations, until)
    values ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))
    on conflict (network, asset) do update
    set failures = excluded.failures, destinations = excluded.destinations,
        until = excluded.until, tried_by = null"""
_RESUME = "delete from asset_pauses where network = $1 and asset = any($2::text[]) returning asset"
_OF_SLOT = """
    select id from withdrawals
    where slot_id = $1 and seq = any($2::bigint[]) and state = 'slotted' for no key update"""
RAISE_FLOAT = "update floats set available = available + $3 where (wallet, asset) = ($1, $2)"
_POST_TOPUP = """
    with resolved as (
        update topups set state = 'posted' where slot_id = $1 and state = 'slotted'
        returning id, network, asset, amount
    ), posted as (
        insert into postings (kind, topup_id)
        select 'topup', id from resolved returning id, topup_id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select p.id, a.id, case a.kind when 'hot' then r.amount else -r.amount end
        from posted p join resolved r on r.id = p.topup_id
        join accounts a on (a.bucket, a.network, a.asset) = ($2, r.network, r.asset)
                       and a.kind in ('reserve', 'hot')
        returning 1
    )
    select (select count(*) from resolved) as topups, (select count(*) from entered) as entries"""
_ASK_AGAIN = (
    "update topups set state = 'requested', slot_id = null where slot_id = $1 and state = 'slotted'"
)

_log = logging.getLogger(__name__)


async def mark_final(connection: Any, slot: Slot) -> bool:
    """Make ``slot`` final, in the caller's transaction; False if another settler has done it."""
    if await connection.fetchval(_FINAL, slot.id) is None:
        return False
    await connection.execute(_EVENT, slot.id, slot.signer_region)
    return True


async def post_paid(connection: Any, withdrawals: Sequence[UUID]) -> None:
    """Post ``withdrawals`` as paid, in the caller's transaction.

    Raises :class:`InternalError` if the ledger's rows do not match.
    """
    done = await connection.fetchrow(_POST, withdrawals)
    if (done["withdrawals"], done["entries"]) != (len(withdrawals), 2 * len(withdrawals)):
        raise InternalError(
            f"{len(withdrawals)} withdrawals are paid, but the ledger would take {dict(done)}"
        )


@dataclass(frozen=True, kw_only=True)
class Poster:
    """Writes settlements of payouts and top-ups to the ledger.

    ``tokens`` are addresses by asset, ``contracts`` are addresses by wallet, ``buckets`` by wallet.
    """

    pool: Pool
    native: str
    tokens: Mapping[str, str]
    contracts: Mapping[str, str]
    buckets: Mapping[str, str]

    async def items(self, slot: Slot) -> list[Item]:
        """What the slot was to pay: from the venue's records, not from the calldata."""
        if slot.purpose == "topup":
            row = await self.pool.fetchrow(_TOPUP_ITEM, slot.id)
            if row is None:
                raise InternalError(f"slot {slot.id} has no top-up")
            to = self.contracts[row["to_wallet"]]
            return [
                Item(seq=slot.nonce, to=to, token=self._token(row["asset"]), amount=row["amount"])
            ]
        rows = await self.pool.fetch(_ITEMS, slot.id)
        return [
            Item(
                seq=row["seq"],
                to=row["destination"],
                token=self._token(row["asset"]),
                amount=row["amount"],
            )
            for row in rows
        ]

    async def post(self, slot: Slot, settlement: Settlement) -> bool:
        """Commit the settlement of ``slot``; False if another settler committed it before.

        Raises :class:`InternalError` if the ledger's rows do not match the settlement.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            if not await mark_final(connection, slot):
                return False
            if slot.purpose == "topup":
                await self._post_topup(connection, slot, settlement)
            else:
                await self._post_payouts(connection, slot, settlement)
        slot.state = "final"
        return True

    async def _post_payouts(self, connection: Any, slot: Slot, settlement: Settlement) -> None:
        if settlement.paid:
            rows = await connection.fetch(_OF_SLOT, slot.id, list(settlement.paid))
            if len(rows) != len(settlement.paid):
                raise InternalError(
                    f"slot {slot.id} paid {len(settlement.paid)}, "
                    f"and {len(rows)} of them are still its own"
                )
            await post_paid(connection, [row["id"] for row in rows])
            await connection.execute("select pg_notify($1, '')", database.FLOW_CHANNEL)
        if settlement.untried:
            rows = await connection.fetch(_RELEASE, slot.id, list(settlement.untried), 0)
            if len(rows) != len(settlement.untried):
                raise InternalError(
                    f"slot {slot.id} tried none of {len(settlement.untried)}, "
                    f"but {len(rows)} were still its own"
                )
            await self._give_back(connection, slot, rows)
            _log.warning("slot %s reverted: its %d payments wait again", slot.id, len(rows))
        if settlement.above_cap:
            rows = await connection.fetch(
                _HOLD, slot.id, list(settlement.above_cap), "refused", ABOVE_CAP
            )
            await self._give_back(connection, slot, rows)
            _log.error("slot %s: held, above the cap: %s", slot.id, settlement.above_cap)
        await self._blame(connection, slot, settlement)
        if settlement.unclear:
            await connection.fetch(_HOLD, slot.id, list(settlement.unclear), "disputed", DISPUTED)
            _log.error("slot %s: held, events and bitmap disagree: %s", slot.id, settlement.unclear)

    async def _blame(self, connection: Any, slot: Slot, settlement: Settlement) -> None:
        """Hold what destinations refuse, let the rest wait, and pause or resume assets."""
        network = slot.lane.network
        pauses = {row["asset"]: row for row in await connection.fetch(_PAUSES, network)}
        if not (settlement.failed or pauses):
            return
        failed = await connection.fetch(_TRIED, slot.id, list(settlement.failed))
        moved = await connection.fetch(_MOVED, slot.id, list(settlement.paid))
        found = blame(
            [Tried(**dict(row)) for row in failed],
            moved=[row["asset"] for row in moved],
            known={asset: row["destinations"] for asset, row in pauses.items()},
        )
        for held, why in ((found.refused, REFUSED), (found.given_up, GIVEN_UP)):
            if held:
                rows = await connection.fetch(_HOLD, slot.id, list(held), "refused", why)
                await self._give_back(connection, slot, rows)
                _log.warning("slot %s: held: %s: %s", slot.id, held, why)
        if found.waiting:
            rows = await connection.fetch(_RELEASE, slot.id, list(found.waiting), 1)
            await self._give_back(connection, slot, rows)
        for asset, destinations in found.broken.items():
            pause = pauses.get(asset)
            # Slots that were claimed before the pause end one after another: they are one failure.
            again = pause is None or pause["tried_by"] == slot.id
            failures = again + (0 if pause is None else pause["failures"])
            if pause is None or again or len(destinations) > len(pause["destinations"]):
                await connection.execute(
                    _PAUSE, network, asset, failures, destinations, pause_s(failures)
                )
                _log.warning("%s: no payment of %s moved, %d in a row", network, asset, failures)
        for row in await connection.fetch(_RESUME, network, list(found.working)):
            _log.warning("%s: payments of %s move again", network, row["asset"])

    async def _give_back(
        self, connection: Any, slot: Slot, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Raise the wallet's floats by what ``rows`` did not move."""
        back: Counter[str] = Counter()
        for row in rows:
            back[row["asset"]] += row["amount"]
        for asset, amount in back.items():
            await connection.execute(RAISE_FLOAT, slot.lane.wallet, asset, amount)

    async def _post_topup(self, connection: Any, slot: Slot, settlement: Settlement) -> None:
        if settlement.unclear:
            _log.error("slot %s: the top-up is held, events and bitmap disagree", slot.id)
            return
        if settlement.failed or settlement.untried or settlement.above_cap:
            _log.warning("slot %s: the top-up did not move and is asked for again", slot.id)
            await connection.execute(_ASK_AGAIN, slot.id)
            return
        row = await connection.fetchrow(_TOPUP_ITEM, slot.id)
        done = await connection.fetchrow(_POST_TOPUP, slot.id, self.buckets[slot.lane.wallet])
        if (done["topups"], done["entries"]) != (1, 2):
            raise InternalError(
                f"the top-up of slot {slot.id} moved, but the ledger would take {dict(done)}"
            )
        await connection.execute(RAISE_FLOAT, row["to_wallet"], row["asset"], row["amount"])

    def _token(self, asset: str) -> str:
        return NATIVE if asset == self.native else self.tokens[asset]
