"""The follower of a network: sees broadcast slots of all lanes through to finality.

A slot is final when its transaction is in the block in which it was last seen and that block is on
the canonical chain, at or below the block that the network calls finalized. All of that is read
through one view of the chain; answers that disagree are read again and decide nothing. A
transaction that no block contains for some blocks is broadcast again, with the same bytes; one that
no block takes for its fees is handed back to its driver.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from seawall.controls.timing import FOLLOW_EVERY_MS
from seawall.errors import ServiceError
from seawall.ethereum.rpc import AsyncRpcClient, ChainView, ReceiptDisputedError, ViewLostError
from seawall.ethereum.values import Receipt, uint256
from venue.chain.transaction import too_cheap
from venue.contracts.calls import generation_in_force, read_call
from venue.crash_points import crash_point
from venue.process import now_s, pause
from venue.settler.approvals import ApprovalPoster, read_outcome
from venue.settler.held import Resolver, read_cancellation
from venue.settler.lanes import Lane, Slot, SlotProgress
from venue.settler.metrics import SettlerMetrics
from venue.settler.posting import Poster, moves, read_settlement

_Mark = TypeVar("_Mark")
_HEAD_EVERY_S = FOLLOW_EVERY_MS / 1_000
_MISSING_BLOCKS = 3
"""A transaction that is in none of so many blocks is broadcast again.

Full blocks delay a transaction by one or two blocks; after three, the pool has probably lost it.
"""
_PASSED_OVER_MAX = 2
"""A lane's next transaction that was looked for so often in vain is replaced by a dearer one.

It is looked for every three blocks. Those behind it wait for it, not for higher fees.
"""
_STANDS_STILL_S = 15.0
"""An endpoint that has shown no new block for so long is left: it answers, but follows no chain.

Ethereum's slots take 12 s, and about one in a hundred is empty; leaving in vain costs nothing.
"""
_UNFINALIZED_MAX = 128
"""An endpoint whose finalized block stays while so many new ones come is left as well.

Ethereum finalizes every 32 blocks, 64 to 95 behind the newest (ethereum.org, "Gasper"); what an
endpoint never finalizes would be paid and never posted.
"""
_AFTER_REVERT_S = 5.0
"""Pause of a lane after a whole batch reverted.

