"""Arrows of a slot after its claim: signed, broadcast, included.

Each is committed before the next step is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seawall.ethereum.rpc import Receipt
from venue.database import Pool
from venue.settler.model import LaneLostError, Slot
from venue.signer.protocol import Signed

_SIGNED = """
    update slots set state = 'signed', raw = $2, tx_hash = $3, signer_region = $4 where id = $1 and state = 'open' returning id"""
_BROADCAST = "update slots set state = 'broadcast' where id = $1 and state = 'signed' returning id"
_INCLUDED = """
    update slots set state = 'included', block_number = $2, block_hash = $3
    where id = $1 and state in ('broadcast', 'included') returning id"""
_EVENT = """
    insert into slot_events (slot_id, state, signer_region) values ($1, $2, $3) on conflict (slot_id, state) do nothing"""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The writer of these arrows.

    A slot that is not where memory says it is belongs to somebody else now.
    """

    pool: Pool

    async def signed(self, slot: Slot, signed: Signed) -> None:
        """The bytes that will be broadcast, for ever the same."""
        await self._step(
            slot, _SIGNED, "signed", signed.region, signed.raw, signed.tx_hash, signed.region
        )
        slot.state, slot.raw, slot.tx_hash, slot.signer_region = (
            "signed",
            signed.raw,
            signed.tx_hash,
            signed.region,
        )

    async def broadcast(self, slot: Slot) -> None:
        """A node has the bytes."""
        await self._step(slot, _BROADCAST, "broadcast", slot.signer_region)
        slot.state = "broadcast"

    async def included(self, found: Sequence[tuple[Slot, Receipt]]) -> None:
        """Blocks contain these slots.

        A later block takes an earlier one's place if the chain changed its mind.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            for slot, receipt in found:
                row = await connection.fetchval(
                    _INCLUDED, slot.id, receipt.block_number, receipt.block_hash
                )
                if row is None:
                    message = f"slot {slot.id} was finished by somebody else"
                    raise LaneLostError(message)
                await connection.execute(_EVENT, slot.id, "included", slot.signer_region)
        for slot, receipt in found:
            slot.state, slot.block_number, slot.block_hash = (
                "included",
                receipt.block_number,
                receipt.block_hash,
            )

    async def _step(
        self, slot: Slot, statement: str, state: str, region: str | None, *values: object
    ) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(statement, slot.id, *values) is None:
                message = f"slot {slot.id} is no longer {slot.state}"
                raise LaneLostError(message)
            await connection.execute(_EVENT, slot.id, state, region)
