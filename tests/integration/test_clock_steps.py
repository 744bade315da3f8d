"""The mode controller while the database's clock is set: no window is emptied, none stays full."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
import yaml

from seawall.controls.heartbeat import BEAT_EVERY_MS
from seawall.controls.timing import MODE_CONTROLLER_AGES_EVERY_MS
from seawall.conventions import metrics
from seawall.conventions.components import MODE_CONTROLLER_STANDBY_PROCESS
from seawall.policy_file import load_policy
from tests.testing.nightly import repetitions
from tests.testing.stepping_clock import REAL_COMMIT_US, install_stepping_clock, set_clock
from tests.testing.venue_harness import (
    HANGS_AFTER_S,
    POLICY,
    Founded,
    commit_flow,
    connected,
    venue_process,
)
from venue.database import Connection

pytestmark = pytest.mark.integration
DWELL_US = 1_800_000
"""How long protected mode lasts at least, whatever the clock says."""


def _quicken(founded: Founded) -> None:
    """Windows and stays of a second or two, so that a test sees the way there and back."""
    quick = founded.config_path.parent / "quick.yaml"
    tree = yaml.safe_load(POLICY.with_name("production.yaml").read_text(encoding="utf-8"))
    tree["indicators"]["drawdown_velocity"]["window"] = "900ms"
    tree["limits"]["window"] = "2700ms"
    del tree["drills"]["one-customer"]  # within so short a window its storm would hardly be limited
    for tier, dwell in (("stressed", "900ms"), ("protected", f"{DWELL_US // 1_000}ms")):
        tree["tiers"][tier] |= {"exit_after": "450ms", "dwell_min": dwell}
    tree["probing"] |= {"every": "90ms", "gap_max": "900ms", "answer_within": "90ms"}
    quick.write_text(yaml.safe_dump(tree), encoding="utf-8")
    load_policy(quick)
    config = json.loads(founded.config_path.read_text(encoding="utf-8")) | {"policy": str(quick)}
    founded.config_path.write_text(json.dumps(config), encoding="utf-8")


async def _tier_is(connection: Connection, wanted: str) -> None:
    async with asyncio.timeout(HANGS_AFTER_S):
        while await connection.fetchval("select tier from mode") != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _shows_the_mode(founded: Founded, process: str) -> None:
    """Until ``process`` serves the committed mode: it has then read the database's clock."""
    url = f"http://127.0.0.1:{founded.config.metrics_ports[process]}/metrics"
    async with asyncio.timeout(HANGS_AFTER_S), httpx.AsyncClient(trust_env=False) as http:
        while f"\n{metrics.MODE_EPOCH} " not in (await http.get(url)).text:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _decides(connection: Connection, *, beats: int) -> None:
    """Until the mode controller has renewed its lease so often, which it does after a decision."""
    renewed = "select renewed_at from mode_controller_lease"
    seen = {await connection.fetchval(renewed)}
    async with asyncio.timeout(HANGS_AFTER_S):
        while len(seen) <= beats:
            await asyncio.sleep(0.02)
            seen.add(await connection.fetchval(renewed))


@pytest.mark.parametrize("step_s", repetitions([3_600, -3_600], keep=1))
async def test_a_step_neither_ends_protected_mode_early_nor_prolongs_it(
    founded: Founded, step_s: float
) -> None:
    """Two mode controllers: a step makes the lease look old, so that the other one may take it."""
    _quicken(founded)
    half = founded.policy.hot_target_value_micro() // 2
    async with connected(founded.database.owner) as owner:
        await install_stepping_clock(owner)
        async with (
            connected(founded.database.api) as api,
            venue_process("mode_controller", founded.config_path, founded.database),
            venue_process("mode_controller", founded.config_path, founded.database, "--standby"),
        ):
            await _shows_the_mode(founded, MODE_CONTROLLER_STANDBY_PROCESS)
            await commit_flow(api, half)
            await _tier_is(owner, "protected")
            await set_clock(owner, ahead_s=step_s)
            await _tier_is(owner, "normal")
        flips = await owner.fetch(
            f"select tier, {REAL_COMMIT_US.format(row='mode_log')} as at_us from mode_log"
            " order by epoch"
        )
    assert [row["tier"] for row in flips] == ["protected", "stressed", "normal"]
    assert flips[1]["at_us"] - flips[0]["at_us"] >= DWELL_US
    assert flips[1]["at_us"] - flips[0]["at_us"] < 3 * DWELL_US


async def test_a_step_makes_no_waiting_withdrawal_old(founded: Founded) -> None:
    """One that was asked for a moment ago has waited for a moment: no promise is at risk.

    The mode controller has looked at ages since: it does so more often than it renews its lease.
    """
    assert MODE_CONTROLLER_AGES_EVERY_MS < BEAT_EVERY_MS
    async with connected(founded.database.owner) as owner:
        await install_stepping_clock(owner)
    async with (
        connected(founded.database.owner) as owner,
        venue_process("mode_controller", founded.config_path, founded.database),
    ):
        await _decides(owner, beats=3)
        await owner.execute(
            """insert into withdrawals (id, customer_id, bucket, source_network, network, asset,
                amount, value_micro, size, destination, state)
               values (gen_random_uuid(), 1, 'customer', 'aster', 'aster', 'USDX', 1, 1, 'small',
                       '0x' || repeat('ab', 20), 'reserved')"""
        )
        await set_clock(owner, ahead_s=3_600)
        await _decides(owner, beats=3)
        assert await owner.fetchval("select count(*) from mode_log") == 0
