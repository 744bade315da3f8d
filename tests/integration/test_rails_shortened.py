"""A provider loses what its statement said, or never settles: people are told, nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import Gauge

from sandbox.counterparties.paying import PAYOUTS_FILE
from seawall.conventions.environment import SABOTAGE_VARIABLE
from seawall.conventions.sabotage import SABOTAGE_RAIL_FAILOVER
from seawall.formats.payout_rail import Instruction
from tests.testing.providers import ACCOUNT, PAYER
from tests.testing.rails_harness import RailVenue, rail_venue
from tests.testing.venue_harness import HANGS_AFTER_S
from venue.clock import monotonic_us
from venue.database import Pool, open_pool
from venue.rails import metrics
from venue.rails.claims import RailClaims
from venue.rails.provider import Provider
from venue.rails.routing import Routing
from venue.rails.worker import RailWorker

USDX = 10**6
_DAY_S = 86_400


@pytest.fixture
async def venue(new_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[RailVenue]:
    async with rail_venue(new_database(), tmp_path) as made:
        yield made


@pytest.fixture
async def pool(venue: RailVenue) -> AsyncIterator[Pool]:
    """Of who pays over rails."""
    opened = await open_pool(venue.founded.database.rails, name="rails", size=6)
    yield opened
    opened.terminate()


@asynccontextmanager
async def _worker(venue: RailVenue, pool: Pool) -> AsyncIterator[None]:
    """Who pays over the rail, in this process, so that its gauges can be read."""
    metrics.initialise(venue.rail)
    async with httpx.AsyncClient(trust_env=False) as client:
        providers = {
            side: Provider(
                rail=venue.rail,
                side=side,
                url=gate.url,
                credential=PAYER,
                client=client,
                tell=lambda *_: None,
            )
            for side, gate in venue.gates.items()
        }
        routing = Routing(pool=pool, rail=venue.rail, now_us=monotonic_us)
        worker = RailWorker(
            pool=pool,
            policy=venue.founded.policy,
            rail=venue.rail,
            providers=providers,
            routing=routing,
        )
        stop = asyncio.Event()
        working = asyncio.create_task(worker.work(stop))
        try:
            yield
        finally:
            stop.set()
            await working


async def _until(true: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(HANGS_AFTER_S):
        while not await true():  # noqa: ASYNC110 - a database, or a gauge, is polled
            await asyncio.sleep(0.05)


async def _until_posted(venue: RailVenue, count: int) -> None:
    query = "select count(*) = $1 from withdrawals where state = 'posted'"
    await _until(lambda: venue.owner.fetchval(query, count))


async def _until_shown(gauge: Gauge, value: float, side: str = "primary") -> None:
    async def shown() -> bool:
        return bool(gauge.labels("fiat", side)._value.get() == value)

    await _until(shown)


def _changed(venue: RailVenue, *statements: tuple[str, tuple[Any, ...]]) -> list[Any]:
    """What the primary's file answers to each of ``statements``; it is started anew."""
    primary = venue.providers["primary"]
    primary.kill()
    with closing(sqlite3.connect(primary.folder / PAYOUTS_FILE)) as file, file:
        found = [file.execute(*each).fetchall() for each in statements]
    primary.start()
    return found


_LOSE = ("delete from lines where n > 3 returning *", ())
_LAST_OF_ONE = "GET /statement?after=1"
"""What looks for the last line of one payout: it was accepted, and settled."""
_COUNT = ("select count(*) from payouts", ())


async def test_a_statement_that_got_shorter_ends_what_is_asked_of_its_provider(
    venue: RailVenue, pool: Pool
) -> None:
    """It may have forgotten that it has paid. The standby pays, until the lines are there again."""
    async with _worker(venue, pool):
        await venue.asked(USDX, 2 * USDX)
        await _until_posted(venue, 2)
    [lost] = await asyncio.to_thread(_changed, venue, _LOSE)
    assert len(lost) == 1
    await venue.asked(3 * USDX)
    claims = RailClaims(pool=pool, policy=venue.founded.policy, rail="fiat")
    assert await claims.claim("primary", limit=1) == 1

    async with _worker(venue, pool):
        await _until_shown(metrics.SHORTENED, 1)
        await _until_shown(metrics.IN_FORCE, 1, "standby")
        await venue.asked(4 * USDX, customer=2)
        await _until_posted(venue, 3)
        back = [("insert into lines values (?, ?, ?, ?, ?)", each) for each in lost]
        [[[payouts]], *_] = await asyncio.to_thread(_changed, venue, _COUNT, *back)
        assert payouts == 2
        await _until_posted(venue, 4)
        await _until_shown(metrics.SHORTENED, 0)
    await venue.agrees()


