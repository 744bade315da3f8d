"""Refills of gas money: a lane has the key of its network's other lane refilled.

The treasury asks (`venue/treasury/gas.py`), and a contract pays (`venue/contracts/gas.vy`). The
slot is on record before it is signed, like any other, and moves nothing of the ledger's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from venue.chain.transaction import fees
from venue.contracts.calls import REFILL_GAS_LIMIT, refill
from venue.crash_points import committing
from venue.process import now_s
from venue.settler.claims import Claims
from venue.settler.lanes import Lane, Slot

_EVERY_S = 1.0
"""How often a lane looks: a key that is to be refilled can still pay for many transactions."""
_ANY_DUE = """
    select exists (select 1 from gas_refills where network = $1 and wallet <> $2
                   and state = 'requested')"""
_DUE = """
    select id, address from gas_refills
    where network = $1 and wallet <> $2 and state = 'requested'
    order by requested_at limit 1 for no key update skip locked"""
_SLOT = "update gas_refills set state = 'slotted', slot_id = $1 where id = $2"


@dataclass(frozen=True, kw_only=True)
class Refills:
    """Claims refills of one network by way of ``claims``; ``gas_tank`` is the contract that pays.

    Nothing is ever due without one.
    """

    claims: Claims
    gas_tank: str | None
    _looked_at_s: dict[str, float] = field(default_factory=dict)

    async def due(self, lane: Lane) -> bool:
        """Whether there is something for ``lane`` to :meth:`claim`."""
        last_s = self._looked_at_s.get(lane.wallet, -_EVERY_S)
        if self.gas_tank is None or now_s() < last_s + _EVERY_S:
            return False
        self._looked_at_s[lane.wallet] = now_s()
        return bool(await self.claims.pool.fetchval(_ANY_DUE, lane.network, lane.wallet))

    async def claim(self, lane: Lane, *, base_fee_wei: int) -> Slot | None:
        """Claim one slot that has the gas money of another lane's key refilled, or None.

        Raises :class:`LaneLostError`.
        """
        velocity = self.claims.velocity_of(lane)
        if self.gas_tank is None or velocity.room(now_s=now_s()) is None:
            return None
        # A step like a top-up, whatever the lane does else.
        async with committing(self.claims.pool, "claim a top-up") as connection:
            claim = await self.claims.begin(connection, lane)
            if claim is None:
                return None
            row = await connection.fetchrow(_DUE, lane.network, lane.wallet)
            if row is None:
                return None
            slot = await self.claims.open_slot(
                connection,
                lane,
                claim,
                purpose="gas",
                to=self.gas_tank,
                data=refill(row["address"]),
                cost=fees(base_fee_wei=base_fee_wei, gas_limit=REFILL_GAS_LIMIT),
                items=1,
            )
            await connection.execute(_SLOT, slot.id, row["id"])
        velocity.claimed(slot.id, {})
        lane.in_flight += 1
        return slot
