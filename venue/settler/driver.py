"""The driver of a lane: claims slots, has them signed, and broadcasts in the order of nonces.

A transaction that no block takes for its fees is replaced: the same nonce, the same intent, higher
fees.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from seawall.controls.timing import CLAIM_POLL_MS, CLAIM_SPACING_MS
from seawall.errors import ServiceError
from seawall.ethereum.answers import Cause
from seawall.ethereum.rpc import AsyncRpcClient, NodeRefusedError
from venue.chain.transaction import affordable, raised
from venue.crash_points import crash_point
from venue.process import now_s, pause
from venue.settler.claims import Claims
from venue.settler.follower import Follower
from venue.settler.lanes import Lane, Slot, SlotProgress
from venue.settler.refills import Refills
from venue.settler.signing_routes import OverCapError, SigningRoutes, StaleModeError
from venue.settler.topups import claim_sweep, claim_topup
from venue.signer.protocol import Signed

IN_FLIGHT_MAX = 16
"""Slots of one lane between claim and finality.

With 200 payouts each and 3 s to finality that is about 1,000 payouts a second.
"""
CLAIM_SPACING_S = CLAIM_SPACING_MS / 1_000
_CLAIM_EVERY_S = CLAIM_POLL_MS / 1_000
_SEND_AGAIN_S = 0.3
_UNDERPRICED_MAX = 3
"""A transaction that no node takes for its fees so often in a row is replaced by a dearer one.

