"""Driver and follower without a database: what one transaction meets does not stop the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from seawall.errors import ServiceError
from seawall.ethereum.answers import Cause
from seawall.ethereum.rpc import NodeRefusedError, NodeSilentError
from seawall.ethereum.values import BlockId, Head, Receipt
from venue.chain.transaction import MAX_FEE_CEILING_WEI, Fees
from venue.settler import driver
from venue.settler.claims import Waiting
from venue.settler.driver import Driver
from venue.settler.follower import Follower
from venue.settler.lanes import Lane, Slot
from venue.signer.protocol import Signed


class _Node:
    """A node that has the receipt of one transaction, has lost the other, and takes no bytes."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self.offered: list[bytes] = []

    finalized = BlockId(number=5, hash="0x5")

    async def head(self) -> Head:
        return Head(number=10, base_fee_wei=1)

    async def view(self) -> _Node:
        return self

    async def nonce(self, address: str) -> int:
        return 0

    async def receipt(self, tx_hash: str) -> Receipt | None:
        if tx_hash == "0xlost":
            return None
        self._stop.set()
        return Receipt(block_number=9, block_hash="0xb", succeeded=True, logs=[])

    async def broadcast_everywhere(self, raw: bytes) -> None:
        self.offered.append(raw)
        raise ServiceError("the pool does not want it")


class _Progress:
    def __init__(self) -> None:
        self.included_ids: list[int] = []

    async def included(self, found: Sequence[tuple[Slot, Receipt]]) -> None:
        self.included_ids += [slot.id for slot, _ in found]


async def _nothing(_network: str) -> dict[str, str]:
    return {}


def _slot(number: int, tx_hash: str) -> Slot:
    lane = Lane(
        chain_id=1, address="0xa", network="n", wallet="w", contract="0xc", purpose="payout"
    )
    fees = Fees(gas_limit=1, max_fee_wei=1, priority_fee_wei=1)
    raw = tx_hash.encode()
    return Slot(
        id=number,
        lane=lane,
        purpose="payout",
        nonce=number,
        to="0xc",
        value=0,
        data=b"",
        fees=fees,
        state="broadcast",
        tx_hash=tx_hash,
        raw=raw,
    )


async def test_a_transaction_that_no_node_takes_does_not_keep_others_from_being_followed() -> None:
    """It is broadcast again every few blocks, and the next one is seen in its block."""
    stop = asyncio.Event()
    node, progress = _Node(stop), _Progress()
    follower = Follower(
        rpc=cast("Any", node),
        progress=cast("Any", progress),
        poster=cast("Any", SimpleNamespace(paused=_nothing)),
        resolver=cast("Any", None),
        approvals=cast("Any", None),
        metrics=cast("Any", None),
        assets={},
        homes={},
        payer=_slot(0, "0x").lane,
        on_final=lambda _: None,
        on_stuck=lambda _: None,
    )
    lost = _slot(1, "0xlost")
    follower.follow(lost)
    follower.follow(_slot(2, "0xfound"))
    async with asyncio.timeout(5):
        await follower.loop(stop)
    assert progress.included_ids == [2]
    assert node.offered == [b"0xlost"]
    assert lost.sent_at_block == 10


class _Sender:
    """A driver of one signed slot, whose steps are recorded in ``steps``.

    Nodes refuse bytes whose priority fee is below ``demanded_wei``.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, max_fee_wei: int = 3 * 10**9) -> None:
        self.demanded_wei = 0
        self.silent = False
        self.steps: list[str] = []
        self.stuck: list[bool] = []
        self.stop = asyncio.Event()
        self.slot = _slot(1, "0xfirst")
        self.slot.state = "signed"
        self.slot.fees = Fees(gas_limit=1, max_fee_wei=max_fee_wei, priority_fee_wei=10**9)
        self._pauses = 0
        self.driver = Driver(
            lane=self.slot.lane,
            claims=cast("Any", None),
            refills=cast("Any", None),
            routes=cast("Any", self),
            progress=cast("Any", self),
            follower=cast("Any", self),
            rpc=cast("Any", self),
        )
        self.base_fee_wei, self.head_number = 7, 10
        monkeypatch.setattr(driver, "pause", self._pause)

    async def run(self) -> None:
        """Until the slot is broadcast, or for 40 pauses."""
        async with asyncio.timeout(5):
            await self.driver.send_loop(self.stop)

    async def _pause(self, _stop: asyncio.Event, _seconds: float) -> None:
        self._pauses += 1
        self.head_number += 1
        if self._pauses == 40:
            self.stop.set()

    def show_stuck(self, lane: Lane, slot: Slot, *, stuck: bool) -> None:
        self.stuck.append(stuck)

    def follow(self, slot: Slot) -> None:
        self.stop.set()

    async def broadcast(self, sent: Any) -> None:
        if isinstance(sent, Slot):
            self.steps.append("recorded as broadcast")
            return
        if self.silent:
            raise NodeSilentError("down")
        if self.slot.fees.priority_fee_wei < self.demanded_wei:
            cause, reason = Cause.UNDERPRICED, "transaction underpriced"
            raise NodeRefusedError("n", "eth_sendRawTransaction", cause=cause, reason=reason)
        self.steps.append(f"sent {self.slot.tx_hash}")

    async def replacing(self, slot: Slot, fees: Fees) -> Fees:
        self.steps.append("fees recorded")
        return fees

    async def sign(self, slot: Slot, stop: asyncio.Event, *, fees: Fees) -> Signed:
        self.steps.append("signed")
        tx_hash = f"0x{fees.priority_fee_wei}"
        return Signed(raw=b"2", tx_hash=tx_hash, region="one", digest=b"")

    async def replaced(self, slot: Slot, fees: Fees, signed: Signed) -> None:
        self.steps.append("bytes recorded")
        slot.replace_by(fees, raw=signed.raw, tx_hash=signed.tx_hash, region=signed.region)


async def test_bytes_that_no_node_takes_for_their_fees_are_replaced_until_one_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The network demands four times our priority fee; each step is recorded before the next."""
    sender = _Sender(monkeypatch)
    sender.demanded_wei = 4 * 10**9
    sender.driver.resume([sender.slot])
    await sender.run()
    assert sender.steps == [
        *["fees recorded", "signed", "bytes recorded"] * 2,
        "sent 0x4000000000",
        "recorded as broadcast",
    ]
    assert sender.slot.hashes == ["0x4000000000", "0x2000000000", "0xfirst"]


