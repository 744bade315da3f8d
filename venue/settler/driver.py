"""A lane at work: claims become slots, slots are signed and broadcast strictly in the order of
their nonces.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from seawall.controls.timing import CLAIM_POLL_MS, CLAIM_SPACING_MS
from seawall.errors import ServiceError
from venue.chain.rpc import Rpc
from venue.contracts.calls import ITEMS_MAX
from venue.process import pause
from venue.settler.claims import Claims
from venue.settler.follower import Follower
from venue.settler.model import Lane, Slot
from venue.settler.progress import Progress
from venue.settler.routes import Routes

IN_FLIGHT_MAX = 16
"""Slots between claim and finality per lane.

At 200 payouts each and 3 s to finality, 1,000 payouts a second.
"""
CLAIM_SPACING_S = CLAIM_SPACING_MS / 1_000
_LOOK_EVERY_S = CLAIM_POLL_MS / 1_000
_SEND_AGAIN_S = 0.3
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Driver:
    """Drives one lane; ``wake`` is set when a withdrawal was accepted or a slot became final."""

    lane: Lane
    claims: Claims
    routes: Routes
    progress: Progress
    follower: Follower
    rpc: Rpc
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _queue: asyncio.Queue[Slot] = field(default_factory=asyncio.Queue)

    def resume(self, slots: Iterable[Slot]) -> None:
        """Take up slots that an earlier holder left, oldest nonce first."""
        for slot in slots:
            if slot.state in ("open", "signed"):
                self._queue.put_nowait(slot)
            else:
                self.follower.follow(slot)

    async def claim_loop(self, stop: asyncio.Event) -> None:
        """Claim whenever something waits and the flight has room."""
        claimed_at = 0.0
        while not stop.is_set():
            await self._rest(_LOOK_EVERY_S)
            if self.lane.in_flight >= IN_FLIGHT_MAX or self.follower.base_fee_wei is None:
                continue
            if (early := claimed_at + CLAIM_SPACING_S - time.monotonic()) > 0:
                await pause(stop, early)
            slot = await self._claim(self.follower.base_fee_wei)
            claimed_at = time.monotonic()
            while slot is not None:
                self._queue.put_nowait(slot)
                if slot.items < ITEMS_MAX or self.lane.in_flight >= IN_FLIGHT_MAX or stop.is_set():
                    break
                slot = await self._claim(self.follower.base_fee_wei)

    async def send_loop(self, stop: asyncio.Event) -> None:
        """Sign, commit, broadcast, commit.

        One slot after the other, so that nonces reach the pool in order.
        """
        while not stop.is_set():
            try:
                async with asyncio.timeout(_LOOK_EVERY_S):
                    slot = await self._queue.get()
            except TimeoutError:
                continue
            if slot.state == "open":
                signed = await self.routes.sign(slot, stop)
                if signed is None:
                    return
                await self.progress.signed(slot, signed)
            while not stop.is_set() and not await self._sent(slot):
                await pause(stop, _SEND_AGAIN_S)
            if stop.is_set() and not slot.sent_at_block:
                return
            await self.progress.broadcast(slot)
            self.follower.follow(slot)

    async def _claim(self, base_fee_wei: int) -> Slot | None:
        if time.monotonic() < self.lane.rest_until_s:
            return None
        if self.lane.purpose == "topup":
            return await self.claims.claim_topup(self.lane, base_fee_wei=base_fee_wei)
        if not await self.claims.waiting():
            return None
        return await self.claims.claim_payouts(self.lane, base_fee_wei=base_fee_wei)

    async def _sent(self, slot: Slot) -> bool:
        try:
            await self.rpc.broadcast(slot.raw or b"")
        except ServiceError as error:
            _log.warning("slot %s was not broadcast: %s", slot.id, error)
            return False
        slot.sent_at_block = max(self.follower.head_number, 1)
        return True

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.wake.wait()
        except TimeoutError:
            return
        self.wake.clear()
