"""A provider goes dark, however: the other one pays, and nothing is paid over both."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from adapters.reference_venue.records import export_records
from sandbox.counterparties.paying import PAYOUTS_FILE
from seawall.conventions.environment import SABOTAGE_VARIABLE
from seawall.conventions.sabotage import SABOTAGE_RAIL_FAILOVER
from seawall.scorecard.readers import SECOND
from seawall.scorecard.run import Run
from tests.testing.gate import Behaviour
from tests.testing.nightly import repetitions
from tests.testing.providers import ACCOUNT, Provider
from tests.testing.rails_harness import RailVenue, rail_venue

USDX = 10**6
_ON_STANDBY = "select side = 'standby' from rail_log order by id desc limit 1"


@pytest.fixture
async def venue(new_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[RailVenue]:
    async with rail_venue(new_database(), tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    "how", repetitions(["deaf", "hangs", "refuses", "fails", "nonsense"], keep=1)
)
async def test_the_standby_pays_while_the_primary_is_dark(
    venue: RailVenue, how: Behaviour, tmp_path: Path
) -> None:
    """What the primary may have waits for it; all else is paid, and nothing twice.

    A deaf primary has what it was sent: it pays that itself, as its statement says later.
    """
    await venue.start()
    await venue.asked(USDX)
    await venue.resolved()

    await venue.gates["primary"].behave(how)
    doubtful = await venue.asked(*[2 * USDX] * 3)
    await venue.until(_ON_STANDBY)
    later = await venue.asked(*[3 * USDX] * 20, customer=2)
    await venue.until(
        "select count(*) = 20 from withdrawals where state = 'posted' and amount = $1", 3 * USDX
    )
    assert {amount for _, amount, _ in venue.paid()["standby"]} >= {str(3 * USDX)}
    states = await venue.states()
    assert {states[each] for each in later} == {"posted"}
    assert {states[each] for each in doubtful} <= {"instructed", "posted"}

    await venue.gates["primary"].behave("passes")
    await venue.resolved()
    await venue.agrees()
    assert len(venue.paid()["primary"]) + len(venue.paid()["standby"]) == 24
    await _exported(venue, tmp_path)


async def _exported(venue: RailVenue, folder: Path) -> None:
    """The records' instructions are what the statements accepted, and each was read soon after."""
    urls = venue.founded.database
    await export_records(urls.auditor, urls.sign_log.auditor, into=folder / "records")
    stated = {
        (side, line.payout.client_id): line.at
        for side, provider in venue.providers.items()
        for line in provider.lines()
        if line.payout.state == "accepted"
    }
    recorded = {
        (row.side, row.client_id): row.accepted_at
        for row in Run(folder).instructions
        if row.accepted_at is not None
    }
    assert recorded.keys() == stated.keys()
    assert all((at or 0) >= stated[key] * SECOND for key, at in recorded.items())
    assert {row.withdrawal_id for row in Run(folder).instructions} == {
        str(each) for each in await venue.states()
    }