async def test_a_provider_is_asked_for_nothing_before_its_statement_is_heard(
    venue: RailVenue, pool: Pool
) -> None:
    """It had paid the second one, was restored from before the first, and does not say so yet."""
    async with _worker(venue, pool):
        await venue.asked(USDX)
        await _until_posted(venue, 1)
    await asyncio.to_thread(_changed, venue, ("delete from lines", ()), ("delete from payouts", ()))
    await venue.asked(2 * USDX)
    claims = RailClaims(pool=pool, policy=venue.founded.policy, rail="fiat")
    assert await claims.claim("primary", limit=1) == 1
    gate = venue.gates["primary"]
    gate.fails_only = _LAST_OF_ONE

    async with _worker(venue, pool):
        await _until_shown(metrics.IN_FORCE, 1, "standby")
        await venue.asked(3 * USDX, customer=2)
        await _until_posted(venue, 2)
        gate.fails_only = None
        await _until_shown(metrics.SHORTENED, 1)
    [[[payouts]]] = await asyncio.to_thread(_changed, venue, _COUNT)
    assert payouts == 0


async def test_after_a_silence_its_statement_is_heard_before_it_is_asked_again(
    venue: RailVenue, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been restored meanwhile."""
    monkeypatch.setenv(SABOTAGE_VARIABLE, SABOTAGE_RAIL_FAILOVER)
    gate = venue.gates["primary"]
    gate.fails_only = "POST /payouts"
    await venue.asked(USDX)
    async with _worker(venue, pool):

        async def tried() -> bool:
            return gate.seen.count("POST /payouts") >= 6

        await _until(tried)
    first, *rounds = " ".join(gate.seen).split("POST /payouts")
    assert all("GET /statement" in each for each in (first, *rounds[:-1]))


async def test_another_worker_of_the_process_takes_the_alarm_back(
    venue: RailVenue, pool: Pool
) -> None:
    """The one before it ended while a statement was short, and its gauge is the process's."""
    gate = venue.gates["primary"]
    gate.fails_only = "GET /statement?after=0"
    metrics.SHORTENED.labels("fiat", "primary").set(1)
    async with _worker(venue, pool):

        async def silent() -> bool:
            return gate.seen.count(str(gate.fails_only)) >= 2

        await _until(silent)
        gate.fails_only = None
        await _until_shown(metrics.SHORTENED, 0)


async def test_lines_in_place_of_lost_ones_are_noticed(venue: RailVenue, pool: Pool) -> None:
    """It has as many lines as before, and more; those that follow are not applied."""
    async with _worker(venue, pool):
        await venue.asked(USDX)
        await _until_posted(venue, 1)
        await asyncio.to_thread(_changed, venue, ("delete from lines", ()))
        for number in range(3):
            other = Instruction(
                client_id=f"other-{number}", asset="USDX", amount="5", destination=ACCOUNT
            )
            await asyncio.to_thread(venue.providers["primary"].submit, other)
        await _until_shown(metrics.SHORTENED, 1)
        assert await venue.owner.fetchval("select max(n) from rail_lines") == 2


async def test_a_payout_that_is_accepted_and_never_settles_is_shown(
    venue: RailVenue, pool: Pool
) -> None:
    """From when it was instructed until it is settled."""
    primary = venue.providers["primary"]
    primary.kill()
    primary.settles_after_s = _DAY_S
    await asyncio.to_thread(primary.start)
    async with _worker(venue, pool):
        await venue.asked(USDX)
        accepted = "select exists (select 1 from rail_instructions where state = 'accepted')"
        await _until(lambda: venue.owner.fetchval(accepted))
        await venue.owner.execute(
            "update rail_instructions set recorded_at = recorded_at - interval '5 days'"
        )

        async def late() -> bool:
            return bool(metrics.SETTLE_AGE.labels("fiat", "primary")._value.get() > 5 * _DAY_S)

        await _until(late)
        assert metrics.SETTLE_AGE.labels("fiat", "standby")._value.get() == 0
        await asyncio.to_thread(_changed, venue, ("update payouts set due_at = 0", ()))
        await _until_posted(venue, 1)
        await _until_shown(metrics.SETTLE_AGE, 0)