The cause is most likely a cap of the contract, which ends with its window; a new attempt at once
would only burn gas. The next one has half as many payments, which may fit.
"""
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Follower:
    """Follows broadcast slots of one network; ``on_final`` is called for each that is final.

    ``on_stuck`` is called for each that no block takes unless its fees are raised. ``homes`` are,
    by wallet, an address of the venue that could be paid from it. ``payer`` is the lane that pays
    customers.
    """

    rpc: AsyncRpcClient
    progress: SlotProgress
    poster: Poster
    resolver: Resolver
    approvals: ApprovalPoster
    metrics: SettlerMetrics
    assets: dict[str, str]
    homes: Mapping[str, str]
    payer: Lane
    on_final: Callable[[Slot], None]
    on_stuck: Callable[[Slot], None]
    head_number: int = 0
    base_fee_wei: int | None = None
    _following: dict[int, Slot] = field(default_factory=dict)
    _unread: bool = False
    _highest: int = -1
    _finalized: int = -1
    _finalized_at_block: int = 0
    _unclear: set[int] = field(default_factory=set)
    _rose_at_s: float = 0.0

    def follow(self, slot: Slot) -> None:
        """Follow ``slot`` until it is final."""
        self._following[slot.id] = slot

    async def loop(self, stop: asyncio.Event) -> None:
        """Read every new block until ``stop``."""
        while not stop.is_set():
            try:
                await self._turn(stop)
            except ServiceError as error:
                _log.warning("the network cannot be followed: %s", error)
            await pause(stop, _HEAD_EVERY_S)

    async def _turn(self, stop: asyncio.Event) -> None:
        """Read the newest block, unless it was read to its end before."""
        head = await self.rpc.head()
        self._leave_what_stands_still(head.number)
        if head.number == self.head_number and not self._unread:
            return
        self.head_number, self.base_fee_wei = head.number, head.base_fee_wei
        self._unread = True
        try:
            self._unread = not await self._read(stop)
        except ViewLostError as error:
            # Without a pause, because the next endpoint may serve at once. It may be at another
            # block than the head above, so the next turn reads again.
            _log.warning("%s; it is read again", error)
            await self._read(stop)

    def _leave_what_stands_still(self, newest: int) -> None:
        """Ask another endpoint if this one shows no new block any more."""
        seen_at_s = now_s()
        if newest > self._highest:
            self._highest, self._rose_at_s = newest, seen_at_s
        elif seen_at_s - self._rose_at_s >= _STANDS_STILL_S:
            _log.warning("%s: no block after %d; another one is asked", self.rpc.network, newest)
            self.rpc.leave()
            self._highest, self._rose_at_s = -1, seen_at_s  # it may have been made up

    def _leave_what_finalizes_nothing(self, finalized: int) -> None:
        """Ask another endpoint next time if this one's finalized block stays where it is."""
        if finalized > self._finalized:
            self._finalized, self._finalized_at_block = finalized, self.head_number
        elif self.head_number - self._finalized_at_block >= _UNFINALIZED_MAX:
            _log.warning(
                "%s: no block after %d is final; another endpoint is asked",
                self.rpc.network,
                finalized,
            )
            self.rpc.leave()
            self._finalized, self._finalized_at_block = -1, self.head_number

    async def _resume(self, view: ChainView, paused: Mapping[str, str]) -> None:
        """Let payments of an asset be claimed again once it moves out of the paying wallet."""
        for asset, token in paused.items():
            if await moves(
                view,
                token,
                holder=self.payer.contract,
                to=self.homes[self.payer.wallet],
                block_hash=view.finalized.hash,
            ):
                await self.poster.resume(self.payer.network, asset)

    async def _read(self, stop: asyncio.Event) -> bool:
        """Read one view of the chain; False if something of it must be read again."""
        paused = await self.poster.paused(self.payer.network)
        if not (self._following or paused):
            return True
        view = await self.rpc.view()
        self._leave_what_finalizes_nothing(view.finalized.number)
        await self._resume(view, paused)
        found = [
            (slot, receipt)
            for slot in list(self._following.values())
            if (slot.block_number is None or slot.block_number <= view.finalized.number)
            and (receipt := await self._receipt(slot, view)) is not None
            # Else it is seen when that block is: a number that is made up would never be reached.
            and receipt.block_number <= self.head_number
        ]
        moved = [
            (slot, receipt) for slot, receipt in found if slot.block_hash != receipt.block_hash
        ]
        if moved:
            await self.progress.included(moved)
        agreed = True
        for slot, receipt in found:
            if receipt.block_number <= view.finalized.number and not stop.is_set():
                try:
                    await self._finish(slot, receipt, view)
                except ReceiptDisputedError as error:
                    _log.warning("slot %s is read again: %s", slot.id, error)
                    self.rpc.leave(view)
                    agreed = False
        return agreed

    async def _receipt(self, slot: Slot, view: ChainView) -> Receipt | None:
        """The receipt of whichever of the slot's transactions a block contains."""
        for tx_hash in slot.hashes:
            receipt = await view.receipt(tx_hash)
            if receipt is not None:
                slot.mined_hash, slot.passed_over = tx_hash, 0
                self._dispute(slot, disputed=slot.id in self._unclear)
                self.show_stuck(slot.lane, slot, stuck=False)
                return receipt
        slot.sent_at_block = min(slot.sent_at_block, self.head_number)  # it may have been made up
        if self.head_number - slot.sent_at_block >= _MISSING_BLOCKS:
            disputed = slot.nonce < await view.nonce(slot.lane.address)
            self._dispute(slot, disputed=disputed)
            if disputed:
                self.rpc.leave(view)  # it may lie, or keep no receipt for so long
            await self._offer_again(slot)
        return None

    async def _offer_again(self, slot: Slot) -> None:
        """Broadcast the slot's newest transaction again, and ask for a dearer one if it is stuck.

        It is not known whether the pool lost it, or passed it to nobody, or no block took it; to
        offer it again to all endpoints costs nothing.
        """
        _log.warning("slot %s is in no block; its bytes are broadcast again", slot.id)
        slot.passed_over += 1
        slot.sent_at_block = self.head_number
        crash_point("send again", "before")
        try:  # a transaction that no node takes must not keep the others from being followed
            await self.rpc.broadcast_everywhere(slot.raw or b"")
        except ServiceError as error:
            _log.warning("slot %s was not broadcast again: %s", slot.id, error)
        crash_point("send again", "after")
        first = min(
            each.nonce
            for each in self._following.values()
            if each is slot or (each.lane is slot.lane and each.block_number is None)
        )
        passed_over = slot.nonce <= first and slot.passed_over >= _PASSED_OVER_MAX
        if passed_over or too_cheap(slot.fees, base_fee_wei=self.base_fee_wei or 0):
            self.on_stuck(slot)

    def show_stuck(self, lane: Lane, slot: Slot | None = None, *, stuck: bool) -> None:
        """Show whether the network asks for higher fees than are allowed.

        For the transaction of ``slot``, or without one for any that would be sent now.
        """
        if _marked(lane.stuck, None if slot is None else slot.id, on=stuck):
            self.metrics.stuck(lane.wallet, stuck=bool(lane.stuck))

    def _dispute(self, slot: Slot, *, disputed: bool) -> None:
        """Hold the lane while the chain contradicts itself, or our records, about a slot."""
        lane = slot.lane
        if not _marked(lane.disputed, slot.id, on=disputed):
            return
        if disputed:
            _log.error(
                "nonce %d of %s is used up, and the chain does not say that it did what slot %s was"
                " for: nothing more is claimed",
                slot.nonce,
                lane.wallet,
                slot.id,
            )
        self.metrics.disputed(lane.wallet, disputed=bool(lane.disputed))

    async def _finish(self, slot: Slot, receipt: Receipt, view: ChainView) -> None:
        if slot.purpose == "cancel":
            await self._cancelled(slot, receipt, view)
            return
        if slot.purpose == "approval":
            await self._handed_in(slot, receipt, view)
            return
        if slot.purpose == "gas":
            await self._refilled(slot, receipt, view)
            return
        items = await self.poster.items(slot)
        settling = partial(
            read_settlement,
            items=items,
            contract=slot.lane.contract,
            home=self.homes[slot.lane.wallet],
        )
        settlement = await settling(view, receipt)
        if not settlement.all_paid:
            await self._confirm(slot, view, settling, settlement, alone=slot.purpose != "topup")
        if slot.stays_inside and settlement.unclear:
            # No customer waits for it, so it may be read until the nodes agree; it must not be
            # final, for nothing would ever settle it again. A sweep's lane pays customers, and its
            # number is used once however often it is tried: that lane goes on.
            if slot.purpose == "topup":
                self._unclear.add(slot.id)
                self._dispute(slot, disputed=True)
            raise ReceiptDisputedError(f"event and bit of a {slot.purpose} disagree")
        self._unclear.discard(slot.id)
        self._dispute(slot, disputed=False)
        # Set before the commit: a claim could take what is released at once.
        if slot.stays_inside and items:
            asset = self.assets[items[0].token]
            slot.lane.topped_up(asset, moved=settlement.all_paid, now_s=now_s())
        if receipt.succeeded:
            slot.lane.ran()
        elif slot.purpose != "sweep" and (settlement.untried or settlement.above_cap):
            slot.lane.reverted(len(items), rest_until_s=now_s() + _AFTER_REVERT_S)
        if slot.purpose == "generation":  # it pays nothing, so nothing else came of it
            await self._opened(slot, receipt, view)
        posted = await self.poster.post(slot, settlement)
        if posted and slot.purpose == "payout":
            paid = set(settlement.paid)
            self.metrics.final(
                Counter(self.assets[item.token] for item in items if item.seq in paid)
            )
        self._done(slot)

    async def _cancelled(self, slot: Slot, receipt: Receipt, view: ChainView) -> None:
        held = await self.resolver.held(slot)
        cancelling = partial(read_cancellation, held=held, contract=slot.lane.contract)
        found = await cancelling(view, receipt)
        if held:
            await self._confirm(slot, view, cancelling, found)
        if found.untried:
            slot.lane.rest_until_s = now_s() + _AFTER_REVERT_S
        await self.resolver.post(slot, held, found)
        self._done(slot)

    async def _handed_in(self, slot: Slot, receipt: Receipt, view: ChainView) -> None:
        """End a call about an approval; another endpoint confirms what did not simply succeed.

        The contract carries an approval out once, so no second transfer could follow from a lie.
        But one that moved and was taken for reverted would be in no account, and be tried in vain
        for ever.
        """
        call = await self.approvals.call_of(slot)
        reading = partial(read_outcome, call=call, contract=slot.lane.contract)
        found = await reading(view, receipt)
        if not (receipt.succeeded and found.outcome == "done"):
            await self._confirm(slot, view, reading, found)
        await self.approvals.post(slot, call, found)
        self._done(slot)

    async def _refilled(self, slot: Slot, receipt: Receipt, view: ChainView) -> None:
        """End a refill of gas money, whatever came of it: the treasury looks at the key again."""
        await view.confirm(receipt)
        if not receipt.succeeded:
            _log.warning("slot %s: no gas money was refilled (%s)", slot.id, slot.mined_hash)
        await self.poster.end_refill(slot)
        self._done(slot)

    async def _opened(self, slot: Slot, receipt: Receipt, view: ChainView) -> None:
        """Let withdrawals be claimed once the lane's contract pays their generation.

        Not if the slot opened an earlier one, of a ledger that was lost before it was final. One
        that reverted may have come too late: a settler that started on an endpoint which lagged had
        not seen that the generation was open.
        """
        lane = slot.lane
        if lane.to_open is None or read_call(slot.data).generation != lane.to_open:
            return
        in_force = await view.read(lane.contract, generation_in_force(), uint256)
        if in_force >= lane.to_open:
            _log.warning("the contract of %s pays generation %d", lane.wallet, in_force)
            lane.to_open = None
        else:
            _log.error(
                "the contract of %s did not open %d (its transaction %s)",
                lane.wallet,
                lane.to_open,
                "succeeded" if receipt.succeeded else "reverted",
            )
            lane.rest_until_s = now_s() + _AFTER_REVERT_S

    async def _confirm(
        self,
        slot: Slot,
        view: ChainView,
        read: Callable[[ChainView, Receipt], Awaitable[object]],
        found: object,
        *,
        alone: bool = True,
    ) -> None:
        """Have another endpoint confirm what would let money move once more.

        If there is none, or it does not serve, one must do (``alone``): else its outage would stop
        payouts. A top-up waits for it: it is asked for again under another number, so that no bit
        would keep it from moving twice.

        Raises :class:`ReceiptDisputedError` if it says something else, or nothing where it must.
        """
        other = self.rpc.other_view(view)
        if other is None:
            return
        try:
            receipt = await other.receipt(slot.mined_hash or "")
            if receipt is None and alone:
                return
            if receipt is None:
                raise ReceiptDisputedError(f"another endpoint has not seen slot {slot.id} yet")
            theirs = await read(other, receipt)
        except ViewLostError as error:
            if not alone:
                raise ReceiptDisputedError(f"slot {slot.id} is not confirmed: {error}") from error
            _log.info("slot %s is not confirmed: %s", slot.id, error)
            return
        if theirs != found:
            raise ReceiptDisputedError(f"two endpoints disagree about slot {slot.id}")

    def _done(self, slot: Slot) -> None:
        del self._following[slot.id]
        slot.lane.in_flight -= 1
        self.metrics.in_flight(slot.lane.wallet, slot.lane.in_flight)
        self.on_final(slot)


def _marked(marks: set[_Mark], what: _Mark, *, on: bool) -> bool:
    """Put ``what`` among ``marks``, or take it away; whether that changed anything."""
    if on == (what in marks):
        return False
    (marks.add if on else marks.discard)(what)
    return True
