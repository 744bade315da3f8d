"""Posting: what became of a slot at finality is written to the ledger.

The receipt's events and the contract's bitmap must agree about each payment. Both are read through
one view of the chain (one endpoint, one finalized block): bits of an older block would contradict
events that are right. The ledger is changed by one set-based transaction per slot, which the
database refuses to make twice.

- Paid: reserved +amount, hot -amount. A top-up: reserve -amount, hot +amount. A sweep: hot
  -amount, reserve +amount.
- Failed beyond doubt: the float is raised again, and the withdrawal is held as ``unknown``. But if
  its asset moved for nobody then, it is ``reserved`` again, and the asset rests until it moves.
- Events and bitmap disagree: the withdrawal is held as ``unknown``, and its float stays lowered.
- Above the cap of the contract's window, so that every transaction with it reverts: held.
- Untried, because the whole transaction reverted: the float is raised again and the withdrawal is
  ``reserved`` again with its old sequence number. Its bit is clear, and the contract pays a bit
  once.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from seawall.conventions import database, sabotage
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
    transfer,
)
from venue.crash_points import committing
from venue.database import Pool
from venue.settler.lanes import Slot


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What became of the payments of a slot, as sequence numbers.

    ``paid`` as intended; ``failed`` beyond doubt; ``unclear``: event and bit disagree; ``untried``:
    the transaction reverted as a whole, for example because of a cap of the contract;
    ``above_cap``: so did it, and so would every other, for the wallet never pays so much at once;
    ``blameless``: failed, because their asset moved for nobody in that block.
    """

    paid: tuple[int, ...]
    failed: tuple[int, ...]
    unclear: tuple[int, ...]
    untried: tuple[int, ...] = ()
    above_cap: tuple[int, ...] = ()
    blameless: tuple[int, ...] = ()

    @property
    def all_paid(self) -> bool:
        """Whether nothing else came of it."""
        return self == Settlement(paid=self.paid, failed=(), unclear=())


def settlement_of(
    items: Sequence[Item], *, events: Events, bits: Mapping[int, bool], succeeded: bool
) -> Settlement:
    """Sort ``items`` by what the chain says of each.

    A reverted transaction has tried nothing.

    Args:
        items: What the slot was to pay.
        events: ``Paid`` and ``Failed`` events of the receipt.
        bits: The contract's bit by sequence number, read at the finalized block.
        succeeded: Whether the transaction ran to its end.
    """
    paid: list[int] = []
    failed: list[int] = []
    unclear: list[int] = []
    untried: list[int] = []
    for item in items:
        bit, named = bits[item.seq], item.seq in events.paid
        if succeeded and bit and events.paid.get(item.seq) == item:
            paid.append(item.seq)
        elif bit or named:
            unclear.append(item.seq)
        elif not succeeded:
            untried.append(item.seq)
        elif item.number in events.failed:
            failed.append(item.seq)
        else:
            unclear.append(item.seq)
    return Settlement(
        paid=tuple(paid), failed=tuple(failed), unclear=tuple(unclear), untried=tuple(untried)
    )


