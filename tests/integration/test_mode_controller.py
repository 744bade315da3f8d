"""The mode controller as a process: what flips the mode row, what does not, and its heartbeat."""

from __future__ import annotations

import asyncio
import json

import pytest
import yaml

from seawall.conventions.environment import SABOTAGE_VARIABLE
from seawall.conventions.sabotage import SABOTAGE_MODE_CONTROLLER
from seawall.formats.journal import chain_breaks
from seawall.indicators import FlowRow, first_crossing
from seawall.policy_file import load_policy
from tests.testing.venue_harness import (
    HANGS_AFTER_S,
    POLICY,
    Founded,
    commit_flow,
    connected,
    record_withdrawal,
    venue_process,
)
from venue.database import COMMITTED_AT_US, Connection

pytestmark = pytest.mark.integration

CYCLES = 6


def _quicken(founded: Founded) -> None:
    """Windows and stays a hundred times shorter, so that many flips fit into a test.

    What else the venue promises would not be feasible then.
    """
    quick = founded.config_path.parent / "quick.yaml"
    tree = yaml.safe_load(POLICY.with_name("production.yaml").read_text(encoding="utf-8"))
    tree["indicators"]["drawdown_velocity"]["window"] = "150ms"
    tree["limits"]["window"] = "450ms"
    del tree["drills"]["one-customer"]  # within so short a window its storm would hardly be limited
    for tier, dwell in (("stressed", "150ms"), ("protected", "300ms")):
        tree["tiers"][tier] |= {"exit_after": "90ms", "dwell_min": dwell}
    tree["probing"] |= {"every": "30ms", "gap_max": "150ms", "answer_within": "30ms"}
    quick.write_text(yaml.safe_dump(tree), encoding="utf-8")
    load_policy(quick)
    config = json.loads(founded.config_path.read_text(encoding="utf-8")) | {"policy": str(quick)}
    founded.config_path.write_text(json.dumps(config), encoding="utf-8")


async def _tier_is(connection: Connection, wanted: str) -> None:
    """Wait until another process has written the tier ``wanted``."""
    async with asyncio.timeout(HANGS_AFTER_S):
        while await connection.fetchval("select tier from mode") != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_breaches_flip_at_once_and_calm_leads_back_one_tier_at_a_time(
    founded: Founded,
) -> None:
    """Each breach leads to protected mode, for the row that replay finds, and back by hysteresis.

    How long after a breach the mode is protected is what a game day measures.
    """
    _quicken(founded)
    half = founded.policy.hot_target_value_micro() // 2
    async with (
        connected(founded.database.api) as api,
        venue_process("mode_controller", founded.config_path, founded.database),
    ):
        breaches = []
        for _ in range(CYCLES):
            await asyncio.sleep(0.07)
            breaches.append(await commit_flow(api, half))
            await _tier_is(api, "protected")
            await _tier_is(api, "normal")
    async with connected(founded.database.auditor) as auditor:
        flips = await auditor.fetch(
            "select epoch, previous, tier, trigger_name, sample_flow_id, "
            f"{COMMITTED_AT_US.format(row='mode_log')} as at_us from mode_log order by epoch"
        )
        flows = await auditor.fetch(
            f"select id, kind, count, value_micro, {COMMITTED_AT_US.format(row='flow')} as "
            "committed_at_us from flow"
        )
        journal = [
            dict(row) for row in await auditor.fetch("select * from journal order by writer, n")
        ]
    assert [(row["previous"], row["tier"]) for row in flips] == [
        ("normal", "protected"),
        ("protected", "stressed"),
        ("stressed", "normal"),
    ] * CYCLES
    assert [row["epoch"] for row in flips] == list(range(2, 2 + 3 * CYCLES))
    entered = [row for row in flips if row["tier"] == "protected"]
    assert [row["sample_flow_id"] for row in entered] == breaches
    assert {row["trigger_name"] for row in entered} == {"run-on-the-bank"}
    rows = {row["id"]: FlowRow(**dict(row)) for row in flows}
    quick = load_policy(founded.config_path.parent / "quick.yaml")
    crossing = first_crossing(rows.values(), quick.trigger("run-on-the-bank"), quick)
    assert crossing is not None
    assert crossing.flow_id == breaches[0]
    assert all(row["at_us"] > rows[row["sample_flow_id"]].committed_at_us for row in entered)
    assert len(journal) == 3 * CYCLES
    assert chain_breaks(journal) == []


