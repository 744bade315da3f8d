"""A request that is sent twice at once: the second is a replay of the first, whatever it waits for.

Each balance covers the request once, so that a second that missed the first looks like an
overdraft.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from seawall.formats.drill_contract import (
    SwapReceipt,
    SwapRequest,
    WithdrawalReceipt,
    WithdrawalRequest,
)
from tests.testing.venue_harness import HANGS_AFTER_S, Founded, connected, heartbeat
from venue.api.directory import Directory
from venue.api.flusher import Flusher
from venue.api.intake import Reservation, reservation_of
from venue.api.swaps import Trade, commit_swap
from venue.database import Connection, Pool, open_pool

pytestmark = pytest.mark.integration
AMOUNT = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Two api workers with a connection each, and an observer who may lock what they need."""

    founded: Founded
    owner: Connection
    directory: Directory
    pools: tuple[Pool, Pool]

    @asynccontextmanager
    async def uncommitted(self) -> AsyncIterator[None]:
        """Whatever reserves or swaps in this block has its locks, and commits after the block."""
        async with connected(self.founded.database.owner) as third, third.transaction():
            await third.execute("lock table postings in exclusive mode")
            yield

    async def waiting(self, count: int) -> None:
        """Until ``count`` transactions of this database wait for a lock."""
        query = """select count(*) from pg_stat_activity where datname = current_database()
            and wait_event_type = 'Lock'"""
        async with asyncio.timeout(HANGS_AFTER_S):
            while await self.owner.fetchval(query) < count:  # noqa: ASYNC110  (another server)
                await asyncio.sleep(0.002)

    async def has_left(self, asset: str, amount: int) -> int:
        """Let customer 1 have ``amount`` of ``asset`` on aster; the account's id."""
        account = (await self.directory.accounts_of(1))["aster", asset]
        await self.owner.execute(
            "update balances set available = $2 where account_id = $1", account, amount
        )
        return account


@pytest.fixture
async def workers(founded: Founded) -> AsyncIterator[Workers]:
    """A founded venue whose mode controller is alive."""
    async with connected(founded.database.owner) as owner, heartbeat(founded.database.owner):
        pools = (
            await open_pool(founded.database.api, name="api-1", size=1),
            await open_pool(founded.database.api, name="api-2", size=1),
        )
        directory = Directory(founded.policy, pools[0])
        await directory.load()
        yield Workers(founded=founded, owner=owner, directory=directory, pools=pools)
        for pool in pools:
            pool.terminate()


async def test_a_withdrawal_that_waits_for_its_first_commit_is_a_replay(workers: Workers) -> None:
    """The second worker waits for the balance that the first has taken and not yet committed."""
    await workers.has_left("USDX", AMOUNT)
    request = WithdrawalRequest(
        id=uuid.uuid4(),
        network="aster",
        asset="USDX",
        amount=str(AMOUNT),
        destination="0x" + "ab" * 20,
    )
    policy = workers.founded.policy
    ask = await reservation_of(policy, workers.directory, frozenset(), 1, request)
    assert isinstance(ask, Reservation)
    flushers = [Flusher(policy, pool) for pool in workers.pools]
    working = [asyncio.create_task(flusher.work()) for flusher in flushers]
    async with workers.uncommitted():
        first = asyncio.create_task(flushers[0].submit(ask))
        await workers.waiting(1)
        second = asyncio.create_task(flushers[1].submit(ask))
        await workers.waiting(2)
    accepted, replayed = await first, await second
    assert isinstance(accepted, WithdrawalReceipt)
    assert accepted.outcome == "accepted"
    assert replayed == accepted.model_copy(update={"outcome": "replayed"})
    for task in working:
        task.cancel()


async def test_a_swap_that_waits_for_its_first_commit_is_a_replay(workers: Workers) -> None:
    """The same, at a price that has changed in between: the first one's price holds."""
    sells = await workers.has_left("USDX", AMOUNT)
    request = SwapRequest(
        id=uuid.uuid4(), network="aster", sell="USDX", buy="AST", amount=str(AMOUNT)
    )
    selling, buying = (workers.directory.house("aster", asset) for asset in ("USDX", "AST"))
    assert selling is not None
    assert selling.house is not None
    assert selling.inventory is not None
    assert buying is not None
    assert buying.inventory is not None
    trade = Trade(
        request=request,
        customer_id=1,
        sell_amount=AMOUNT,
        buy_amount=1_000,
        bucket=selling.bucket,
        house=selling.house,
        customer_sell=sells,
        customer_buy=(await workers.directory.accounts_of(1))["aster", "AST"],
        house_sell=selling.inventory,
        house_buy=buying.inventory,
    )

    async def swap(worker: int, buy_amount: int) -> object:
        async with workers.pools[worker].acquire() as connection:
            return await commit_swap(
                connection, workers.founded.policy, replace(trade, buy_amount=buy_amount)
            )

    async with workers.uncommitted():
        first = asyncio.create_task(swap(0, 1_000))
        await workers.waiting(1)
        second = asyncio.create_task(swap(1, 2_000))
        await workers.waiting(2)
    assert [await first, await second] == [SwapReceipt(id=request.id, buy_amount="1000")] * 2