async def read_settlement(
    view: ChainView, receipt: Receipt, items: Sequence[Item], *, contract: str, home: str
) -> Settlement:
    """What became of ``items``, which ``contract`` was to pay in the transaction of ``receipt``.

    Nothing is said of a payment unless ``view`` confirms the receipt's block and gives the bits.
    ``home`` is an address of the venue that could be paid, to see whether an asset moves at all.

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
    if found.untried:
        caps = {
            token: await view.read(contract, cap(token), uint256)
            for token in sorted({item.token for item in items})
        }
        found = without_impossible(found, items, caps=caps)
    if found.failed and not sabotage.sabotaged(sabotage.SABOTAGE_ASSET_REST):
        moved = {item.token for item in items if item.seq in set(found.paid)}
        in_doubt = {item.token for item in items if item.seq in set(found.failed)} - moved
        at = receipt.block_hash
        if view.finalized.number - receipt.block_number > _STATE_KEPT_BLOCKS:
            at = view.finalized.hash
        broken = {
            token
            for token in sorted(in_doubt)
            if not await moves(view, token, holder=contract, to=home, block_hash=at)
        }
        found = without_blameless(found, items, broken=broken)
    return found


async def moves(view: ChainView, token: str, *, holder: str, to: str, block_hash: str) -> bool:
    """Whether ``holder`` could send one base unit of ``token`` to ``to`` at a block.

    Coins always move: nobody can pause them.

    Raises :class:`ViewLostError`.
    """
    if token == NATIVE:
        return True
    answer = await view.call_as(holder, token, transfer(to, 1), block_hash=block_hash)
    # As in the contract: some tokens return nothing, some return false instead of reverting.
    return answer is not None and (answer == b"" or answer == (1).to_bytes(32, "big"))


def without_blameless(
    found: Settlement, items: Sequence[Item], *, broken: Collection[str]
) -> Settlement:
    """``found``, in which nobody is held for a token of ``broken``, which moved for nobody."""
    blameless = {item.seq for item in items if item.token in broken}
    return replace(
        found,
        failed=tuple(seq for seq in found.failed if seq not in blameless),
        blameless=tuple(seq for seq in found.failed if seq in blameless),
    )


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


_STATE_KEPT_BLOCKS = 64
"""State of so many blocks ago any node has (geth keeps that of 128)."""
_WAY_OUT = "The amount is held. Cancel the withdrawal to have it back in your balance."
REFUSED = f"The destination did not take the payment, so no money left. {_WAY_OUT}"
ABOVE_CAP = f"The amount is more than the wallet pays at once; split it. {_WAY_OUT}"
DISPUTED = (
    "The network's records of this payment contradict each other; "
    "the amount is held while we look into it."
)

_FINAL = "update slots set state = 'final' where id = $1 and state = 'included' returning id"
_EVENT = "insert into slot_events (slot_id, state, signer_region) values ($1, 'final', $2)"
_ITEMS = """
    select seq, id, coalesce(paid_to, destination) as destination, asset, amount from withdrawals
    where slot_id = $1 and state = 'slotted' order by seq"""
_TOPUP_ITEM = """
    select id, seq, from_wallet, to_wallet, asset, amount from topups where slot_id = $1"""
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
    update withdrawals set state = 'reserved', slot_id = null
    where slot_id = $1 and seq = any($2::bigint[]) and state = 'slotted'
    returning asset, amount"""
_PAUSE = """
    insert into asset_pauses (network, asset) select $1, unnest($2::text[])
    on conflict do nothing returning asset"""
PAUSED = "select asset from asset_pauses where network = $1 order by asset"
_RESUME = "delete from asset_pauses where (network, asset) = ($1, $2)"
_QUEUE_ANEW = """
    update withdrawals set queued_at = clock_timestamp()
    where (network, asset) = ($1, $2) and state = 'reserved'"""
LOCK_FLOATS = "select 1 from floats where wallet = $1 order by asset for no key update"
"""Whoever changes several floats of a wallet locks all of them first, as claims do."""
_OF_SLOT = """
    select id from withdrawals
    where slot_id = $1 and seq = any($2::bigint[]) and state = 'slotted' for no key update"""
READ_FLOATS = """
    select asset, available from floats where wallet = $1 order by asset for no key update"""
RAISE_FLOAT = "update floats set available = available + $3 where (wallet, asset) = ($1, $2)"
_POST_TOPUP = """
    with resolved as (
        update topups set state = 'posted' where slot_id = $1 and state = 'slotted'
        returning id, network, asset, amount
    ), posted as (
        insert into postings (kind, topup_id)
        select $3, id from resolved returning id, topup_id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select p.id, a.id, case when (a.kind = 'hot') = ($3 = 'topup')
                                then r.amount else -r.amount end
        from posted p join resolved r on r.id = p.topup_id
        join accounts a on (a.bucket, a.network, a.asset) = ($2, r.network, r.asset)
                       and a.kind in ('reserve', 'hot')
        returning 1
    )
    select (select count(*) from resolved) as topups, (select count(*) from entered) as entries"""
_ASK_AGAIN = """
    update topups set state = 'requested', slot_id = null, seq = null
    where slot_id = $1 and state = 'slotted'"""