async def test_nodes_that_are_down_are_no_reason_to_pay_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sender = _Sender(monkeypatch)
    sender.silent = True
    sender.driver.resume([sender.slot])
    await sender.run()
    assert sender.steps == []


async def test_fees_at_the_ceiling_are_not_raised_and_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sender = _Sender(monkeypatch, max_fee_wei=MAX_FEE_CEILING_WEI)
    sender.demanded_wei = 4 * 10**9
    sender.driver.resume([sender.slot])
    await sender.run()
    assert sender.steps == []
    assert set(sender.stuck) == {True}


async def test_a_stuck_slot_is_replaced_once_and_offered_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However often the follower finds it before the driver comes to it."""
    sender = _Sender(monkeypatch)
    sender.slot.state = "broadcast"
    sender.slot.passed_over = 2
    other = _slot(2, "0xother")
    other.state = "signed"
    sender.driver.replace(sender.slot)
    sender.driver.replace(sender.slot)
    sender.driver.resume([other])
    await sender.run()
    assert sender.steps[:4] == ["fees recorded", "signed", "bytes recorded", "sent 0x2000000000"]
    assert sender.steps.count("signed") == 1


async def test_nothing_is_replaced_while_its_lane_is_disputed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its nonce is used up: a dearer transaction would not be mined either."""
    sender = _Sender(monkeypatch)
    sender.slot.state = "broadcast"
    sender.slot.passed_over = 2
    sender.slot.lane.disputed.add(1)
    sender.driver.replace(sender.slot)
    asyncio.get_running_loop().call_later(0.05, sender.stop.set)
    await sender.run()
    assert sender.steps == []


async def test_what_a_block_contains_by_now_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The follower found it while the driver was busy."""
    sender = _Sender(monkeypatch)
    sender.slot.state = "broadcast"
    sender.driver.replace(sender.slot)
    asyncio.get_running_loop().call_later(0.05, sender.stop.set)
    await sender.run()
    assert sender.steps == []


async def test_a_replacement_does_not_wait_for_what_cannot_be_sent_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pool has forgotten nonce 1, and takes nonce 2 only after it."""
    sender = _Sender(monkeypatch)
    sender.slot.state = "broadcast"
    sender.slot.passed_over = 2
    later = _slot(2, "0xlater")
    later.state = "signed"
    later.fees = sender.slot.fees
    sender.silent = True
    sender.driver.resume([later])
    pause = sender._pause

    async def stuck_meanwhile(stop: asyncio.Event, seconds: float) -> None:
        await pause(stop, seconds)
        if sender._pauses == 3:
            sender.driver.replace(sender.slot)
            sender.silent = False

    monkeypatch.setattr(driver, "pause", stuck_meanwhile)
    await sender.run()
    assert sender.steps[:4] == ["fees recorded", "signed", "bytes recorded", "sent 0x2000000000"]
    assert sender.steps[-1] == "recorded as broadcast"


async def test_a_slot_is_replaced_once_in_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that refuses in quick succession must not double the tip each time."""
    sender = _Sender(monkeypatch)
    sender.demanded_wei = 10**15
    monkeypatch.setattr(sender, "head_number", 10)

    async def no_new_block(_stop: asyncio.Event, _seconds: float) -> None:
        sender._pauses += 1
        if sender._pauses == 40:
            sender.stop.set()

    monkeypatch.setattr(driver, "pause", no_new_block)
    sender.driver.resume([sender.slot])
    await sender.run()
    assert sender.steps.count("signed") == 1


class _Claims:
    """Withdrawals that never cease to wait, and a sweep that was asked for."""

    def __init__(self) -> None:
        self.claimed: list[str] = []
        self.looks = 0

    async def due(self, _lane: Lane) -> bool:
        return False

    async def waiting(self, _lane: Lane) -> Waiting:
        return Waiting(payouts=True, sweeps=True, resolutions=False)

    def may_look(self, _lane: Lane) -> bool:
        self.looks += 1
        return self.looks % 3 == 1

    async def claim_payouts(self, _lane: Lane, *, base_fee_wei: int) -> Slot:
        self.claimed.append("payouts")
        return _slot(1, "0x1")


async def test_a_sweep_is_claimed_however_long_customers_keep_coming(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is looked at now and then; the claim itself leaves what they wait for."""
    claims = _Claims()

    async def claim(_claims: Any, _lane: Lane, *, base_fee_wei: int) -> Slot | None:
        claims.claimed.append("sweep")
        return _slot(2, "0x2") if claims.looks == 1 else None

    monkeypatch.setattr(driver, "claim_sweep", claim)
    one = Driver(
        lane=_slot(0, "0x").lane,
        claims=cast("Any", claims),
        refills=cast("Any", claims),
        routes=cast("Any", None),
        progress=cast("Any", None),
        follower=cast("Any", None),
        rpc=cast("Any", None),
    )
    for _ in range(4):
        await one._claim(1)
    assert claims.claimed == ["sweep", "payouts", "payouts", "sweep", "payouts"]
