"""What one customer may ask for is decided in the money transaction, however often it asks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from seawall.conventions import metrics
from seawall.conventions.components import API_PROCESS
from seawall.formats.drill_contract import (
    Credentials,
    Refusal,
    VenueClient,
    Withdrawal,
    WithdrawalReceipt,
    WithdrawalRequest,
)
from seawall.policy import Policy
from tests.testing.stepping_clock import install_stepping_clock, pass_time, set_clock
from tests.testing.venue_harness import HANGS_AFTER_S, Founded, connected, heartbeat, venue_process
from venue.api.directory import Directory
from venue.api.flusher import Flusher
from venue.api.intake import Reservation, reservation_of
from venue.database import Connection, Pool, open_pool

pytestmark = pytest.mark.integration
USDX = 10**6
WINDOW_MS = 600_000
"""Longer than any test takes; its end comes by :func:`pass_time`."""


def request_of(value: int, *, network: str = "aster", **fields: str) -> WithdrawalRequest:
    """A request for ``value`` whole USDX."""
    return WithdrawalRequest(
        id=uuid.uuid4(),
        network=network,
        asset="USDX",
        amount=str(value * USDX),
        destination="0x" + "ab" * 20,
        **fields,
    )


def who(number: int) -> Credentials:
    return Credentials(customer_id=str(number), credential=f"key-{number}")


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Two api workers with a connection each, and an observer who may lock what they need."""

    policy: Policy
    owner: Connection
    directory: Directory
    pools: tuple[Pool, Pool]
    flushers: tuple[Flusher, Flusher]

    async def ask(
        self, value: int, *, worker: int = 0, customer: int = 1, network: str = "aster"
    ) -> str:
        """What becomes of a request for ``value`` whole USDX: its size, or why it was refused."""
        reservation = await reservation_of(
            self.policy, self.directory, frozenset(), customer, request_of(value, network=network)
        )
        assert isinstance(reservation, Reservation)
        answer = await self.flushers[worker].submit(reservation)
        return answer.code if isinstance(answer, Refusal) else str(answer.size)

    async def waiting(self, count: int) -> None:
        """Until ``count`` transactions of this database wait for a lock."""
        query = """select count(*) from pg_stat_activity where datname = current_database()
            and wait_event_type = 'Lock'"""
        async with asyncio.timeout(HANGS_AFTER_S):
            while await self.owner.fetchval(query) < count:  # noqa: ASYNC110  (another server)
                await asyncio.sleep(0.002)


@asynccontextmanager
async def working(founded: Founded, policy: Policy) -> AsyncIterator[Workers]:
    """Two workers of a venue whose mode controller is alive."""
    async with connected(founded.database.owner) as owner, heartbeat(founded.database.owner):
        pools = (
            await open_pool(founded.database.api, name="api-1", size=1),
            await open_pool(founded.database.api, name="api-2", size=1),
        )
        directory = Directory(policy, pools[0])
        await directory.load()
        flushers = (Flusher(policy, pools[0]), Flusher(policy, pools[1]))
        tasks = [asyncio.create_task(flusher.work()) for flusher in flushers]
        try:
            yield Workers(
                policy=policy, owner=owner, directory=directory, pools=pools, flushers=flushers
            )
        finally:
            for task in tasks:
                task.cancel()
            for pool in pools:
                pool.terminate()


def within(policy: Policy, window_ms: int) -> Policy:
    """``policy`` with another window of the limits."""
    return policy.model_copy(
        update={"limits": policy.limits.model_copy(update={"window": window_ms})}
    )


async def test_two_workers_never_decide_about_one_customer_side_by_side(founded: Founded) -> None:
    """Of two requests from different accounts the second waits for the first, and is refused."""
    async with working(founded, founded.policy) as workers:
        async with connected(founded.database.owner) as third, third.transaction():
            await third.execute("lock table postings in exclusive mode")
            first = asyncio.create_task(workers.ask(60_000))
            await workers.waiting(1)
            second = asyncio.create_task(workers.ask(60_000, worker=1, network="birch"))
            other = asyncio.create_task(workers.ask(60_000, worker=0, customer=2, network="birch"))
            await workers.waiting(2)
        assert (await first, await second) == ("large", "value_limit_reached")
        assert await other == "large"


