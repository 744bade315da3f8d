"""Lanes in the database.

Taken at start, moved to another signing region, each time under a new epoch.

An epoch is raised in the same transaction that writes why, so an old holder can neither claim nor
have anything signed from that commit on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from seawall.conventions import database
from seawall.errors import UsageError
from venue.chain.transaction import Fees
from venue.database import Pool
from venue.settler.model import Lane, LaneLostError, Slot

_TAKE = """
    update lanes set epoch = epoch + 1, holder = $3 where (chain_id, address) = ($1, $2) returning epoch, signer_region"""
_MOVE = """
    update lanes set epoch = epoch + 1, signer_region = $5
    where (chain_id, address, epoch, holder) = ($1, $2, $3, $4) returning epoch"""
_LOG = """
    insert into lane_log (chain_id, address, epoch, holder, signer_region, reason, detected_at) values ($1, $2, $3, $4, $5, $6, $7)"""
_FAILED = "insert into flow (kind, network, count, value_micro) values ('signing_failed', $1, 1, 0)"
_IN_FLIGHT = """
    select id, nonce, to_address, value, data, gas_limit, max_fee_wei, priority_fee_wei, state, signer_region, tx_hash, raw,
           block_number, block_hash, (select count(*) from withdrawals w where w.slot_id = s.id) as items
    from slots s where (chain_id, address) = ($1, $2) and state <> 'final' order by nonce"""


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """The lanes of one settler, held under its name ``holder``."""

    pool: Pool
    holder: str
    lanes: Sequence[Lane]

    async def take(self) -> None:
        """Become the holder of every lane, under a new epoch.

        Raises :class:`UsageError` if genesis made no such lane.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            for lane in self.lanes:
                row = await connection.fetchrow(_TAKE, lane.chain_id, lane.address, self.holder)
                if row is None:
                    message = f"no lane of {lane.wallet} ({lane.address}) was founded"
                    raise UsageError(message)
                lane.epoch, lane.signer_region = row["epoch"], row["signer_region"]
                key = (lane.chain_id, lane.address, lane.epoch, self.holder, lane.signer_region)
                await connection.execute(_LOG, *key, "The settler started and took the lane.", None)

    async def move(self, *, region: str, reason: str, detected_at_us: int | None) -> None:
        """Have ``region`` sign from now on, for all lanes at once.

        Raises :class:`LaneLostError`.
        """
        detected = (
            None
            if detected_at_us is None
            else datetime.fromtimestamp(detected_at_us / 1_000_000, UTC)
        )
        epochs: list[int] = []
        async with self.pool.acquire() as connection, connection.transaction():
            for lane in self.lanes:
                epoch = await connection.fetchval(
                    _MOVE, lane.chain_id, lane.address, lane.epoch, self.holder, region
                )
                if epoch is None:
                    message = f"the lane of {lane.wallet} is no longer ours at epoch {lane.epoch}"
                    raise LaneLostError(message)
                epochs.append(epoch)
                key = (lane.chain_id, lane.address, epoch, self.holder, region)
                await connection.execute(_LOG, *key, reason, detected)
        for lane, epoch in zip(self.lanes, epochs, strict=True):
            lane.epoch, lane.signer_region = epoch, region

    async def signing_failed(self, network: str) -> None:
        """Commit that a signature was refused for want of the provider, so that the mode controller sees it."""
        body = json.dumps({"kind": "signing_failed", "network": network})
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(_FAILED, network)
            await connection.execute("select pg_notify($1, $2)", database.FLOW_CHANNEL, body)

    async def in_flight(self) -> list[Slot]:
        """Slots that are not final, oldest nonce first within each lane."""
        slots: list[Slot] = []
        for lane in self.lanes:
            rows = await self.pool.fetch(_IN_FLIGHT, lane.chain_id, lane.address)
            for row in rows:
                state: Literal["open", "signed", "broadcast", "included", "final"] = row["state"]
                fees = Fees(
                    gas_limit=row["gas_limit"],
                    max_fee_wei=row["max_fee_wei"],
                    priority_fee_wei=row["priority_fee_wei"],
                )
                slots.append(
                    Slot(
                        id=row["id"],
                        lane=lane,
                        nonce=row["nonce"],
                        to=row["to_address"],
                        value=row["value"],
                        data=row["data"],
                        fees=fees,
                        state=state,
                        items=row["items"],
                        signer_region=row["signer_region"],
                        tx_hash=row["tx_hash"],
                        raw=row["raw"],
                        block_number=row["block_number"],
                        block_hash=row["block_hash"],
                    )
                )
            lane.in_flight = len(rows)
        return slots
