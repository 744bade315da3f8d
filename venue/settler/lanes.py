"""Lanes and slots: as the settler holds them in memory, and how it writes them to the database.

A lane is (chain, signer address). Its holder is fenced by an epoch, which is raised when a settler
takes the lane and when signing moves to another region. The epoch is raised in the same transaction
that records the reason, so from that commit on an old holder can neither claim nor get a signature.
The database is authoritative; what is in memory is a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from seawall.conventions import database
from seawall.errors import InternalError, UsageError
from seawall.ethereum.values import Receipt
from venue.chain.transaction import Fees, Intent
from venue.contracts.calls import ITEMS_MAX
from venue.crash_points import Step, committing
from venue.database import Pool
from venue.signer.protocol import Signed

TOP_UP_RESTS_S = 5.0
TOP_UP_RESTS_S_MAX = 40.0
"""How long a top-up that moved nothing rests, which doubles from one to the next, and its bound.

Each try is a transaction with its gas, and what keeps an asset from moving, such as its issuer, may
do so for hours; once it moves again, customers wait this long for it at most.
"""

Purpose = Literal["payout", "topup"]
SlotPurpose = Literal["payout", "topup", "cancel", "generation", "approval", "gas", "sweep"]
SlotState = Literal["open", "signed", "broadcast", "included", "final"]


class LaneLostError(InternalError):
    """Another settler has taken a lane or moved a slot that this process held."""


@dataclass(kw_only=True)
class Lane:
    """A lane that this process holds.

    ``address`` signs, ``contract`` holds the money of ``wallet``. No slot is claimed before
    ``rest_until_s`` of the monotonic clock, none with more than ``items_max`` payments, and none at
    all while one of its slots is ``disputed``: its nonce is used up, and not by its transaction.
    ``stuck`` are slots whose fees are too low and may not be raised any more, and None if that is
    so of whatever would be sent now.
    ``rests`` are assets whose last top-up or sweep moved nothing: for how long they rest, and until
    when on the monotonic clock.
    While its contract has a generation ``to_open``, only that is claimed. ``generation`` is the
    ledger's.
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
    items_max: int = ITEMS_MAX
    disputed: set[int] = field(default_factory=set)
    stuck: set[int | None] = field(default_factory=set)
    to_open: int | None = None
    generation: int = 0
    rests: dict[str, tuple[float, float]] = field(default_factory=dict)

    def reverted(self, items: int, *, rest_until_s: float) -> None:
        """Rest, and then try half of the ``items`` that reverted as a whole."""
        self.rest_until_s = rest_until_s
        self.items_max = max(1, items // 2)

    def ran(self) -> None:
        """A transaction ran to its end: the next one may be twice as long."""
        self.items_max = min(ITEMS_MAX, 2 * self.items_max)

    def topped_up(self, asset: str, *, moved: bool, now_s: float) -> None:
        """A top-up or sweep of ``asset`` is final; one that ``moved`` nothing rests longer."""
        before_s, _ = self.rests.pop(asset, (0.0, 0.0))
        if not moved:
            rest_s = min(max(TOP_UP_RESTS_S, 2 * before_s), TOP_UP_RESTS_S_MAX)
            self.rests[asset] = rest_s, now_s + rest_s

    def may_top_up(self, asset: str, *, now_s: float) -> bool:
        """Whether a top-up or sweep of ``asset`` may be tried."""
        _, until_s = self.rests.get(asset, (0.0, now_s))
        return until_s <= now_s


@dataclass(kw_only=True)
class Slot:
    """One nonce: its intent and the state of its transaction.

    ``purpose`` is what its transaction does: pay withdrawals, move a top-up or a sweep, cancel the
    numbers of held withdrawals, open a generation, hand in what approvers signed, or have the gas
    money of another key refilled. ``items`` is how many of these it does; ``sent_at_block`` is the
    number of the newest block when the transaction was last broadcast.

    ``fees``, ``tx_hash``, ``raw`` and ``signer_region`` are of its newest transaction,
    ``replaced`` are the hashes of earlier ones with lower fees: any of them may still be the one
    that a block contains, which is then ``mined_hash``. ``passed_over`` counts how often in a row
    they were looked for in vain since the last of them was sent, ``replaced_at_block`` is the
    number of the newest block when the newest one was made.
    """

    id: int
    lane: Lane
    purpose: SlotPurpose
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
    mined_hash: str | None = None
    block_number: int | None = None
    block_hash: str | None = None
    sent_at_block: int = 0
    replaced: list[str] = field(default_factory=list)
    passed_over: int = 0
    replaced_at_block: int = 0

    def replace_by(self, fees: Fees, *, raw: bytes, tx_hash: str, region: str) -> None:
        """Make a signed transaction with higher ``fees`` the newest one."""
        if self.tx_hash is not None:
            self.replaced.append(self.tx_hash)
        self.fees, self.raw, self.tx_hash, self.signer_region = fees, raw, tx_hash, region
        self.passed_over = 0

    @property
    def stays_inside(self) -> bool:
        """Whether it moves money between a hot wallet and its reserve."""
        return self.purpose in ("topup", "sweep")

    @property
    def hashes(self) -> list[str]:
        """Of all its transactions, the newest one first."""
        return [] if self.tx_hash is None else [self.tx_hash, *reversed(self.replaced)]

    @property
    def intent(self) -> Intent:
        """The intent for which the nonce was claimed."""
        return Intent(
            chain_id=self.lane.chain_id,
            sender=self.lane.address,
            nonce=self.nonce,
            to=self.to,
            value=self.value,
            data=self.data,
        )


_TAKE = """
    update lanes set epoch = epoch + 1, holder = $3
    where (chain_id, address) = ($1, $2) returning epoch, signer_region"""
_MOVE = """
    update lanes set epoch = epoch + 1, signer_region = $5
    where (chain_id, address, epoch, holder) = ($1, $2, $3, $4) returning epoch"""
_RECORD = """
    insert into lane_log (chain_id, address, epoch, holder, signer_region, reason, detected_at)
    values ($1, $2, $3, $4, $5, $6, $7)"""
_OPENED = """
    update lanes set generation = greatest(generation, $5)
    where (chain_id, address, epoch, holder) = ($1, $2, $3, $4) returning true"""
_FAILED = "insert into flow (kind, network, count, value_micro) values ('signing_failed', $1, 1, 0)"
_IN_FLIGHT = """
    select id, purpose, nonce, to_address, value, data, gas_limit, max_fee_wei, priority_fee_wei,
           state, signer_region, tx_hash, raw, mined_hash, block_number, block_hash,
           (select count(*) from withdrawals w where w.slot_id = s.id) as items
    from slots s where (chain_id, address) = ($1, $2) and state <> 'final' order by nonce"""


_REPLACEMENTS = """
    select r.slot_id, r.max_fee_wei, r.priority_fee_wei, r.tx_hash, r.raw, r.signer_region
    from replacements r join slots s on s.id = r.slot_id
    where (s.chain_id, s.address) = ($1, $2) and s.state <> 'final' and r.raw is not null
    order by r.slot_id, r.n"""


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """The lanes of one settler in the database; ``holder`` is the settler's name."""

    pool: Pool
    holder: str
    lanes: Sequence[Lane]

    async def take(self) -> None:
        """Make this settler the holder of every lane, under a new epoch.

        Raises :class:`UsageError` if genesis made no such lane.
        """
        async with committing(self.pool, "take the lanes") as connection:
            for lane in self.lanes:
                row = await connection.fetchrow(_TAKE, lane.chain_id, lane.address, self.holder)
                if row is None:
                    raise UsageError(f"no lane of {lane.wallet} ({lane.address}) was founded")
                lane.epoch, lane.signer_region = row["epoch"], row["signer_region"]
                key = (lane.chain_id, lane.address, lane.epoch, self.holder, lane.signer_region)
                await connection.execute(
                    _RECORD, *key, "The settler started and took the lane.", None
                )

    async def move(self, *, region: str, reason: str, detected_at_us: int | None) -> None:
        """Let ``region`` sign from now on, for all lanes in one transaction.

        Args:
            region: The region whose signer is asked from now on.
            reason: Recorded with the move.
            detected_at_us: When the breaker opened, Unix microseconds; None for the way back.

        Raises :class:`LaneLostError`.
        """
        detected = (
            None
            if detected_at_us is None
            else datetime.fromtimestamp(detected_at_us / 1_000_000, UTC)
        )
        epochs: list[int] = []
        async with committing(self.pool, "move the lanes") as connection:
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
                await connection.execute(_RECORD, *key, reason, detected)
        for lane, epoch in zip(self.lanes, epochs, strict=True):
            lane.epoch, lane.signer_region = epoch, region

    async def opened(self, lane: Lane) -> bool:
        """Record that the contract of ``lane`` pays the ledger's generation, which is final.

        False if the lane has another epoch by now.
        """
        key = (lane.chain_id, lane.address, lane.epoch, self.holder)
        async with committing(self.pool, "record a generation") as connection:
            return bool(await connection.fetchval(_OPENED, *key, lane.generation))

    async def signing_failed(self, network: str) -> None:
        """Record for the mode controller that the key provider did not sign."""
        async with committing(self.pool, "count a failed signature") as connection:
            await connection.execute(_FAILED, network)
            await connection.execute("select pg_notify($1, '')", database.FLOW_CHANNEL)

    async def in_flight(self) -> list[Slot]:
        """Slots that are not final, lowest nonce first within each lane.

        A replacement that was never signed is not among a slot's transactions: it is asked for
        again when the slot needs one (:meth:`SlotProgress.replacing`).
        """
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
                        purpose=row["purpose"],
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
                        mined_hash=row["mined_hash"],
                        block_number=row["block_number"],
                        block_hash=row["block_hash"],
                    )
                )
            by_id = {slot.id: slot for slot in slots}
            for row in await self.pool.fetch(_REPLACEMENTS, lane.chain_id, lane.address):
                slot = by_id[row["slot_id"]]
                slot.replace_by(
                    replace(
                        slot.fees,
                        max_fee_wei=row["max_fee_wei"],
                        priority_fee_wei=row["priority_fee_wei"],
                    ),
                    raw=row["raw"],
                    tx_hash=row["tx_hash"],
                    region=row["signer_region"],
                )
            lane.in_flight = len(rows)
        return slots


