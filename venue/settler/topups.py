"""Claims of what moves between a hot wallet and its reserve: top-ups into it, sweeps out of it.

A sweep is a payment of the hot wallet's contract to the reserve's, with a number of its own kind
that stays the same whenever it is tried again. The contract pays a number once, so it cannot move
twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from seawall.policy import Tier
from venue.chain.transaction import fees
from venue.contracts.calls import Item, is_sweep, packed, pay, pay_gas_limit, sweep_number
from venue.crash_points import committing
from venue.ledger.outstanding import outstanding
from venue.process import now_s
from venue.settler.lanes import Lane, Slot
from venue.settler.posting import PAUSED, RAISE_FLOAT, READ_FLOATS

if TYPE_CHECKING:
    from venue.settler.claims import Claim, Claims

_SWEEP_TIER: Tier = "normal"
"""Sweeps leave in this tier alone: in a run, what a wallet holds too much of is soon paid out."""
_NEXT = """
    select t.id, t.n, t.asset, t.to_wallet, t.amount
    from topups t join unnest($3::text[], $4::numeric[]) as room (asset, amount)
         on room.asset = t.asset and t.amount <= room.amount
    where t.network = $1 and t.from_wallet = $2 and t.state = 'requested'
      and t.to_wallet = any($5::text[])
    order by t.requested_at limit 1 for no key update of t skip locked"""
_SLOT = "update topups set state = 'slotted', slot_id = $1, seq = $3 where id = $2"
_RELEASE = """
    update topups t set state = 'requested', slot_id = null, seq = null
    where t.slot_id = $1 and not exists (
        select 1 from unnest($2::text[], $3::numeric[]) as cap (asset, amount)
        where cap.asset = t.asset and t.amount <= cap.amount
    ) returning t.asset, t.amount"""


async def claim_topup(claims: Claims, lane: Lane, *, base_fee_wei: int) -> Slot | None:
    """Claim one slot for the oldest requested top-up out of the lane's wallet, or None.

    Raises :class:`LaneLostError`.
    """
    velocity = claims.velocity_of(lane)
    seen_at_s = now_s()
    room = {
        asset: amount
        for asset, amount in (velocity.room(now_s=seen_at_s) or {}).items()
        if lane.may_top_up(asset, now_s=seen_at_s)
    }
    if not room:
        return None
    async with committing(claims.pool, "claim a top-up") as connection:
        claim = await claims.begin(connection, lane)
        if claim is None:
            return None
        row = await _next(connection, lane, room, claims.contracts)
        if row is None:
            return None
        # The nonce serves as the number within the generation: it is unique in this wallet's
        # contract, because only this lane calls the contract.
        seq = packed(claim.generation, claim.next_nonce)
        slot = await _open(claims, connection, lane, claim, row, seq=seq, base_fee_wei=base_fee_wei)
    velocity.claimed(slot.id, {row["asset"]: row["amount"]})
    lane.in_flight += 1
    return slot


async def claim_sweep(claims: Claims, lane: Lane, *, base_fee_wei: int) -> Slot | None:
    """Claim one slot for the oldest requested sweep out of the lane's wallet, or None.

    It takes nothing that a customer waits for. Beside all that is outstanding and could be paid, it
    leaves the wallet its maximum, whatever was paid since it was asked for, and fits into what the
    signer's caps leave.

    Raises :class:`LaneLostError`.
    """
    velocity = claims.velocity_of(lane)
    seen_at_s = now_s()
    room = velocity.room(now_s=seen_at_s)
    if room is None:
        return None
    async with committing(claims.pool, "claim a sweep") as connection:
        claim = await claims.begin(connection, lane)
        if claim is None or claim.tier != _SWEEP_TIER:
            return None
        holdings = claims.policy.wallets[lane.wallet].holdings
        floats = await connection.fetch(READ_FLOATS, lane.wallet)
        resting = {row["asset"] for row in await connection.fetch(PAUSED, lane.network)}
        waiting = await outstanding(connection, claims.policy, lane.wallet, network=lane.network)
        above = {
            row["asset"]: row["available"]
            - claims.policy.base_units(row["asset"], holdings[row["asset"]].maximum)
            for row in floats
            if row["asset"] in holdings.keys() - resting
            and lane.may_top_up(row["asset"], now_s=seen_at_s)
        }
        most = {
            asset: min(left, room.get(asset, 0)) - waiting.get(asset, 0)
            for asset, left in above.items()
        }
        row = await _next(connection, lane, most, claims.contracts)
        if row is None:
            return None
        seq = sweep_number(claim.generation, row["n"])
        slot = await _open(claims, connection, lane, claim, row, seq=seq, base_fee_wei=base_fee_wei)
        await connection.execute(RAISE_FLOAT, lane.wallet, row["asset"], -row["amount"])
    velocity.claimed(slot.id, {row["asset"]: row["amount"]})
    lane.in_flight += 1
    return slot


async def release(connection: Any, slot: Slot, caps: Mapping[str, int], *, tier: Tier) -> bool:
    """Let the top-up or sweep of ``slot`` wait if no window would take it; whether it had to.

    So does a sweep that the mode does not let out any more.
    """
    sweep = slot.purpose == "sweep"
    fits = {} if sweep and tier != _SWEEP_TIER else caps
    row = await connection.fetchrow(_RELEASE, slot.id, list(fits), list(fits.values()))
    if row is not None and sweep:
        await connection.execute(RAISE_FLOAT, slot.lane.wallet, row["asset"], row["amount"])
    return row is not None


async def _next(
    connection: Any, lane: Lane, most: Mapping[str, int], contracts: Collection[str]
) -> Any:
    """The oldest one that is asked for out of the lane's wallet, of at most ``most``; locked.

    One to a wallet that has none of ``contracts``, as after a change of the policy, is left alone.
    """
    return await connection.fetchrow(
        _NEXT, lane.network, lane.wallet, list(most), list(most.values()), list(contracts)
    )


async def _open(
    claims: Claims,
    connection: Any,
    lane: Lane,
    claim: Claim,
    row: Mapping[str, Any],
    *,
    seq: int,
    base_fee_wei: int,
) -> Slot:
    """Open the slot of the top-up or sweep ``row``, which is locked, under the number ``seq``."""
    item = Item(
        seq=seq,
        id=row["id"],
        to=claims.contracts[row["to_wallet"]],
        token=claims.token(row["asset"]),
        amount=row["amount"],
    )
    slot = await claims.open_slot(
        connection,
        lane,
        claim,
        purpose="sweep" if is_sweep(seq) else "topup",
        data=pay([item]),
        cost=fees(base_fee_wei=base_fee_wei, gas_limit=pay_gas_limit(1)),
        items=1,
    )
    await connection.execute(_SLOT, slot.id, row["id"], seq)
    return slot
