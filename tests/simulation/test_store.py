"""The simulated store by itself: isolation, locks, commits whose answers are lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg
import pytest

from tests.simulation.loop import VirtualLoop, nap
from tests.simulation.processes import KilledError, Life, running
from tests.simulation.store import HANDLERS, Database, Row, Transaction, statement
from tests.simulation.trace import Trace
from tests.simulation.weather import Weather

RAISE, READ = "raise the test row", "read the test row"


@statement(RAISE)
async def _raise(tx: Transaction) -> list[Row]:
    row = await tx.take("mode", "only")
    assert row is not None
    tx.put("mode", "only", row | {"epoch": row["epoch"] + 1})
    return []


@statement(READ)
async def _read(tx: Transaction) -> list[Row]:
    row = tx.get("mode", "only")
    assert row is not None
    return [Row(epoch=row["epoch"])]


def in_virtual_time(
    main: Callable[[Database], Coroutine[Any, Any, Any]], **weather: Any
) -> tuple[Any, Database]:
    """What ``main`` gives, and the store after it."""
    loop = VirtualLoop()
    database = Database(
        trace=Trace(now=loop.time),
        weather=Weather(draw=lambda: 0.4, **weather),
        clock=loop.time,
        rules={},
        committed=lambda _tx, _changes: None,
    )
    database.tables["mode"]["only"] = {"epoch": 1}
    return loop.run(main(database)), database


def test_what_is_not_committed_is_seen_by_its_own_transaction_alone() -> None:
    async def main(database: Database) -> tuple[int, int]:
        async with database.pool().acquire() as one, one.transaction():
            await one.execute(RAISE)
            return await one.fetchval(READ), await database.pool().fetchval(READ)

    assert in_virtual_time(main)[0] == (2, 1)


def test_whoever_waits_for_a_row_then_sees_its_newest_version() -> None:
    async def raise_slowly(database: Database) -> None:
        async with database.pool().acquire() as one, one.transaction():
            await one.execute(RAISE)
            await nap(0.5)

    async def main(database: Database) -> None:
        await asyncio.gather(*(raise_slowly(database) for _ in range(3)))

    _, database = in_virtual_time(main)
    assert database.tables["mode"]["only"]["epoch"] == 4


def test_a_transaction_that_fails_leaves_nothing_and_frees_its_rows() -> None:
    async def main(database: Database) -> None:
        with contextlib.suppress(ZeroDivisionError):
            async with database.pool().acquire() as one, one.transaction():
                await one.execute(RAISE)
                raise ZeroDivisionError
        await database.pool().execute(RAISE)

    _, database = in_virtual_time(main)
    assert database.tables["mode"]["only"]["epoch"] == 2
    assert database.locks == {}


def test_a_block_within_a_transaction_is_undone_alone_and_frees_what_it_has_locked() -> None:
    async def raise_it(database: Database, seen: list[int]) -> None:
        await database.pool().execute(RAISE)
        seen.append(database.tables["mode"]["only"]["epoch"])

    async def main(database: Database) -> list[int]:
        seen: list[int] = []
        async with database.pool().acquire() as one, one.transaction():
            with contextlib.suppress(ZeroDivisionError):
                async with one.transaction():
                    await one.execute(RAISE)
                    raise ZeroDivisionError
            seen.append(await one.fetchval(READ))
            await raise_it(database, seen)
            async with one.transaction():
                await one.execute(RAISE)
            seen.append(await one.fetchval(READ))
        return seen

    seen, database = in_virtual_time(main)
    assert seen == [1, 2, 3]
    assert database.tables["mode"]["only"]["epoch"] == 3
    assert database.locks == {}


@pytest.mark.parametrize(("fault", "epoch"), [("commit_lost", 1), ("answer_lost", 2)])
def test_a_commit_is_lost_before_it_happens_or_after_and_the_client_cannot_tell(
    fault: str, epoch: int
) -> None:
    async def main(database: Database) -> None:
        with pytest.raises(asyncpg.PostgresConnectionError):
            async with database.pool().acquire() as one, one.transaction():
                await one.execute(RAISE)

    _, database = in_virtual_time(main, **{fault: 1.0})
    assert database.tables["mode"]["only"]["epoch"] == epoch


def test_a_killed_client_gets_nothing_through_any_more_and_its_session_ends() -> None:
    async def main(database: Database) -> None:
        life = Life(process="settler", number=1)
        running.set(life)
        async with database.pool().acquire() as one:
            one.begin()
            await one.execute(RAISE)
            life.kill()
            with pytest.raises(KilledError):
                await one.finish(commit=True)
        running.set(None)
        await database.pool().execute(RAISE)

    _, database = in_virtual_time(main)
    assert database.tables["mode"]["only"]["epoch"] == 2


def test_the_server_ends_the_session_of_a_client_that_freezes_within_a_transaction() -> None:
    async def main(database: Database) -> None:
        life = Life(process="settler", number=1)
        running.set(life)
        async with database.pool().acquire() as one:
            one.begin()
            await one.execute(RAISE)
            life.freeze(3)
            running.set(None)
            await database.pool().execute(RAISE)
            assert database.clock() < 2
            running.set(life)
            with pytest.raises(asyncpg.PostgresConnectionError):
                await one.execute(RAISE)
            assert database.clock() >= 3

    _, database = in_virtual_time(main)
    assert database.tables["mode"]["only"]["epoch"] == 2


def test_a_statement_that_nobody_simulates_is_an_error_and_never_does_nothing() -> None:
    async def main(database: Database) -> None:
        await database.pool().execute("select pi()")

    with pytest.raises(NotImplementedError, match=r"^no handler simulates .*pi\(\)$"):
        in_virtual_time(main)


def test_one_statement_has_one_handler() -> None:
    with pytest.raises(ValueError, match=r"^two handlers"):
        statement(READ)(_raise)
    assert HANDLERS[READ] is _read
