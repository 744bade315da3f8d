"""The follower: a failure of one transaction does not affect the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from seawall.errors import ServiceError
from seawall.ethereum.values import BlockId, Head, Receipt
from venue.chain.transaction import Fees
from venue.settler.lanes import Lane, Slot
from venue.settler.pipeline import Follower


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

    async def broadcast(self, raw: bytes) -> None:
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
        metrics=cast("Any", None),
        assets={},
        homes={},
        payer=_slot(0, "0x").lane,
        on_final=lambda _: None,
    )
    lost = _slot(1, "0xlost")
    follower.follow(lost)
    follower.follow(_slot(2, "0xfound"))
    async with asyncio.timeout(5):
        await follower.loop(stop)
    assert progress.included_ids == [2]
    assert node.offered == [b"0xlost"]
    assert lost.sent_at_block == 10
