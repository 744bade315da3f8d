"""Slots of lost transactions, written again byte for byte, in the caller's transaction.

What the restored ledger already knows of a nonce is completed. If it wants the nonce for something
else, the chain has decided: what can be in no block any more is kept as evidence, and whatever was
to happen by it waits again. The signers' own database is not touched: it knows all this already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from seawall.errors import ServiceError
from venue.restore.losses import LostSlot, Sent

if TYPE_CHECKING:
    from venue.database import Connection

Purpose = Literal["payout", "topup", "cancel", "generation", "approval", "gas", "sweep"]

_KNOWN = """
    select id, digest, purpose, state, raw is not null as signed,
           tx_hash = $4 or exists (select 1 from replacements r
                                   where (r.slot_id, r.tx_hash) = (s.id, $4)) as known,
           offered_epoch is not null as offered
    from slots s where (chain_id, address, nonce) = ($1, $2, $3) for update"""
_FILL = """
    update slots set state = 'broadcast', raw = $2, tx_hash = $3, signer_region = $4
    where id = $1 and state = 'open'"""
_FILL_REPLACEMENT = """
    update replacements set raw = $3, tx_hash = $4, signer_region = $5
    where (slot_id, max_fee_wei) = ($1, $2) and raw is null returning true"""
_REPLACED = """
    insert into replacements (slot_id, n, max_fee_wei, priority_fee_wei, raw, tx_hash,
                              signer_region)
    select $1, coalesce(max(n), 0) + 1, $2, $3, $4, $5, $6 from replacements where slot_id = $1"""
# Signed before its block at the latest; a window that is counted from then ends too late, never
# too early.
_AT = "least(clock_timestamp(), to_timestamp({}::bigint))"
_SLOT = """
    insert into slots (chain_id, address, nonce, epoch, mode_epoch, admitted_epoch, purpose,
                       to_address, value, data, gas_limit, max_fee_wei, priority_fee_wei, digest,
                       state, signer_region, tx_hash, raw)
    values ($1, $2, $3, $4, $5, $5, $6, $7, 0, $8, $9, $10, $11, $12, 'broadcast', $13, $14, $15)
    returning id"""
_EVENTS = f"""
    insert into slot_events (slot_id, state, signer_region, at)
    select $1, state, case when state <> 'open' then $2 end, {_AT.format("$3")}
    from unnest(array['open', 'signed', 'broadcast']) as state
    on conflict (slot_id, state) do nothing"""
_KEEP = """
    insert into displaced (slot_id, displaced_by, slot, replacements)
    select s.id, $2, to_jsonb(s),
           (select coalesce(jsonb_agg(to_jsonb(r) order by r.n), '[]') from replacements r
            where r.slot_id = s.id)
    from slots s where s.id = $1"""
_FORGET = "delete from replacements where slot_id = $1"
_RELEASE = (
    """update withdrawals set state = 'reserved', slot_id = null
       where slot_id = $1 and state = 'slotted'""",
    """update topups set state = 'requested', slot_id = null, seq = null
       where slot_id = $1 and state = 'slotted'""",
    """update gas_refills set state = 'requested', slot_id = null
       where slot_id = $1 and state = 'slotted'""",
    """update resolutions set state = 'requested', slot_id = null
       where slot_id = $1 and state = 'slotted'""",
    "delete from approval_calls where slot_id = $1 and outcome is null",
)
# Nobody but the owner can switch these off, and they are on again when this commits.
_KEEPS_ITS_USE = """
    alter table slots {0} trigger slots_keep_their_use, {0} trigger signed_once"""
_OTHER_USE = """
    update slots set state = 'broadcast', purpose = $2, to_address = $3, value = 0, data = $4,
        gas_limit = $5, max_fee_wei = $6, priority_fee_wei = $7, digest = $8, signer_region = $9,
        tx_hash = $10, raw = $11, mined_hash = null, block_number = null, block_hash = null
    where id = $1"""


@dataclass(kw_only=True)
class SlotWriter:
    """Writes the slots of lost transactions.

    ``displaced`` are those that were on record for something else. ``mode_epoch`` is the one in
    force.
    """

    connection: Connection
    mode_epoch: int
    displaced: set[int] = field(default_factory=set)

    async def write(
        self, row: Mapping[str, Any], lost: LostSlot, purpose: Purpose, region: str
    ) -> tuple[int, bool]:
        """The slot of a transaction of the lane ``row``, and whether it was not on record as it is.

        ``region`` is whose signer signed it.

        Raises :class:`ServiceError` if the nonce is on record for something else that people must
        look at.
        """
        sent, intent = lost.sent, lost.sent.intent
        key = (row["chain_id"], row["address"], intent.nonce)
        use = (
            *(purpose, intent.to, intent.data),
            *(sent.fees.gas_limit, sent.fees.max_fee_wei, sent.fees.priority_fee_wei),
            *(intent.digest, region, sent.tx_hash, sent.raw),
        )
        known = await self.connection.fetchrow(_KNOWN, *key, sent.tx_hash)
        if known is None:
            slot = await self.connection.fetchval(_SLOT, *key, row["epoch"], self.mode_epoch, *use)
        elif known["digest"] == intent.digest and known["known"]:
            return known["id"], False
        elif known["digest"] == intent.digest and known["signed"]:
            await self._replacement(known["id"], sent, region)
            return known["id"], True
        elif known["digest"] == intent.digest:
            slot = known["id"]
            await self.connection.execute(_FILL, slot, sent.raw, sent.tx_hash, region)
        elif known["purpose"] in ("generation", "cancel", "gas") or not known["offered"]:
            slot = known["id"]
            await self._displace(slot, sent.tx_hash, use)
        else:
            raise ServiceError(
                f"nonce {intent.nonce} of {row['wallet']} was used for something else than the"
                f" {known['purpose']} that is on record, by {sent.tx_hash}",
                remedy="people must look; nothing has been changed",
            )
        await self.connection.execute(_EVENTS, slot, region, sent.mined_at_s)
        return int(slot), True

    async def _displace(self, slot: int, by: str, use: tuple[object, ...]) -> None:
        """Give ``slot`` the use that the chain knows; keep what it was, and free what it held.

        That cannot have happened, for its nonce is used up. It moved no money out: it was offered
        to no signer, or was to cancel numbers, open a generation, or have gas money refilled.
        """
        await self.connection.execute(_KEEP, slot, by)
        for statement in (_FORGET, *_RELEASE):
            await self.connection.execute(statement, slot)
        await self.connection.execute(_KEEPS_ITS_USE.format("disable"))
        await self.connection.execute(_OTHER_USE, slot, *use)
        await self.connection.execute(_KEEPS_ITS_USE.format("enable"))
        self.displaced.add(slot)

    async def _replacement(self, slot: int, sent: Sent, region: str) -> None:
        """Write a transaction that replaced the first one of ``slot``."""
        fees, signed = sent.fees, (sent.raw, sent.tx_hash, region)
        if not await self.connection.fetchval(_FILL_REPLACEMENT, slot, fees.max_fee_wei, *signed):
            await self.connection.execute(
                _REPLACED, slot, fees.max_fee_wei, fees.priority_fee_wei, *signed
            )
