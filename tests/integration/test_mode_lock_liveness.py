"""Whoever holds the mode lock and stands still, or is cut off, stops nobody for long.

The client that stands still is a real process under SIGSTOP in the middle of a money transaction.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from seawall.controls.heartbeat import STALE_AFTER_MS
from seawall.conventions.database import MODE_LOCK
from tests.testing.venue_harness import (
    HANGS_AFTER_S,
    Founded,
    commit_flow,
    connected,
    venue_process,
)
from venue.database import IDLE_IN_TRANSACTION_MS_MAX, connect, open_pool

pytestmark = pytest.mark.integration

_HOLDS_THE_LOCK = f"""
import asyncio, sys
from venue.database import connect

async def main():
    connection = await connect(sys.argv[1], name="frozen")
    await connection.execute("begin; select pg_advisory_xact_lock_shared({MODE_LOCK})")
    print("holds", flush=True)
    while True:
        await connection.execute("select 1")
        await asyncio.sleep(0.01)

asyncio.run(main())
"""


@asynccontextmanager
async def _holder(url: str) -> AsyncIterator[int]:
    """A client in a transaction that shares the mode lock; its process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HOLDS_THE_LOCK, url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(HANGS_AFTER_S):
            assert await process.stdout.readline() == b"holds\n"
        yield process.pid
    finally:
        process.kill()
        await process.wait()


async def test_a_frozen_client_delays_a_flip_and_nobody_else(founded: Founded) -> None:
    """The mode controller ends the session that keeps it waiting; its heartbeat goes on."""
    async with (
        connected(founded.database.api) as api,
        connected(founded.database.owner) as observer,
        venue_process("mode_controller", founded.config_path, founded.database),
        _holder(founded.database.api) as frozen,
    ):
        os.kill(frozen, signal.SIGSTOP)
        began = time.monotonic()
        await commit_flow(api, founded.policy.hot_target_value_micro())
        oldest_ms = waited_s = 0.0
        async with asyncio.timeout(HANGS_AFTER_S):
            while await observer.fetchval("select tier from mode") != "protected":
                asked = time.monotonic()
                async with api.transaction():  # as every claim and every reservation begins
                    await api.execute("select pg_advisory_xact_lock_shared($1)", MODE_LOCK)
                waited_s = max(waited_s, time.monotonic() - asked)
                oldest_ms = max(
                    oldest_ms,
                    await observer.fetchval(
                        "select extract(epoch from clock_timestamp() - renewed_at)::float8 * 1000 "
                        "from mode_controller_lease"
                    ),
                )
                await asyncio.sleep(0.01)
        # Far below the second that the sandbox's policy promises, and below the end that the
        # server would put to the frozen client's transaction by itself.
        assert time.monotonic() - began < IDLE_IN_TRANSACTION_MS_MAX / 1_000
        assert waited_s < IDLE_IN_TRANSACTION_MS_MAX / 1_000
        assert oldest_ms < STALE_AFTER_MS
        assert not await observer.fetchval(
            "select exists (select from pg_stat_activity where application_name = 'frozen')"
        )


async def test_without_a_mode_controller_the_server_ends_a_frozen_transaction(
    founded: Founded,
) -> None:
    """A frozen holder of any lock, also of rows: the server itself lets go."""
    async with (
        connected(founded.database.owner) as observer,
        _holder(founded.database.api) as frozen,
    ):
        os.kill(frozen, signal.SIGSTOP)
        async with asyncio.timeout(IDLE_IN_TRANSACTION_MS_MAX / 1_000 + 5):
            await observer.execute("select pg_advisory_lock($1)", MODE_LOCK)


async def test_every_session_of_the_venue_is_bounded(founded: Founded) -> None:
    """Whatever a process of the venue forgets, the server remembers."""
    setting = "select setting::int from pg_settings where name = $1"
    connection = await connect(founded.database.api, name="test")
    pool = await open_pool(founded.database.api, name="test", size=1)
    try:
        for name in (
            "transaction_timeout",
            "idle_in_transaction_session_timeout",
            "lock_timeout",
            "client_connection_check_interval",
        ):
            assert await connection.fetchval(setting, name) > 0
            assert await pool.fetchval(setting, name) > 0
    finally:
        connection.terminate()
        pool.terminate()


@pytest.mark.parametrize("role", ["api", "settler", "treasury"])
async def test_only_the_mode_controller_ends_sessions(founded: Founded, role: str) -> None:
    """And only those that hold the lock that it waits for."""
    async with (
        connected(getattr(founded.database, role)) as other,
        connected(founded.database.mode_controller) as mode_controller,
        connected(founded.database.api) as bystander,
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await other.execute("select end_idle_holders()")
        await bystander.execute("begin; select pg_advisory_xact_lock_shared(1)")
        await asyncio.sleep(0.5)
        assert await mode_controller.fetch("select * from end_idle_holders()") == []
        assert await bystander.fetchval("select 1") == 1