_END_REFILL = "update gas_refills set state = 'done' where slot_id = $1 and state = 'slotted'"

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
    """Writes settlements of payouts, top-ups and sweeps to the ledger.

    ``tokens`` are addresses by asset, ``contracts`` are addresses by wallet, ``buckets`` by wallet.
    """

    pool: Pool
    native: str
    tokens: Mapping[str, str]
    contracts: Mapping[str, str]
    buckets: Mapping[str, str]

    async def items(self, slot: Slot) -> list[Item]:
        """What the slot was to pay: from the venue's records, not from the calldata."""
        if slot.stays_inside:
            row = await self.pool.fetchrow(_TOPUP_ITEM, slot.id)
            if row is None:  # it was tried in vain, and a later slot of a lost ledger had it
                return []
            to = self.contracts[row["to_wallet"]]
            return [
                Item(
                    seq=row["seq"],
                    id=row["id"],
                    to=to,
                    token=self._token(row["asset"]),
                    amount=row["amount"],
                )
            ]
        rows = await self.pool.fetch(_ITEMS, slot.id)
        return [
            Item(
                seq=row["seq"],
                id=row["id"],
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
        async with committing(self.pool, "post") as connection:
            if not await mark_final(connection, slot):
                return False
            if slot.stays_inside:
                await self._post_topup(connection, slot, settlement)
            else:
                await self._post_payouts(connection, slot, settlement)
        slot.state = "final"
        return True

    async def end_refill(self, slot: Slot) -> None:
        """Commit that a slot which refilled gas money is final; it moved none of the ledger's."""
        async with committing(self.pool, "post") as connection:
            if await mark_final(connection, slot):
                await connection.execute(_END_REFILL, slot.id)
        slot.state = "final"

    async def paused(self, network: str) -> dict[str, str]:
        """The assets that rest on ``network``, with their tokens."""
        rows = await self.pool.fetch(PAUSED, network)
        return {row["asset"]: self._token(row["asset"]) for row in rows}

    async def resume(self, network: str, asset: str) -> None:
        """Let payments of ``asset`` be claimed again, in their old places.

        Their time in the queue begins anew: how long the issuer kept them says nothing of how the
        venue keeps up, and must not lead to a tier.
        """
        async with committing(self.pool, "resume an asset") as connection:
            await connection.execute(_RESUME, network, asset)
            await connection.execute(_QUEUE_ANEW, network, asset)
        _log.warning("%s: %s moves again", network, asset)

    async def _post_payouts(self, connection: Any, slot: Slot, settlement: Settlement) -> None:
        await connection.execute(LOCK_FLOATS, slot.lane.wallet)
        if settlement.paid:
            rows = await connection.fetch(_OF_SLOT, slot.id, list(settlement.paid))
            if len(rows) != len(settlement.paid):
                raise InternalError(
                    f"slot {slot.id} paid {len(settlement.paid)}, "
                    f"and {len(rows)} of them are still its own"
                )
            await post_paid(connection, [row["id"] for row in rows])
            await connection.execute("select pg_notify($1, '')", database.FLOW_CHANNEL)
        await self._release(connection, slot, settlement.untried)
        broken = await self._release(connection, slot, settlement.blameless)
        resting = (
            await connection.fetch(_PAUSE, slot.lane.network, sorted(broken)) if broken else []
        )
        for row in resting:
            _log.error("%s: %s moves for nobody and rests", slot.lane.network, row["asset"])
        for held, because, why in (
            (settlement.above_cap, "refused", ABOVE_CAP),
            (settlement.failed, "refused", REFUSED),
            (settlement.unclear, "disputed", DISPUTED),
        ):
            if not held:
                continue
            rows = await connection.fetch(_HOLD, slot.id, list(held), because, why)
            if because == "refused":
                await self._give_back(connection, slot, rows)
            _log.warning("slot %s: held: %s: %s", slot.id, held, why)

    async def _release(self, connection: Any, slot: Slot, seqs: Sequence[int]) -> set[str]:
        """Let payments wait again in their old places; their assets."""
        if not seqs:
            return set()
        rows = await connection.fetch(_RELEASE, slot.id, list(seqs))
        if len(rows) != len(seqs):
            raise InternalError(
                f"slot {slot.id} lets {len(seqs)} wait again, but {len(rows)} were still its own"
            )
        await self._give_back(connection, slot, rows)
        _log.warning("slot %s: %d payments wait again", slot.id, len(rows))
        return {row["asset"] for row in rows}

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
        what = f"the {slot.purpose} of slot {slot.id}"
        if settlement.unclear:
            raise InternalError(f"{what} is not settled, it is unclear")
        row = await connection.fetchrow(_TOPUP_ITEM, slot.id)
        if row is None:
            return
        raised = row["to_wallet"]
        if settlement.all_paid:
            done = await connection.fetchrow(
                _POST_TOPUP, slot.id, self.buckets[slot.lane.wallet], slot.purpose
            )
            if (done["topups"], done["entries"]) != (1, 2):
                raise InternalError(f"{what} moved, but the ledger would take {dict(done)}")
        else:
            _log.warning("%s did not move and is asked for again", what)
            await connection.execute(_ASK_AGAIN, slot.id)
            if slot.purpose == "topup":
                return
            raised = row["from_wallet"]
        # A wallet that pays has a float; a reserve has none, and nothing is raised.
        await connection.execute(RAISE_FLOAT, raised, row["asset"], row["amount"])

    def _token(self, asset: str) -> str:
        return NATIVE if asset == self.native else self.tokens[asset]