_SIGNED = """
    update slots set state = 'signed', raw = $2, tx_hash = $3, signer_region = $4
    where id = $1 and state = 'open' returning id"""
_BROADCAST = "update slots set state = 'broadcast' where id = $1 and state = 'signed' returning id"
_WAITS = "select state not in ('open', 'final') from slots where id = $1 for no key update"
_REPLACING = """
    select max_fee_wei, priority_fee_wei from replacements where slot_id = $1 and raw is null"""
_REPLACE = """
    insert into replacements (slot_id, n, max_fee_wei, priority_fee_wei)
    select $1, coalesce(max(n), 0) + 1, $2, $3 from replacements where slot_id = $1"""
_REPLACED = """
    update replacements set raw = $3, tx_hash = $4, signer_region = $5
    where (slot_id, max_fee_wei) = ($1, $2) and raw is null returning slot_id"""
_INCLUDED = """
    update slots set state = 'included', block_number = $2, block_hash = $3, mined_hash = $4
    where id = $1 and state in ('broadcast', 'included') returning id"""
_EVENT = """
    insert into slot_events (slot_id, state, signer_region) values ($1, $2, $3)
    on conflict (slot_id, state) do nothing"""


@dataclass(frozen=True, kw_only=True)
class SlotProgress:
    """Writes the steps of a slot between its claim and its posting: signed, broadcast, included.

    Each is committed before the next step is taken. If a slot is not in the state that this process
    remembers, another settler has moved it: :class:`LaneLostError`.
    """

    pool: Pool

    async def signed(self, slot: Slot, signed: Signed) -> None:
        """Store the signed bytes; they never change afterwards."""
        values = (signed.raw, signed.tx_hash, signed.region)
        await self._step("store the bytes", slot, _SIGNED, "signed", signed.region, *values)
        slot.state, slot.raw, slot.tx_hash, slot.signer_region = (
            "signed",
            signed.raw,
            signed.tx_hash,
            signed.region,
        )

    async def broadcast(self, slot: Slot) -> None:
        """Record that a node has taken the bytes."""
        await self._step("record the broadcast", slot, _BROADCAST, "broadcast", slot.signer_region)
        slot.state = "broadcast"

    async def replacing(self, slot: Slot, fees: Fees) -> Fees | None:
        """Record that a transaction with ``fees`` is to replace that of ``slot``.

        Returns the fees of the one to be signed: that which was recorded before and never signed,
        if there is one. None if the slot is final by now.
        """
        async with committing(self.pool, "record a replacement") as connection:
            if not await connection.fetchval(_WAITS, slot.id):
                return None
            row = await connection.fetchrow(_REPLACING, slot.id)
            if row is not None:
                return replace(fees, **dict(row))
            await connection.execute(_REPLACE, slot.id, fees.max_fee_wei, fees.priority_fee_wei)
        return fees

    async def replaced(self, slot: Slot, fees: Fees, signed: Signed) -> None:
        """Store the signed bytes of the replacement with ``fees``; they never change afterwards."""
        values = (slot.id, fees.max_fee_wei, signed.raw, signed.tx_hash, signed.region)
        async with committing(self.pool, "store a replacement") as connection:
            if await connection.fetchval(_REPLACED, *values) is None:
                raise LaneLostError(
                    f"another settler has replaced the transaction of slot {slot.id}"
                )
        slot.replace_by(fees, raw=signed.raw, tx_hash=signed.tx_hash, region=signed.region)

    async def included(self, found: Sequence[tuple[Slot, Receipt]]) -> None:
        """Record the blocks that contain these slots; after a reorganisation, the new blocks."""
        async with committing(self.pool, "record the block") as connection:
            for slot, receipt in found:
                row = await connection.fetchval(
                    _INCLUDED, slot.id, receipt.block_number, receipt.block_hash, slot.mined_hash
                )
                if row is None:
                    raise LaneLostError(f"slot {slot.id} was finished by another settler")
                await connection.execute(_EVENT, slot.id, "included", slot.signer_region)
        for slot, receipt in found:
            slot.state, slot.block_number, slot.block_hash = (
                "included",
                receipt.block_number,
                receipt.block_hash,
            )

    async def _step(
        self,
        step: Step,
        slot: Slot,
        statement: str,
        state: str,
        region: str | None,
        *values: object,
    ) -> None:
        async with committing(self.pool, step) as connection:
            if await connection.fetchval(statement, slot.id, *values) is None:
                raise LaneLostError(f"slot {slot.id} is no longer {slot.state}")
            await connection.execute(_EVENT, slot.id, state, region)
