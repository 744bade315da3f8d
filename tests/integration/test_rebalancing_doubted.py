"""Rebalancing of which endpoints show too little: each is asked, and not one other alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from seawall.ethereum.rpc import AsyncRpcClient
from tests.testing.lying_endpoints import lacks_events, says
from tests.testing.rebalancing_harness import MOVED, RebalancingVenue, rebalancing_bench
from tests.testing.settler_harness import until_final
from tests.testing.venue_harness import HANGS_AFTER_S
from venue.contracts.approvals import State

pytestmark = pytest.mark.integration


@pytest.fixture
async def bench(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[RebalancingVenue]:
    """A venue and the terms of its carrier; each process runs when a test says so."""
    async with rebalancing_bench(database_url, tmp_path, start_anvil) as found:
        yield found


@asynccontextmanager
async def _three_of(bench: RebalancingVenue, network: str) -> AsyncIterator[list[Any]]:
    """The treasury is started anew with three endpoints of the chain of ``network``; they."""
    url = bench.config.networks[network].rpc.primary
    async with AsyncRpcClient(network, (url,) * 3) as rpc:
        bench.rpcs = {**bench.rpcs, network: rpc}
        bench.start()
        yield list(rpc._endpoints)


async def test_what_the_third_endpoint_shows_has_arrived(bench: RebalancingVenue) -> None:
    """Two have a gap in their index for ever. The carrier says that it has paid, and it has."""
    async with bench.carrier():
        await bench.approved()
        await bench.leaving()
        await bench.become("paused")
        row = await bench.turns_until("released", left=True)
        await bench.become("normal")
        async with asyncio.timeout(HANGS_AFTER_S):
            while not await bench.paid(row):  # noqa: ASYNC110 - a chain is polled
                await asyncio.sleep(0.1)
        await until_final(bench.config.networks["birch"].rpc.primary)
        async with _three_of(bench, "birch") as (first, second, _):
            lacks_events(first, 1_000_000)
            lacks_events(second, 1_000_000)
            row = await bench.turns_until("arrived", "held")
            assert (row["state"], row["reason"]) == ("arrived", None)
            assert await bench.in_transit() == {"aster": MOVED, "birch": -MOVED}


async def test_what_has_left_by_the_third_endpoint_is_held(bench: RebalancingVenue) -> None:
    """An approver has vetoed it, and two say that its contract never paid the carrier."""
    async with bench.carrier():
        await bench.approved()
        await bench.sign("incident-commander", act="veto")
        async with _three_of(bench, "aster") as (_, _, third):
            says(third, "eth_call", f"0x{State.EXECUTED:064x}")
            row = await bench.turns_until("refused", "held")
    assert row["state"] == "held"
    assert "vetoed it; it has left by its contract" in row["reason"]
