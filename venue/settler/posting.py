"""Finality becomes ledger.

One set-based transaction per slot, which the database refuses to make twice.

Posted: reserved +amount, hot -amount. Topped up: reserve -amount, hot +amount. A payment that
failed beyond doubt gives its float back and is held as ``unknown``; one of which events and bitmap
disagree is held, and its float with it. What a reverted transaction did not even try gives its
float back and waits in its old place again: its bit is clear, and the contract pays a bit once.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seawall.conventions import database
from seawall.errors import InternalError
from venue.contracts.calls import NATIVE, Item
from venue.database import Pool
from venue.settler.model import Slot
from venue.settler.outcome import Outcome

_REFUSED = "The network took the payment but the destination did not accept it; the amount is held until you name another."
_UNCLEAR = "The network's records of this payment contradict each other; the amount is held while we look into it."

_FINAL = "update slots set state = 'final' where id = $1 and state = 'included' returning id"
_EVENT = "insert into slot_events (slot_id, state, signer_region) values ($1, 'final', $2)"
_ITEMS = "select seq, destination, asset, amount from withdrawals where slot_id = $1 order by seq"
_TOPUP_ITEM = "select to_wallet, asset, amount from topups where slot_id = $1"
_POST = """
    with resolved as (
        update withdrawals set state = 'posted' where slot_id = $1 and seq = any($2::bigint[]) and state = 'slotted'
        returning id, bucket, network, asset, amount, size, value_micro
    ), posted as (
        insert into postings (kind, withdrawal_id) select 'post', id from resolved returning id, withdrawal_id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select p.id, a.id, case a.kind when 'reserved' then r.amount else -r.amount end
        from posted p join resolved r on r.id = p.withdrawal_id
        join accounts a on (a.bucket, a.network, a.asset) = (r.bucket, r.network, r.asset) and a.kind in ('reserved', 'hot')
        returning 1
    ), counted as (
        insert into flow (kind, network, asset, size, count, value_micro)
        select 'posted', network, asset, size, count(*), sum(value_micro)::bigint from resolved group by network, asset, size
        returning 1
    )
    select (select count(*) from resolved) as withdrawals, (select count(*) from entered) as entries,
           (select count(*) from counted) as counters"""
_HOLD = """
    update withdrawals set state = 'unknown', reason = $3 where slot_id = $1 and seq = any($2::bigint[]) and state = 'slotted'
    returning asset, amount"""
_RELEASE = """
    update withdrawals set state = 'reserved', slot_id = null where slot_id = $1 and seq = any($2::bigint[]) and state = 'slotted'
    returning asset, amount"""
_RAISE_FLOAT = "update floats set available = available + $3 where (wallet, asset) = ($1, $2)"
_POST_TOPUP = """
    with resolved as (
        update topups set state = 'posted' where slot_id = $1 and state = 'slotted' returning id, network, asset, amount
    ), posted as (
        insert into postings (kind, topup_id) select 'topup', id from resolved returning id, topup_id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select p.id, a.id, case a.kind when 'hot' then r.amount else -r.amount end
        from posted p join resolved r on r.id = p.topup_id
        join accounts a on (a.bucket, a.network, a.asset) = ($2, r.network, r.asset) and a.kind in ('reserve', 'hot')
        returning 1
    )
    select (select count(*) from resolved) as topups, (select count(*) from entered) as entries"""
_ASK_AGAIN = (
    "update topups set state = 'requested', slot_id = null where slot_id = $1 and state = 'slotted'"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Poster:
    """Writes the end of a slot.

    ``tokens`` is addresses by asset, ``contracts`` and ``buckets`` are by wallet.
    """

    pool: Pool
    network: str
    native: str
    tokens: Mapping[str, str]
    contracts: Mapping[str, str]
    buckets: Mapping[str, str]

    async def items(self, slot: Slot) -> list[Item]:
        """What the slot was to pay, from the records and not from its calldata."""
        if slot.lane.purpose == "topup":
            row = await self.pool.fetchrow(_TOPUP_ITEM, slot.id)
            if row is None:
                message = f"slot {slot.id} has no top-up"
                raise InternalError(message)
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

    async def post(self, slot: Slot, outcome: Outcome) -> bool:
        """Commit the outcome; False if somebody did so before.

        Raises :class:`InternalError` if the ledger has no place for it.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_FINAL, slot.id) is None:
                return False
            await connection.execute(_EVENT, slot.id, slot.signer_region)
            if slot.lane.purpose == "topup":
                await self._post_topup(connection, slot, outcome)
            else:
                await self._post_payouts(connection, slot, outcome)
        slot.state = "final"
        return True

    async def _post_payouts(self, connection: Any, slot: Slot, outcome: Outcome) -> None:
        if outcome.paid:
            done = await connection.fetchrow(_POST, slot.id, list(outcome.paid))
            if (done["withdrawals"], done["entries"]) != (len(outcome.paid), 2 * len(outcome.paid)):
                message = f"slot {slot.id} paid {len(outcome.paid)}, but the ledger would take {dict(done)}"
                raise InternalError(message)
            body = json.dumps({"kind": "posted", "network": self.network})
            await connection.execute("select pg_notify($1, $2)", database.FLOW_CHANNEL, body)
        if outcome.untried:
            rows = await connection.fetch(_RELEASE, slot.id, list(outcome.untried))
            if len(rows) != len(outcome.untried):
                message = f"slot {slot.id} tried none of {len(outcome.untried)}, but {len(rows)} were still its own"
                raise InternalError(message)
            await self._give_back(connection, slot, rows)
            _log.warning("slot %s reverted: its %d payments wait again", slot.id, len(rows))
        if outcome.failed:
            rows = await connection.fetch(_HOLD, slot.id, list(outcome.failed), _REFUSED)
            await self._give_back(connection, slot, rows)
            _log.warning(
                "slot %s: held as refused by their destination: %s", slot.id, outcome.failed
            )
        if outcome.unclear:
            await connection.fetch(_HOLD, slot.id, list(outcome.unclear), _UNCLEAR)
            _log.error("slot %s: held, events and bitmap disagree: %s", slot.id, outcome.unclear)

    async def _give_back(
        self, connection: Any, slot: Slot, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Raise the wallet's floats by what ``rows`` did not move."""
        back: Counter[str] = Counter()
        for row in rows:
            back[row["asset"]] += row["amount"]
        for asset, amount in back.items():
            await connection.execute(_RAISE_FLOAT, slot.lane.wallet, asset, amount)

    async def _post_topup(self, connection: Any, slot: Slot, outcome: Outcome) -> None:
        if outcome.unclear:
            _log.error("slot %s: the top-up is held, events and bitmap disagree", slot.id)
            return
        if outcome.failed or outcome.untried:
            _log.warning("slot %s: the top-up did not move and is asked for again", slot.id)
            await connection.execute(_ASK_AGAIN, slot.id)
            return
        row = await connection.fetchrow(_TOPUP_ITEM, slot.id)
        done = await connection.fetchrow(_POST_TOPUP, slot.id, self.buckets[slot.lane.wallet])
        if (done["topups"], done["entries"]) != (1, 2):
            message = f"the top-up of slot {slot.id} moved, but the ledger would take {dict(done)}"
            raise InternalError(message)
        await connection.execute(_RAISE_FLOAT, row["to_wallet"], row["asset"], row["amount"])

    def _token(self, asset: str) -> str:
        return NATIVE if asset == self.native else self.tokens[asset]
