"""Claims and flips, step by step: which reads of the mode let a claim commit under an old epoch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from seawall.conventions.database import MODE_LOCK
from tests.testing.venue_harness import HANGS_AFTER_S, Founded, connected
from venue.database import Connection

pytestmark = pytest.mark.integration

Reading = Callable[[Connection], Awaitable[int]]


async def _own_statement(connection: Connection) -> int:
    """The variant in use: share the lock first, read in a later statement."""
    await connection.execute("select pg_advisory_xact_lock_shared($1)", MODE_LOCK)
    return int(await connection.fetchval("select epoch from mode"))


async def _one_statement(connection: Connection) -> int:
    """Lock and read in one statement: its snapshot is older than its lock."""
    query = (
        "with locked as materialized (select pg_advisory_xact_lock_shared($1)) select epoch "
        "from locked, mode"
    )
    return int(await connection.fetchval(query, MODE_LOCK))


async def _plain(connection: Connection) -> int:
    """No lock at all."""
    return int(await connection.fetchval("select epoch from mode"))


async def _claim(
    connection: Connection, reading: Reading, read: asyncio.Event, go_on: asyncio.Event
) -> int:
    """A claim as settlers and intake make it.

    The row that it inserts has the epoch that it read.
    """
    async with connection.transaction():
        epoch = await reading(connection)
        read.set()
        await go_on.wait()
        await connection.execute(
            "insert into flow (kind, network, asset, size, count, value_micro) "
            "values ('reserved', 'aster', 'AST', 'small', $1, 0)",
            epoch,
        )
    return epoch


async def _waits_for_lock(observer: Connection, pid: int) -> None:
    query = "select exists (select from pg_locks where pid = $1 and not granted)"
    while not await observer.fetchval(query, pid):  # noqa: ASYNC110 - another server process
        await asyncio.sleep(0.002)


async def _flip_then_claim(founded: Founded, reading: Reading) -> tuple[int, int]:
    """A claim that begins while a flip holds the lock and has not committed.

    (epoch claimed under, epoch in force at its commit).
    """
    database = founded.database
    async with (
        connected(database.mode_controller) as mode_controller,
        connected(database.api) as claimant,
        connected(database.owner) as observer,
    ):
        flip = mode_controller.transaction()
        await flip.start()
        await mode_controller.execute("select pg_advisory_xact_lock($1)", MODE_LOCK)
        await mode_controller.execute("update mode set epoch = epoch + 1")
        read, go_on = asyncio.Event(), asyncio.Event()
        pid = claimant.get_server_pid()
        claim = asyncio.create_task(_claim(claimant, reading, read, go_on))
        waiting = asyncio.create_task(_waits_for_lock(observer, pid))
        reading_done = asyncio.create_task(read.wait())
        await asyncio.wait((waiting, reading_done), return_when=asyncio.FIRST_COMPLETED, timeout=5)
        for task in (waiting, reading_done):
            task.cancel()
        await asyncio.gather(waiting, reading_done, return_exceptions=True)
        await flip.commit()
        go_on.set()
        claimed = await claim
        return claimed, await observer.fetchval("select epoch from mode")


async def test_the_variant_in_use_never_claims_under_an_old_epoch(founded: Founded) -> None:
    """A claim that meets a flip waits for it and reads the new epoch."""
    claimed, in_force = await _flip_then_claim(founded, _own_statement)
    assert claimed == in_force == 2


@pytest.mark.parametrize("reading", [_one_statement, _plain])
async def test_other_variants_do_claim_under_an_old_epoch(
    founded: Founded, reading: Reading
) -> None:
    """The test above can fail.

    These readings let the claim commit after the flip under the epoch before it.
    """
    claimed, in_force = await _flip_then_claim(founded, reading)
    assert (claimed, in_force) == (1, 2)


async def test_a_flip_waits_for_claims_in_flight(founded: Founded) -> None:
    """The flip commits after the claim, whose epoch was in force when it committed."""
    database = founded.database
    async with (
        connected(database.mode_controller) as mode_controller,
        connected(database.api) as claimant,
        connected(database.owner) as observer,
    ):
        read, go_on = asyncio.Event(), asyncio.Event()
        claim = asyncio.create_task(_claim(claimant, _own_statement, read, go_on))
        await read.wait()

        async def flip() -> None:
            async with mode_controller.transaction():
                await mode_controller.execute("select pg_advisory_xact_lock($1)", MODE_LOCK)
                await mode_controller.execute("update mode set epoch = epoch + 1")

        flipping = asyncio.create_task(flip())
        async with asyncio.timeout(HANGS_AFTER_S):
            await _waits_for_lock(observer, mode_controller.get_server_pid())
        assert await observer.fetchval("select epoch from mode") == 1
        go_on.set()
        assert await claim == 1
        await flipping
        assert await observer.fetchval("select epoch from mode") == 2