async def test_a_row_whose_transaction_commits_late_is_counted(founded: Founded) -> None:
    """A batch that drew its id early and committed after later ones still breaches."""
    half = founded.policy.hot_target_value_micro() // 2
    async with (
        connected(founded.database.api) as slow,
        connected(founded.database.api) as api,
        venue_process("mode_controller", founded.config_path, founded.database),
    ):
        transaction = slow.transaction()
        await transaction.start()
        await commit_flow(slow, half)
        for _ in range(20):
            await commit_flow(api, 1)
            await asyncio.sleep(0.05)
        assert await api.fetchval("select tier from mode") == "normal"
        await transaction.commit()
        await _tier_is(api, "protected")


async def test_queue_age_and_signing_failures_make_it_stressed(founded: Founded) -> None:
    """Two refused signatures, committed by the settler, are enough.

    The reason names the trigger and the customers' impact.
    """
    async with (
        connected(founded.database.settler) as settler,
        venue_process("mode_controller", founded.config_path, founded.database),
    ):
        await settler.execute(
            "insert into flow (kind, network, count, value_micro) "
            "values ('signing_failed', 'aster', 2, 0)"
        )
        await _tier_is(settler, "stressed")
        reason = await settler.fetchval("select reason from mode")
        assert reason.startswith("signing-degraded: signing_failures 2.000 reached 2.000.")


async def test_a_held_withdrawal_is_not_part_of_the_queue(founded: Founded) -> None:
    """One refused payment of an hour ago leaves the venue normal.

    So does one of an asset that its issuer has paused: no tier would pay it. A reserved one as old,
    which is guaranteed, makes it protected once its asset moves.
    """
    async with (
        connected(founded.database.owner) as owner,
        venue_process("mode_controller", founded.config_path, founded.database),
    ):
        await record_withdrawal(owner, "unknown", age_s=3_600)
        await asyncio.sleep(1)  # the mode controller decides at least every 20 ms
        assert await owner.fetchval("select tier from mode") == "normal"
        await owner.execute("insert into asset_pauses (network, asset) values ('aster', 'USDX')")
        await record_withdrawal(owner, "reserved", age_s=3_600)
        await asyncio.sleep(1)
        assert await owner.fetchval("select tier from mode") == "normal"
        await owner.execute("delete from asset_pauses")
        await _tier_is(owner, "protected")


async def test_a_mode_controller_renews_its_lease_and_ends_on_sigterm(founded: Founded) -> None:
    """The lease is renewed again and again while the process runs, and not after its end."""
    beat = "select renewed_at from mode_controller_lease"
    async with connected(founded.database.auditor) as auditor:
        async with venue_process("mode_controller", founded.config_path, founded.database):
            beats: set[object] = set()
            async with asyncio.timeout(HANGS_AFTER_S):
                while len(beats) < 4:
                    beats.add(await auditor.fetchval(beat))
                    await asyncio.sleep(0.01)
        last = await auditor.fetchval(beat)
        await asyncio.sleep(0.5)
        assert await auditor.fetchval(beat) == last


async def test_a_sabotaged_mode_controller_watches_and_does_nothing(founded: Founded) -> None:
    """The switch takes its decisions away and leaves the heartbeat: only a drill can tell."""
    async with (
        connected(founded.database.api) as api,
        venue_process(
            "mode_controller",
            founded.config_path,
            founded.database,
            **{SABOTAGE_VARIABLE: SABOTAGE_MODE_CONTROLLER},
        ),
    ):
        await commit_flow(api, founded.policy.hot_target_value_micro())
        await asyncio.sleep(1)
        assert await api.fetchval("select tier from mode") == "normal"
        assert await api.fetchval(
            "select clock_timestamp() - renewed_at < interval '1 second' from mode_controller_lease"
        )
        assert await api.fetchval("select count(*) from mode_log") == 0
