"""A ledger is restored, and what the lost one had sent to a provider turns up, now or later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from tests.testing.rails_harness import RailVenue, rail_venue
from tests.testing.venue_harness import connected

USDX = 10**6
_OPEN = "select bool_and(p.generation = g.generation) from rail_providers p, generation_in_force g"
_TAKEN_OVER = """
    select exists (select 1 from rail_lines where unexplained and client_id like 'generation-%')"""


@pytest.fixture
async def venue(new_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[RailVenue]:
    async with rail_venue(new_database(), tmp_path) as made:
        yield made


@pytest.mark.nightly  # that two restored ledgers do not both pay stays
async def test_what_the_lost_ledger_had_sent_finds_its_id_used_up(
    venue: RailVenue, new_database: Callable[[], str], tmp_path: Path
) -> None:
    """It hangs on its way to the primary, while the restored ledger pays over the standby."""
    [withdrawal] = await venue.asked(USDX)
    await venue.keep(tmp_path / "ledger")
    venue.gates["primary"].since = "POST /payouts"
    await venue.gates["primary"].behave("late")
    worker = await venue.start()
    await venue.until("select exists (select 1 from rail_instructions)")
    late = await venue.gates["primary"].take()
    worker.kill()
    await worker.wait()
    await venue.gates["primary"].behave("passes")

    async with venue.restored(new_database(), tmp_path / "ledger") as restored:
        await restored.owner.execute(
            "insert into rail_log (rail, side, reason) values ('fiat', 'standby', 'test')"
        )
        await restored.start()
        await restored.resolved()
        assert set(await venue.gates["primary"].release(late)) == {410}
        assert restored.paid()["primary"] == []
        assert [client_id for client_id, *_ in restored.paid()["standby"]] == [f"{withdrawal}-2"]
        await restored.agrees()


@pytest.mark.nightly  # that two restored ledgers do not both pay stays
async def test_who_goes_on_by_the_lost_ledger_is_stopped(
    venue: RailVenue, new_database: Callable[[], str], tmp_path: Path
) -> None:
    """A process of a region that was cut off reads that another ledger goes on in its place."""
    await venue.heartbeat.silence()
    withdrawals = await venue.asked(*[USDX] * 3)
    await venue.keep(tmp_path / "ledger")
    await venue.start()

    async with venue.restored(new_database(), tmp_path / "ledger") as restored:
        await restored.heartbeat.silence()
        await restored.start()
        await restored.until(_OPEN)
        await venue.until(_TAKEN_OVER)
        await venue.heartbeat.resume()
        await venue.asked(2 * USDX)
        await asyncio.sleep(0.5)  # five polls
        assert set((await venue.states()).values()) == {"reserved"}
        assert not await venue.owner.fetchval("select rail_is_open('fiat')")

        await restored.heartbeat.resume()
        await restored.resolved()
        assert {client_id[:36] for client_id, *_ in restored.paid()["primary"]} == {
            str(each) for each in withdrawals
        }
        await restored.agrees()


async def test_two_restored_ledgers_do_not_both_pay(
    venue: RailVenue, new_database: Callable[[], str], tmp_path: Path
) -> None:
    """They count the same generation, and the one that opened it last goes on."""
    await venue.heartbeat.silence()
    await venue.asked(*[USDX] * 3)
    await venue.keep(tmp_path / "ledger")
    async with (
        venue.restored(new_database(), tmp_path / "ledger") as first,
        venue.restored(new_database(), tmp_path / "ledger") as second,
    ):
        await first.heartbeat.silence()
        await first.start()
        await first.until(_OPEN)
        await second.start()
        await second.resolved()
        await first.until(_TAKEN_OVER)
        await first.heartbeat.resume()
        await first.asked(USDX)
        await asyncio.sleep(0.5)  # five polls
        assert len(second.paid()["primary"]) == 3
        await second.agrees()


@pytest.mark.nightly  # two restored ledgers stay
async def test_what_the_standby_paid_is_explained_before_the_primary_is_heard(
    venue: RailVenue, new_database: Callable[[], str], tmp_path: Path
) -> None:
    """The lost ledger had moved it there, and the restored one still has it with the primary."""
    venue.gates["primary"].since = "POST /payouts"
    await venue.gates["primary"].behave("hangs")
    await venue.start()
    [withdrawal] = await venue.asked(USDX)
    await venue.until("select exists (select 1 from rail_instructions)")
    await venue.keep(tmp_path / "ledger")
    venue.gates["primary"].fails_only = "POST /payouts"
    await venue.gates["primary"].behave("passes")
    await venue.resolved()
    assert [client_id for client_id, *_ in venue.paid()["standby"]] == [f"{withdrawal}-2"]
    for worker in venue.workers:
        worker.kill()
        await worker.wait()

    await venue.gates["primary"].behave("hangs")
    async with venue.restored(new_database(), tmp_path / "ledger") as restored:
        await restored.start()
        await asyncio.sleep(1.5)  # two readings of what the standby has to say
        assert any(
            line.payout.client_id.startswith("generation-")
            for line in restored.providers["standby"].lines()
        )
        assert await restored.states() == {withdrawal: "instructed"}
        await venue.gates["primary"].behave("passes")
        await restored.resolved()
        assert len(restored.paid()["standby"]) == 1
        await restored.agrees()


async def test_no_role_pays_before_it_is_open(venue: RailVenue) -> None:
    """The database wants the lines that say so of every id which may be on its way."""
    [withdrawal] = await venue.asked(USDX)
    await venue.owner.execute("insert into generations (generation, reason) values (1, 'test')")
    mark = await venue.owner.fetchval("select mark from generation_in_force")
    line = """
        insert into rail_lines (rail, side, n, client_id, withdrawal_id, attempt, state,
                                unexplained, said_at)
        values ('fiat', $1, $2, $3, $4, $5, 'cancelled', false, now())"""
    opened = "update rail_providers set generation = 1 where side = $1"
    async with connected(venue.founded.database.rails) as rails:

        async def refused() -> None:
            for side in ("primary", "standby"):
                with pytest.raises(asyncpg.RaiseError, match="is not open"):
                    await rails.execute(opened, side)
            with pytest.raises(asyncpg.RaiseError, match="nothing is instructed over fiat"):
                await rails.execute(
                    """insert into rail_instructions (withdrawal_id, attempt, rail, side, asset,
                                                      amount, destination, mode_epoch, state)
                       select id, 2, 'fiat', 'standby', asset, amount, destination, 1, 'recorded'
                       from withdrawals"""
                )

        await refused()
        await rails.execute(line, "primary", 1, mark, None, None)
        await refused()
        await rails.execute(line, "standby", 1, mark, None, None)
        await refused()
        await rails.execute(line, "primary", 2, f"{withdrawal}-1", withdrawal, 1)
        await rails.execute(opened, "primary")
        with pytest.raises(asyncpg.RaiseError, match="is not open"):
            await rails.execute(opened, "standby")
        await rails.execute(line, "standby", 2, f"{withdrawal}-1", withdrawal, 1)
        await rails.execute(opened, "standby")
        assert await rails.fetchval("select rail_is_open('fiat')")
