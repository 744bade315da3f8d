"""The way back to the primary endpoint: after it was well for a while, and never to and fro."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from seawall.ethereum.rpc import RpcError
from tests.testing.nodes import FakeChain, FakeNode, hash_of, nodes, result
from venue.settler import endpoints
from venue.settler.endpoints import (
    KEPT_S_MIN,
    LOOK_EVERY_S,
    WAIT_S,
    WAIT_S_MAX,
    HomingRpcClient,
    Return,
)

_BLOCK_60 = {"number": hex(60), "hash": hash_of("block 60"), "baseFeePerGas": "0x7"}


def _silent(_method: str, _params: list[Any]) -> None:
    raise httpx.ReadTimeout("")


class Bench:
    """A client of two nodes in virtual time; ``at_look`` is called before each look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        chain = FakeChain(newest=100)
        self.primary, self.standby = FakeNode(chain=chain), FakeNode(chain=chain)
        self.at_s = 0.0
        self.rpc = HomingRpcClient(
            "aster",
            ("http://primary", "http://standby"),
            client=nodes({"primary": self.primary, "standby": self.standby}),
        )
        monkeypatch.setattr(endpoints, "now_s", lambda: self.at_s)
        self._monkeypatch = monkeypatch

    async def run(self, seconds: float, at_look: Callable[[float], None] = lambda _: None) -> None:
        """Keep home for so long."""
        ends_s, stop = self.at_s + seconds, asyncio.Event()

        async def pause(_stop: asyncio.Event, waits_s: float) -> None:
            self.at_s += waits_s
            at_look(self.at_s)
            if self.at_s >= ends_s:
                stop.set()

        self._monkeypatch.setattr(endpoints, "pause", pause)
        await self.rpc.keep_home(stop)

    async def leave_primary(self) -> None:
        """The primary does not answer once, and the standby does."""
        self.primary.spoil = _silent
        await self.rpc.head()
        self.primary.spoil = lambda _m, _p: None
        assert await self.in_use() == "standby"

    async def in_use(self) -> str:
        """Which node a call is answered by."""
        asked = len(self.primary.asked)
        try:
            await self.rpc.head()
        except RpcError:
            return "none"
        return "primary" if len(self.primary.asked) > asked else "standby"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_a_primary_that_was_well_for_a_while_is_in_use_again(bench: Bench) -> None:
    await bench.leave_primary()
    await bench.run(WAIT_S)
    assert await bench.in_use() == "standby"
    await bench.leave_primary()
    await bench.run(WAIT_S + 2 * LOOK_EVERY_S)
    assert await bench.in_use() == "primary"


async def test_while_the_primary_serves_nobody_looks_at_it_or_at_the_standby(bench: Bench) -> None:
    """Each look costs the provider requests, which it may bill."""
    await bench.run(10 * WAIT_S)
    assert bench.primary.asked == bench.standby.asked == []


@pytest.mark.parametrize("vice", ["answers now and then", "lags", "finalizes nothing", "is silent"])
async def test_a_primary_that_is_not_well_throughout_stays_out_of_use(
    vice: str, bench: Bench
) -> None:
    await bench.leave_primary()
    if vice == "lags":
        bench.primary.behind = 3
    elif vice == "finalizes nothing":
        bench.primary.spoil = lambda _method, params: (
            result(_BLOCK_60) if params[0] == "finalized" else None
        )
    elif vice == "is silent":
        bench.primary.spoil = _silent

    def look(at_s: float) -> None:
        if vice == "answers now and then":
            bench.primary.spoil = _silent if at_s % 10 < LOOK_EVERY_S else lambda _m, _p: None

    await bench.run(20 * WAIT_S, look)
    bench.primary.spoil = lambda _m, _p: None
    assert await bench.in_use() == "standby"


async def test_a_primary_that_is_left_soon_after_each_return_is_returned_to_ever_more_rarely(
    bench: Bench,
) -> None:
    """And one that was kept for long is not held to what it did before."""
    back, waited = Return(), []
    at_s = 0.0
    for _ in range(9):
        back.left(at_s=at_s)
        began_s = at_s
        while not back.looked(well=True, at_s=at_s):
            at_s += 1
        waited.append(at_s - began_s)
        at_s += 10
    assert waited == [15, 30, 60, 120, 240, 480, 600, 600, 600]
    assert waited[-1] == WAIT_S_MAX
    back.left(at_s=at_s + KEPT_S_MIN)
    assert back.wait_s == WAIT_S


async def test_when_the_standby_fails_the_primary_is_in_use_at_once(bench: Bench) -> None:
    """As ever; the way back does not wait for anything then."""
    await bench.leave_primary()
    bench.standby.spoil = _silent
    await bench.run(LOOK_EVERY_S)
    assert await bench.in_use() == "primary"
    bench.standby.spoil = lambda _m, _p: None
    await bench.run(4 * WAIT_S)
    assert await bench.in_use() == "primary"
