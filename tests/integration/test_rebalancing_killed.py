"""The treasury's process is killed on the way of a rebalance: whoever starts moves it once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seawall.conventions import metrics
from seawall.conventions.environment import CARRIER_CREDENTIAL_VARIABLE, DATABASE_VARIABLE
from tests.testing.dying_process import Order
from tests.testing.nightly import repetitions
from tests.testing.rebalancing_harness import MOVED, RebalancingVenue, rebalancing_bench
from tests.testing.venue_harness import HANGS_AFTER_S
from venue.crash_points import Moment, RebalanceStep

pytestmark = pytest.mark.integration

_POINTS: list[tuple[RebalanceStep, Moment, int]] = [
    ("ask the carrier", "after", 2),
    ("ask for a rebalance", "before", 1),
    ("ask for a rebalance", "after", 2),
    ("ask the carrier", "before", 1),
    ("release a rebalance", "before", 1),
    ("release a rebalance", "after", 1),
    ("post a rebalance", "before", 2),
    ("post a rebalance", "after", 1),
]
"""Where it dies, and how often: what is done, or on record as done, is not done again."""


@pytest.fixture
async def bench(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[RebalancingVenue]:
    """A venue and its exchange; treasury, settler and carrier are processes."""
    async with rebalancing_bench(database_url, tmp_path, start_anvil) as found:
        yield found


@asynccontextmanager
async def treasury(
    bench: RebalancingVenue, order: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The treasury's process, which dies where ``order`` says; killed with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.testing.dying_process", str(order)),
        *("venue.treasury", "--config", str(bench.config_path)),
        stdout=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            DATABASE_VARIABLE: bench.venue.database.treasury,
            CARRIER_CREDENTIAL_VARIABLE: "the venue",
        },
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(HANGS_AFTER_S):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize(("step", "moment", "deaths"), repetitions(_POINTS, keep=1))
async def test_it_is_killed_and_the_money_comes_once(
    bench: RebalancingVenue, tmp_path: Path, step: RebalanceStep, moment: Moment, deaths: int
) -> None:
    """Reconciliation goes on beside it, and takes nothing for money from outside."""
    order = tmp_path / "order.json"
    await bench.unbalance()
    await bench.venue.settler("aster")
    signed = False

    async def sign() -> None:
        nonlocal signed
        await bench.venue.until("select exists (select 1 from rebalances)")
        if not signed:
            signed = True
            await bench.sign()
            await bench.cooled()

    early = step == "ask for a rebalance"
    async with bench.carrier():
        for _ in range(deaths):
            Order(step=step, moment=moment).write(order)  # type: ignore[arg-type]
            async with treasury(bench, order) as process:
                if not early:
                    await sign()
                async with asyncio.timeout(HANGS_AFTER_S):
                    assert await process.wait() == -9
            if early and moment == "after":
                break  # it is asked for once
        order.unlink()
        async with treasury(bench, order):
            await sign()
            await bench.venue.until(
                "select exists (select 1 from rebalances where state = 'arrived')"
            )
            await bench.venue.until_served(0.0, metrics.IN_TRANSIT, asset="USDX")
            await bench.venue.until_served(0.0, metrics.REBALANCE_HELD, asset="USDX")
    [row] = await bench.rows()
    assert (row["state"], row["amount"]) == ("arrived", MOVED)
    assert await bench.broken(settled=True) == []
    assert await bench.in_transit() == {"aster": MOVED, "birch": -MOVED}
    for network in ("aster", "birch"):
        assert set((await bench.compared(network)).differences.values()) == {0}
    assert await bench.venue.owner.fetchval("select count(*) from surpluses") == 0
    assert await bench.venue.ledger_sum() == 0
