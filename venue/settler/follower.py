"""Follow broadcast slots to finality, and read there what they did.

Final means: at or below the block that the network calls finalized, in the block in which we saw
it. A slot that is nowhere after some blocks is broadcast again, the same bytes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from seawall.controls.timing import FOLLOW_EVERY_MS
from seawall.errors import ServiceError
from venue.chain.rpc import Head, Receipt, Rpc
from venue.contracts.calls import decode_paid_many, paid_many, read_events
from venue.process import pause
from venue.settler.metrics import SettlerMetrics
from venue.settler.model import Slot
from venue.settler.outcome import judge_outcome
from venue.settler.posting import Poster
from venue.settler.progress import Progress

_LOOK_EVERY_S = FOLLOW_EVERY_MS / 1_000
_MISSING_BLOCKS = 3
"""Blocks without a transaction of ours that the pool should hold.

Full blocks delay it by one or two.
"""
_AFTER_REVERT_S = 5.0
"""What made a whole batch revert (a cap of the contract, most likely) passes with time.

Trying at once would only burn gas.
"""
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Follower:
    """Watches one network's head; ``on_final`` is told of every slot that ends."""

    rpc: Rpc
    progress: Progress
    poster: Poster
    metrics: SettlerMetrics
    assets: dict[str, str]
    on_final: Callable[[Slot], None]
    head_number: int = 0
    base_fee_wei: int | None = None
    _following: dict[int, Slot] = field(default_factory=dict)

    def follow(self, slot: Slot) -> None:
        """Watch ``slot`` until it is final."""
        self._following[slot.id] = slot

    async def loop(self, stop: asyncio.Event) -> None:
        """Look at every new block."""
        while not stop.is_set():
            try:
                head = await self.rpc.head()
                if head.number != self.head_number:
                    self.head_number, self.base_fee_wei = head.number, head.base_fee_wei
                    await self._look(head, stop)
            except ServiceError as error:
                _log.warning("the network cannot be followed: %s", error)
            await pause(stop, _LOOK_EVERY_S)

    async def _look(self, head: Head, stop: asyncio.Event) -> None:
        if not self._following:
            return
        finalized = await self.rpc.head("finalized")
        found = [
            (slot, receipt)
            for slot in list(self._following.values())
            if (slot.block_number is None or slot.block_number <= finalized.number)
            and (receipt := await self._receipt(slot, head)) is not None
        ]
        moved = [
            (slot, receipt) for slot, receipt in found if slot.block_hash != receipt.block_hash
        ]
        if moved:
            await self.progress.included(moved)
        for slot, receipt in found:
            if receipt.block_number <= finalized.number and not stop.is_set():
                await self._finish(slot, receipt)

    async def _receipt(self, slot: Slot, head: Head) -> Receipt | None:
        receipt = await self.rpc.receipt(slot.tx_hash or "")
        if receipt is None and head.number - slot.sent_at_block >= _MISSING_BLOCKS:
            _log.warning("slot %s is in no block; its bytes are broadcast again", slot.id)
            try:  # one transaction that no node takes must not keep us from following the others
                await self.rpc.broadcast(slot.raw or b"")
            except ServiceError as error:
                _log.warning("slot %s was not broadcast again: %s", slot.id, error)
            slot.sent_at_block = head.number
        return receipt

    async def _finish(self, slot: Slot, receipt: Receipt) -> None:
        items = await self.poster.items(slot)
        seqs = [item.seq for item in items]
        bits = decode_paid_many(
            await self.rpc.read(slot.lane.contract, paid_many(seqs), "finalized")
        )
        events = read_events(receipt.logs, contract=slot.lane.contract)
        outcome = judge_outcome(
            items,
            events=events,
            bits=dict(zip(seqs, bits, strict=True)),
            succeeded=receipt.succeeded,
        )
        if outcome.untried:  # before its commit, or a claim would take what it gives back at once
            slot.lane.rest_until_s = time.monotonic() + _AFTER_REVERT_S
        posted = await self.poster.post(slot, outcome)
        del self._following[slot.id]
        slot.lane.in_flight -= 1
        self.metrics.in_flight(slot.lane.wallet, slot.lane.in_flight)
        if posted and slot.lane.purpose == "payout":
            paid = set(outcome.paid)
            self.metrics.final(
                Counter(self.assets[item.token] for item in items if item.seq in paid)
            )
        self.on_final(slot)
