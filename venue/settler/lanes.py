"""Lanes and slots: as the settler holds them in memory, and how it writes them to the database.

A lane is (chain, signer address). Its holder is fenced by an epoch, which is raised when a settler
takes the lane and when signing moves to another region. The epoch is raised in the same transaction
that records the reason, so from that commit on an old holder can neither claim nor get a signature.
The database is authoritative; what is in memory is a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from seawall.conventions import database
from seawall.errors import InternalError, UsageError
from seawall.ethereum.rpc import Receipt
from venue.chain.transaction import Fees, Intent
from venue.database import Pool
from venue.signer.protocol import Signed

Purpose = Literal["payout", "topup"]
SlotState = Literal["open", "signed", "broadcast", "included", "final"]


class LaneLostError(InternalError):
    """Another holder has taken a lane, or moved a slot, that this process believed to be its own."""


@dataclass(kw_only=True)
class Lane:
    """A lane that this process holds.

    Whose wallet it moves, through which contract, under which epoch.

    Nothing is claimed for it before ``rest_until_s`` of the monotonic clock.
    """

    chain_id: int
    address: str
    network: str
    wallet: str
    contract: str
    purpose: Purpose
    epoch: int = 0
    signer_region: str = ""
    in_flight: int = 0
    rest_until_s: float = 0.0


@dataclass(kw_only=True)
class Slot:
    """One nonce: its intent and how far its transaction is.

    ``sent_at_block`` is the head when it was last broadcast.
    """

    id: int
    lane: Lane
    nonce: int
    to: str
    value: int
    data: bytes
    fees: Fees
    state: SlotState
    items: int = 0
    signer_region: str | None = None
    tx_hash: str | None = None
    raw: bytes | None = field(default=None, repr=False)
    block_number: int | None = None
    block_hash: str | None = None
    sent_at_block: int = 0

    @property
    def intent(self) -> Intent:
        """What the nonce was claimed for."""
        return Intent(
            chain_id=self.lane.chain_id,
            sender=self.lane.address,
            nonce=self.nonce,
            to=self.to,
            value=self.value,
            data=self.data,
        )


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
                    raise UsageError(f"no lane of {lane.wallet} ({lane.address}) was founded")
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
                    raise LaneLostError(
                        f"the lane of {lane.wallet} is no longer ours at epoch {lane.epoch}"
                    )
                epochs.append(epoch)
                key = (lane.chain_id, lane.address, epoch, self.holder, region)
                await connection.execute(_LOG, *key, reason, detected)
        for lane, epoch in zip(self.lanes, epochs, strict=True):
            lane.epoch, lane.signer_region = epoch, region

    async def signing_failed(self, network: str) -> None:
        """Commit that a signature was refused for want of the provider, so that the mode controller sees it."""
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(_FAILED, network)
            await connection.execute("select pg_notify($1, '')", database.FLOW_CHANNEL)

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
                    raise LaneLostError(f"slot {slot.id} was finished by somebody else")
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
                raise LaneLostError(f"slot {slot.id} is no longer {slot.state}")
            await connection.execute(_EVENT, slot.id, state, region)
