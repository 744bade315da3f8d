"""The treasury reads each entry of the ledger once, and none is passed over, on a real database."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime

import asyncpg
import pytest

from tests.testing.venue_harness import HANGS_AFTER_S, Founded, connected
from venue.database import Connection, open_pool, reason_of
from venue.ledger.chart import books
from venue.treasury import settled
from venue.treasury.reconcile import ChainCut, compare
from venue.treasury.settled import NOTHING, Account, History, Settled, sums_between

pytestmark = pytest.mark.integration

_POST = """
    with posted as (insert into postings (kind) values ('fund') returning id)
    insert into entries (posting_id, account_id, amount)
    select p.id, a.id, case a.kind when 'hot' then $1::numeric else -$1::numeric end
    from posted p cross join accounts a
    where (a.bucket, a.network, a.asset) = ('customer', 'aster', 'AST')
      and a.kind in ('hot', 'unidentified')"""
_HIGHEST = "select max(id) from entries"


async def post(connection: Connection, amount: int) -> None:
    """Base units that come to a hot wallet and are owed to nobody known."""
    await connection.execute(_POST, amount)


async def until_settled(history: History, connection: Connection, up_to: int) -> Settled:
    """What is known once it reaches so far; another database's transactions may delay that."""
    async with asyncio.timeout(HANGS_AFTER_S):
        # a database is polled
        while (known := await history.settle(connection)).up_to < up_to:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return known


async def seen(connection: Connection, known: Settled) -> Counter[Account]:
    """The whole ledger: what is settled, and what is newer."""
    found = await sums_between(connection, known.up_to)
    found.update(known.sums)
    return found


async def test_settled_entries_and_newer_ones_are_the_whole_ledger(
    founded: Founded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each call, however many statements it took; and wallets compare as from the start."""
    monkeypatch.setattr(settled, "_CHUNK", 7)
    history = History()
    book = next(each for each in books(founded.policy) if each.key == ("aster", "customer"))
    cut = ChainCut(block=9, nonces={}, held={("customer-aster-hot", "AST"): 5})
    async with (
        connected(founded.database.owner) as owner,
        connected(founded.database.treasury) as treasury,
    ):
        for amount in range(1, 5):
            known = await history.settle(treasury)
            assert await seen(treasury, known) == await sums_between(owner, 0)
            assert await compare(treasury, book, cut, known) == await compare(owner, book, cut)
            await post(owner, amount)
        last = await until_settled(history, treasury, await owner.fetchval(_HIGHEST))
        assert last.sums == await sums_between(owner, 0)


async def test_an_entry_that_commits_late_is_not_passed_over(founded: Founded) -> None:
    """Its id is lower than one that was seen before it."""
    history = History()
    async with (
        connected(founded.database.owner) as slow,
        connected(founded.database.owner) as quick,
        connected(founded.database.treasury) as treasury,
    ):
        before = await quick.fetchval(_HIGHEST)
        late = slow.transaction()
        await late.start()
        await post(slow, 3)
        await post(quick, 5)
        for _ in range(3):
            known = await history.settle(treasury)
            assert known.up_to <= before
            assert await seen(treasury, known) == await sums_between(quick, 0)
        await late.commit()
        known = await until_settled(history, treasury, before + 4)
        assert await seen(treasury, known) == await sums_between(quick, 0)
        assert known.sums["customer", "aster", "AST", "unidentified"] == -8


async def test_what_was_known_does_not_outlive_the_server(founded: Founded) -> None:
    """A database that was restored may lack what was settled, and its server has started anew."""
    history = History()
    async with connected(founded.database.treasury) as treasury:
        highest = await treasury.fetchval(_HIGHEST)
        known = await until_settled(history, treasury, highest)
        history._server = (datetime(2000, 1, 1, tzinfo=UTC), 1)
        assert await history.settle(treasury) == NOTHING
        assert await until_settled(history, treasury, highest) == known


async def test_the_log_says_why_the_server_ended_a_session_and_the_next_one_works(
    founded: Founded,
) -> None:
    """Not only that the connection is closed."""
    pool = await open_pool(founded.database.treasury, name="treasury", size=1)
    try:
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as raised:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("select pg_terminate_backend(pg_backend_pid())")
        assert "terminating connection" in reason_of(raised.value)
        async with pool.acquire() as connection:
            assert await connection.fetchval("select 1") == 1
    finally:
        pool.terminate()