async def test_a_small_piece_of_a_large_sum_is_large_whichever_worker_takes_it(
    founded: Founded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the larger part was asked for on another network; after the window it is small."""
    async with connected(founded.database.owner) as owner:
        await install_stepping_clock(owner)
    async with working(founded, within(founded.policy, WINDOW_MS)) as workers:
        assert await workers.ask(600) == "small"
        assert await workers.ask(600, worker=1, network="birch") == "large"
        assert await workers.ask(600, customer=2) == "small"
        await pass_time(workers.owner, monkeypatch, seconds=WINDOW_MS / 1_000 + 1)
        assert await workers.ask(600) == "small"


@pytest.mark.parametrize("step_s", [3_600, -3_600])
async def test_a_step_of_the_clock_gives_nobody_more_room_and_takes_none(
    founded: Founded, step_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By neither worker, of which the second has not read the clock since before the step.

    When the window is over, by steady time, there is room again.
    """
    async with connected(founded.database.owner) as owner:
        await install_stepping_clock(owner)
    async with working(founded, within(founded.policy, WINDOW_MS)) as workers:
        assert await workers.ask(1, worker=1, customer=3) == "small"
        assert await workers.ask(60_000) == "large"
        await set_clock(workers.owner, ahead_s=step_s)
        for worker in (0, 1):
            assert await workers.ask(60_000, worker=worker) == "value_limit_reached"
            assert await workers.ask(40_000, worker=worker, customer=4 + worker) == "large"
            assert await workers.ask(60_001, worker=worker, customer=4 + worker) == (
                "value_limit_reached"
            )
        await pass_time(workers.owner, monkeypatch, seconds=WINDOW_MS / 1_000 + 1, ahead_s=step_s)
        assert await workers.ask(60_000, worker=1, network="birch") == "large"


async def test_one_customer_who_reserves_and_cancels_is_stopped_and_nobody_else(
    founded: Founded,
) -> None:
    """Each a thousand, as often as it goes: the limit is told, counted, and moves no money."""
    async with (
        heartbeat(founded.database.owner),
        venue_process("api", founded.config_path, founded.database),
        httpx.AsyncClient(base_url=founded.config.api_url, timeout=HANGS_AFTER_S) as http,
    ):
        api = VenueClient(http)
        before = await api.balances(who(1))

        async def reserve_and_cancel() -> None:
            request = request_of(1_000)
            assert isinstance(await api.withdraw(who(1), request), WithdrawalReceipt)
            assert isinstance(await api.cancel(who(1), request.id), Withdrawal)

        await asyncio.gather(*(reserve_and_cancel() for _ in range(100)))
        refused = await api.withdraw(who(1), request_of(1_000))
        assert isinstance(refused, Refusal)
        assert refused.code == "value_limit_reached"
        assert "cancelled ones included, and that is used up; there is room" in refused.reason
        served = await api.withdraw(who(2), request_of(1_000))
        assert isinstance(served, WithdrawalReceipt)
        assert await api.balances(who(1)) == before

        more = await asyncio.gather(*(api.withdraw(who(2), request_of(1)) for _ in range(119)))
        assert all(isinstance(each, WithdrawalReceipt) for each in more)
        often = await api.withdraw(who(2), request_of(1))
        assert isinstance(often, Refusal)
        assert often.code == "number_limit_reached"

        port = founded.config.metrics_ports[API_PROCESS]
        shown = (await http.get(f"http://127.0.0.1:{port}/metrics")).text.splitlines()
        for code in ("value_limit_reached", "number_limit_reached"):
            counted = f'{metrics.REQUESTS}{{operation="request_withdrawal",outcome="{code}"}} 1.0'
            assert counted in shown
