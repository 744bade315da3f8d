"""A mode controller outlives its connections, and a standby takes over from one that is silent."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from seawall.controls.heartbeat import STALE_AFTER_MS
from tests.testing.venue_harness import (
    HANGS_AFTER_S,
    Founded,
    commit_flow,
    connected,
    venue_process,
)
from venue.database import Connection

pytestmark = pytest.mark.integration

_HOLDER = "select holder from mode_controller_lease"
_AGE_MS = """
    select extract(epoch from clock_timestamp() - renewed_at)::float8 * 1000
    from mode_controller_lease"""


async def _until(connection: Connection, query: str, wanted: object) -> None:
    async with asyncio.timeout(HANGS_AFTER_S):
        while await connection.fetchval(query) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _until_held_by(connection: Connection, name: str) -> None:
    await _until(connection, f"select split_part(holder, '@', 1) from ({_HOLDER}) held", name)


@pytest.mark.parametrize("which", ["mode-controller", "mode-controller-listener"])
async def test_it_goes_on_after_a_connection_was_dropped(founded: Founded, which: str) -> None:
    """Either of its connections: without the listener it would decide late, for ever."""
    async with (
        connected(founded.database.owner) as owner,
        connected(founded.database.api) as api,
        venue_process("mode_controller", founded.config_path, founded.database),
    ):
        await _until_held_by(owner, "mode-controller")
        for _ in range(3):
            before = await owner.fetch(
                "select pid from pg_stat_activity where application_name like 'mode-controller%'"
                " and datname = current_database()"
            )
            await owner.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = $1 and datname = current_database()",
                which,
            )
            await _until(
                owner,
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and application_name like 'mode-controller%'"
                f" and not pid = any(array{[row['pid'] for row in before]})",
                2,
            )
        await commit_flow(api, founded.policy.hot_target_value_micro())
        await _until(owner, "select tier from mode", "protected")


async def test_a_standby_takes_over_from_one_that_was_killed(founded: Founded) -> None:
    """Before the heartbeat counts as missing, so no payout waits; and it decides."""
    async with (
        connected(founded.database.owner) as owner,
        connected(founded.database.api) as api,
        venue_process("mode_controller", founded.config_path, founded.database) as first,
        venue_process("mode_controller", founded.config_path, founded.database, "--standby"),
    ):
        await _until_held_by(owner, "mode-controller")
        await asyncio.sleep(1)  # the standby has looked many times
        assert str(await owner.fetchval(_HOLDER)).startswith("mode-controller@")
        first.kill()
        await first.wait()
        oldest_ms = 0.0
        async with asyncio.timeout(HANGS_AFTER_S):
            while str(await owner.fetchval(_HOLDER)).startswith("mode-controller@"):
                oldest_ms = max(oldest_ms, await owner.fetchval(_AGE_MS))
                await asyncio.sleep(0.01)
        assert oldest_ms < STALE_AFTER_MS
        await commit_flow(api, founded.policy.hot_target_value_micro())
        await _until(owner, "select tier from mode", "protected")


async def test_one_that_was_frozen_decides_nothing_once_it_thaws(founded: Founded) -> None:
    """It finds that it lost the lease, waits as a standby, and takes over in its turn."""
    async with (
        connected(founded.database.owner) as owner,
        connected(founded.database.api) as api,
        venue_process("mode_controller", founded.config_path, founded.database) as first,
        venue_process(
            "mode_controller", founded.config_path, founded.database, "--standby"
        ) as second,
    ):
        await _until_held_by(owner, "mode-controller")
        os.kill(first.pid, signal.SIGSTOP)
        await _until_held_by(owner, "mode-controller-standby")
        os.kill(first.pid, signal.SIGCONT)
        await commit_flow(api, founded.policy.hot_target_value_micro())
        await _until(owner, "select tier from mode", "protected")
        assert await owner.fetchval("select count(*) from mode_log") == 1
        assert str(await owner.fetchval(_HOLDER)).startswith("mode-controller-standby@")

        began = time.monotonic()
        os.kill(second.pid, signal.SIGSTOP)
        await _until_held_by(owner, "mode-controller")
        assert time.monotonic() - began < STALE_AFTER_MS / 1_000
        os.kill(second.pid, signal.SIGCONT)