A node's price rises and falls with its pool; some networks demand a priority fee above ours.
"""
_TOO_DEAR_S = 1.0
_OVER_CAP_S = 0.5
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Driver:
    """Claims and sends slots of one lane.

    ``wake`` is set when a withdrawal was accepted or a slot became final.
    """

    lane: Lane
    claims: Claims
    refills: Refills
    routes: SigningRoutes
    progress: SlotProgress
    follower: Follower
    rpc: AsyncRpcClient
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _queue: asyncio.Queue[Slot] = field(default_factory=asyncio.Queue)
    _stuck: dict[int, Slot] = field(default_factory=dict)

    def replace(self, slot: Slot) -> None:
        """Replace the transaction of ``slot`` by a dearer one, before anything else is sent.

        What waits to be sent has a higher nonce, and may not be taken before that.
        """
        self._stuck[slot.nonce] = slot

    def resume(self, slots: Iterable[Slot]) -> None:
        """Continue with slots that an earlier holder left; they come lowest nonce first."""
        for slot in slots:
            if slot.state in ("open", "signed"):
                self._queue.put_nowait(slot)
            else:
                self.follower.follow(slot)

    async def claim_loop(self, stop: asyncio.Event) -> None:
        """Claim while withdrawals wait and fewer than ``IN_FLIGHT_MAX`` slots are in flight."""
        claimed_at = 0.0
        while not stop.is_set():
            await self._rest(_CLAIM_EVERY_S)
            base_fee_wei = self.follower.base_fee_wei
            if self.lane.in_flight >= IN_FLIGHT_MAX or base_fee_wei is None:
                continue
            dear = not affordable(base_fee_wei)
            self.follower.show_stuck(self.lane, stuck=dear)
            if dear:
                _log.warning(
                    "%s: a base fee of %d wei is too high to send", self.lane.network, base_fee_wei
                )
                await pause(stop, _TOO_DEAR_S)
                continue
            if (early := claimed_at + CLAIM_SPACING_S - now_s()) > 0:
                await pause(stop, early)
            slot = await self._claim(base_fee_wei)
            claimed_at = now_s()
            while slot is not None:
                self._queue.put_nowait(slot)
                full = slot.items >= self.lane.items_max
                if not full or self.lane.in_flight >= IN_FLIGHT_MAX or stop.is_set():
                    break
                slot = await self._claim(base_fee_wei)

    async def send_loop(self, stop: asyncio.Event) -> None:
        """Sign, commit, broadcast, commit: one slot after the other.

        So nonces reach the pool in order.
        """
        while not stop.is_set():
            await self._replace_stuck(stop)
            try:
                async with asyncio.timeout(_CLAIM_EVERY_S):
                    slot = await self._queue.get()
            except TimeoutError:
                continue
            if slot.state == "open":
                signed = await self._sign(slot, stop)
                if signed is None:
                    return
                await self.progress.signed(slot, signed)
            if not await self._send(slot, stop):
                return
            await self.progress.broadcast(slot)
            self.follower.follow(slot)

    async def _send(self, slot: Slot, stop: asyncio.Event) -> bool:
        """Hand the bytes to a node until one takes them, dearer ones if need be.

        Returns false if ``stop`` came first.
        """
        underpriced = 0
        while not stop.is_set():
            refused = await self._offer(slot)
            if refused is None:
                return True
            underpriced = underpriced + 1 if refused is Cause.UNDERPRICED else 0
            if underpriced >= _UNDERPRICED_MAX:
                underpriced = 0
                await self._replace(slot, stop)
            await pause(stop, _SEND_AGAIN_S)
            await self._replace_stuck(stop)
        return False

    async def _replace_stuck(self, stop: asyncio.Event) -> None:
        """Replace what the follower has found to be stuck, the lowest nonce first."""
        while self._stuck and not stop.is_set():
            slot = self._stuck.pop(min(self._stuck))
            if slot.passed_over:  # else a block contains it by now, or it was replaced just now
                await self._replace(slot, stop)

    async def _replace(self, slot: Slot, stop: asyncio.Event) -> None:
        """Replace the transaction of ``slot`` by one with higher fees, if the ceiling allows it.

        As with the first one, each step is committed before the next: the fees before a signer is
        asked, the bytes before a node is. All transactions of a nonce have one intent, and one of
        them at most is ever in a block, so it does not matter which.
        """
        head = self.follower.head_number
        if slot.state == "final" or self.lane.disputed or head <= slot.replaced_at_block:
            return  # no block has had the chance to take the last one
        fees = raised(slot.fees, base_fee_wei=self.follower.base_fee_wei or 0)
        if fees is None:
            self.follower.show_stuck(self.lane, slot, stuck=True)
            _log.error(
                "slot %s is stuck: %d wei per gas are too little, and no more is allowed",
                slot.id,
                slot.fees.max_fee_wei,
            )
            return
        if (fees := await self.progress.replacing(slot, fees)) is None:
            return
        signed = await self.routes.sign(slot, stop, fees=fees)
        if signed is None:
            return
        await self.progress.replaced(slot, fees, signed)
        slot.replaced_at_block = head
        self.follower.show_stuck(self.lane, slot, stuck=False)
        _log.warning(
            "slot %s is replaced by %s, with %d wei per gas and a priority fee of %d",
            slot.id,
            slot.tx_hash,
            fees.max_fee_wei,
            fees.priority_fee_wei,
        )
        if slot.state != "signed":
            await self._offer(slot)

    async def _sign(self, slot: Slot, stop: asyncio.Event) -> Signed | None:
        while not stop.is_set():
            try:
                signed = await self.routes.sign(slot, stop)
            except StaleModeError:
                if not await self.claims.admit_again(slot):
                    await pause(stop, _CLAIM_EVERY_S)
                    await self._replace_stuck(stop)
            except OverCapError as error:
                _log.warning("slot %s is signed later: %s", slot.id, error)
                # Claims leave room, so the count was lost, or the caps were lowered meanwhile.
                await self.claims.admit_again(slot)
                await pause(stop, _OVER_CAP_S)
            else:
                self.claims.signed(slot)
                return signed
        return None

    async def _claim(self, base_fee_wei: int) -> Slot | None:
        if self.lane.disputed or now_s() < self.lane.rest_until_s:
            return None
        if self.lane.to_open is not None:
            return await self.claims.claim_generation(self.lane, base_fee_wei=base_fee_wei)
        # First: without gas money neither lane does anything else.
        if await self.refills.due(self.lane):
            slot = await self.refills.claim(self.lane, base_fee_wei=base_fee_wei)
            if slot is not None:
                return slot
        if self.lane.purpose == "topup":
            if self.claims.may_look(self.lane) and await self.claims.approval_due(self.lane):
                return await self.claims.claim_approval(self.lane, base_fee_wei=base_fee_wei)
            return await claim_topup(self.claims, self.lane, base_fee_wei=base_fee_wei)
        waiting = await self.claims.waiting(self.lane)
        if waiting.resolutions:  # first: they are few, and a full queue must not keep them waiting
            slot = await self.claims.claim_held(self.lane, base_fee_wei=base_fee_wei)
            if slot is not None:
                return slot
        # Before payouts, which may never cease to wait: it takes nothing that they need.
        if waiting.sweeps and self.claims.may_look(self.lane):
            slot = await claim_sweep(self.claims, self.lane, base_fee_wei=base_fee_wei)
            if slot is not None:
                return slot
        if waiting.payouts:
            return await self.claims.claim_payouts(self.lane, base_fee_wei=base_fee_wei)
        return None

    async def _offer(self, slot: Slot) -> Cause | None:
        """Hand the newest bytes to a node; None if it took them, else why not."""
        crash_point("send", "before")
        try:
            await self.rpc.broadcast(slot.raw or b"")
        except ServiceError as error:
            _log.warning("slot %s was not broadcast: %s", slot.id, error)
            return error.cause if isinstance(error, NodeRefusedError) else Cause.OTHER
        crash_point("send", "after")
        slot.sent_at_block = max(self.follower.head_number, 1)
        return None

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.wake.wait()
        except TimeoutError:
            return
        self.wake.clear()
