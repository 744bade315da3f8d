"""The treasury's process is killed on the way of a cold transfer: whoever starts moves it once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seawall.conventions import metrics
from seawall.conventions.environment import CUSTODY_CREDENTIAL_VARIABLE, DATABASE_VARIABLE
from tests.testing.custody_harness import CustodyVenue, custody_bench
from tests.testing.dying_process import Order
from tests.testing.nightly import repetitions
from tests.testing.venue_harness import HANGS_AFTER_S
from venue.crash_points import ColdStep, Moment

pytestmark = pytest.mark.integration

_POINTS: list[tuple[ColdStep, Moment, int]] = [
    ("record a cold transfer as sent", "after", 1),
    ("ask the custodian", "before", 2),
    ("ask the custodian", "after", 1),
    ("post a cold transfer", "before", 2),
    ("post a cold transfer", "after", 1),
]
"""Where it dies, and how often: what is done, or on record as done, is not done again."""


@pytest.fixture
async def bench(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[CustodyVenue]:
    """A venue and its custodian; the treasury is a process."""
    async with custody_bench(database_url, tmp_path, start_anvil) as found:
        yield found


@asynccontextmanager
async def treasury(bench: CustodyVenue, order: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The treasury's process, which dies where ``order`` says; killed with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.testing.dying_process", str(order)),
        *("venue.treasury", "--config", str(bench.config_path)),
        stdout=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            DATABASE_VARIABLE: bench.venue.database.treasury,
            CUSTODY_CREDENTIAL_VARIABLE: bench.custody.client,
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


@asynccontextmanager
async def custodian_works(bench: CustodyVenue) -> AsyncIterator[None]:
    """The custodian takes its turns for the length of the block."""

    async def work() -> None:
        while True:
            await bench.counterparty.turn("aster")
            await asyncio.sleep(0.2)

    working = asyncio.create_task(work())
    try:
        yield
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


@pytest.mark.parametrize(("step", "moment", "deaths"), repetitions(_POINTS, keep=1))
async def test_it_is_killed_and_the_money_comes_once(
    bench: CustodyVenue, tmp_path: Path, step: ColdStep, moment: Moment, deaths: int
) -> None:
    """Reconciliation goes on beside it, and takes nothing for money from outside."""
    order = tmp_path / "order.json"
    await bench.lower()
    async with custodian_works(bench):
        for death in range(deaths):
            Order(step=step, moment=moment).write(order)  # type: ignore[arg-type]
            async with treasury(bench, order) as process:
                await bench.venue.until("select exists (select 1 from cold_transfers)")
                if not death:
                    await bench.sign()
                async with asyncio.timeout(HANGS_AFTER_S):
                    assert await process.wait() == -9
        order.unlink()
        async with treasury(bench, order):
            async with asyncio.timeout(HANGS_AFTER_S):
                await _arrived(bench)
            place = {"network": "aster", "asset": "AST"}
            await bench.venue.until_served(0.0, metrics.COLD_AGE, **place)
            await bench.venue.until_served(0.0, metrics.COLD_HELD, **place)
    assert await bench.states() == ["arrived"]
    assert len(bench.counterparty.vault.statement(now_s=0).transfers) == 1
    found = await bench.compared()
    assert set(found.differences.values()) == {0}
    assert await bench.venue.owner.fetchval("select count(*) from surpluses") == 0
    assert await bench.venue.ledger_sum() == 0


async def _arrived(bench: CustodyVenue) -> None:
    """Wait until it has."""
    while await bench.states() != ["arrived"]:  # noqa: ASYNC110 - a database is polled
        await asyncio.sleep(0.1)