@pytest.mark.nightly  # the drill that it fails is run always
async def test_without_the_change_all_wait_for_the_dark_primary_and_are_paid_when_it_is_back(
    venue: RailVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control that a sandbox may switch off, so that a drill can be seen to fail."""
    monkeypatch.setenv(SABOTAGE_VARIABLE, SABOTAGE_RAIL_FAILOVER)
    await venue.start()
    await venue.asked(USDX)
    await venue.resolved()

    await venue.gates["primary"].behave("hangs")
    waiting = await venue.asked(*[2 * USDX] * 20)
    await asyncio.sleep(6)  # two failures take four
    assert await venue.owner.fetchval("select count(*) from rail_log") == 0
    states = await venue.states()
    assert "posted" not in {states[each] for each in waiting}
    assert venue.paid()["standby"] == []

    await venue.gates["primary"].behave("passes")
    await venue.resolved()
    await venue.agrees()
    assert len(venue.paid()["primary"]) == 21


@pytest.mark.nightly  # a provider that has accepted stays
async def test_an_instruction_that_comes_late_finds_its_id_used_up(venue: RailVenue) -> None:
    """It was sent to the primary, held up on the way, and paid by the standby meanwhile."""
    venue.gates["primary"].since = "POST /payouts"
    await venue.gates["primary"].behave("late")
    await venue.start()
    await venue.asked(USDX, 2 * USDX)
    await venue.until(_ON_STANDBY)
    sent = [each for each in venue.gates["primary"].seen if each == "POST /payouts"]
    assert sent
    held = (await venue.gates["primary"].take())[: len(sent)]
    await venue.gates["primary"].behave("passes")
    await venue.resolved()
    assert set(await venue.gates["primary"].release(held)) == {410}
    assert len(venue.paid()["standby"]) == 2
    await venue.agrees()


async def test_what_the_primary_had_accepted_stays_there(venue: RailVenue) -> None:
    """It comes back with it after the change, and the standby never gets it."""
    venue.gates["primary"].since = "POST /payouts"
    await venue.gates["primary"].behave("deaf")
    await venue.start()
    [withdrawal] = await venue.asked(USDX)
    await venue.until(_ON_STANDBY)
    assert (await venue.states())[withdrawal] == "instructed"
    assert len(venue.paid()["primary"]) == 1
    await venue.gates["primary"].behave("passes")
    await venue.resolved()
    assert [len(venue.paid()[side]) for side in ("primary", "standby")] == [1, 0]
    await venue.agrees()


@pytest.mark.nightly  # one that is dark stays
async def test_a_primary_that_only_fails_to_take_instructions_is_left_too(venue: RailVenue) -> None:
    """Its statement can be read, which takes back no failure while instructions are in doubt."""
    await venue.start()
    await venue.asked(USDX)
    await venue.resolved()
    venue.gates["primary"].fails_only = "POST /payouts"
    await venue.asked(*[2 * USDX] * 2)
    await venue.until(_ON_STANDBY)
    await venue.resolved()  # its cancellations are answered, so both change
    assert len(venue.paid()["standby"]) == 2
    await venue.agrees()


@pytest.mark.nightly  # one that is dark stays
async def test_a_primary_without_money_is_left_until_it_has_some(venue: RailVenue) -> None:
    """It answers all the time; what it refuses is paid over the standby."""
    primary = venue.providers["primary"]
    _holds(primary, 0)
    await venue.start()
    await venue.asked(USDX, 2 * USDX)
    await venue.until(_ON_STANDBY)
    await venue.resolved()
    assert [len(venue.paid()[side]) for side in ("primary", "standby")] == [0, 2]
    await asyncio.sleep(6)  # more than five readings, a second apart
    assert await venue.owner.fetchval(_ON_STANDBY)
    held = await venue.owner.fetchval("select available from rail_funds where side = 'primary'")
    _holds(primary, held)
    await venue.until("select side = 'primary' from rail_log order by id desc limit 1")
    await venue.agrees()


def _holds(provider: Provider, amount: int) -> None:
    """The provider holds so much for the venue; it advances nothing."""
    _write(provider, "update funds set available = ?", str(amount))


def _write(provider: Provider, statement: str, *values: object) -> None:
    """Change the book of a provider behind its back."""
    with closing(sqlite3.connect(provider.folder / PAYOUTS_FILE, timeout=30)) as book, book:
        book.execute(statement, values)


async def test_an_id_that_the_provider_has_used_otherwise_is_held(venue: RailVenue) -> None:
    """It is no failure of the provider, and nobody but people can say what it has paid."""
    [withdrawal] = await venue.asked(USDX)
    _write(
        venue.providers["primary"],
        "insert into payouts values (?, 'accepted', 'USDX', '7', ?, null, 1e12)",
        *(f"{withdrawal}-1", ACCOUNT),
    )
    await venue.start()
    await venue.until("select exists (select 1 from rail_instructions where state = 'disputed')")
    await venue.asked(2 * USDX, customer=2)
    await venue.until("select exists (select 1 from withdrawals where state = 'posted')")
    assert (await venue.states())[withdrawal] == "instructed"
    assert await venue.owner.fetch("select * from rail_log") == []


async def test_the_primary_gets_the_rail_back_after_a_while(venue: RailVenue) -> None:
    """After five readings in a row; a worker that is started meanwhile keeps to the standby."""
    await venue.gates["primary"].behave("refuses")
    first = await venue.start()
    await venue.until(_ON_STANDBY)
    first.kill()
    await first.wait()
    second = await venue.start()
    await venue.asked(USDX)
    await venue.resolved()
    assert len(venue.paid()["standby"]) == 1
    await venue.gates["primary"].behave("passes")
    await venue.until("select side = 'primary' from rail_log order by id desc limit 1")
    await venue.asked(USDX)
    await venue.resolved()
    assert [len(venue.paid()[side]) for side in ("primary", "standby")] == [1, 1]
    assert await venue.owner.fetchval("select count(*) from rail_log") == 2
    await venue.agrees()
    assert second.returncode is None


@pytest.mark.nightly  # one that is dark stays
async def test_both_dark_is_a_wait(venue: RailVenue) -> None:
    """Nothing is lost, and nothing is paid over both afterwards."""
    for gate in venue.gates.values():
        await gate.behave("hangs")
    await venue.start()
    await venue.asked(*[USDX] * 5)
    await venue.until(_ON_STANDBY)
    await asyncio.sleep(1)  # time for the standby to fail as well
    for gate in venue.gates.values():
        await gate.behave("passes")
    await venue.resolved()
    await venue.agrees()


@pytest.mark.nightly  # the worker that dies is the harder case
async def test_a_provider_that_dies_goes_on_where_it_was(venue: RailVenue) -> None:
    """Killed with what it has accepted, and started again."""
    await venue.start()
    await venue.asked(*[USDX] * 10)
    await venue.until("select exists (select 1 from rail_instructions where state <> 'recorded')")
    await asyncio.to_thread(venue.providers["primary"].kill)
    await venue.until(_ON_STANDBY)
    await asyncio.to_thread(venue.providers["primary"].start)
    await venue.asked(*[USDX] * 10, customer=2)
    await venue.resolved()
    await venue.agrees()
