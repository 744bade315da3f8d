"""A game day stopped by the kill switch ends as UNKNOWN, undoes its fault and leaves nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from seawall.conventions import aws
from seawall.policy_file import load_policy
from tests.testing.drill_kit import POLICY_PATH, GameDay, deployer_client, processes_of, verdict_of

pytestmark = [pytest.mark.drill, pytest.mark.nightly]

POLICY = load_policy(POLICY_PATH)
STOPS_WITHIN_S = 15.0
"""The switch is read once a second; then the fault is undone, and flood and observers end."""


def test_a_game_day_stops_when_the_switch_is_set_in_one_region(tmp_path: Path) -> None:
    """The parameter is set with boto3 in the standby region alone."""
    game_day = GameDay.start("--seed", "5", log=tmp_path / "out.txt")
    try:
        game_day.wait_for("fault.effective")
        ssm = deployer_client(game_day.data_dir, "ssm", POLICY.regions.standby)
        set_at = time.time()
        ssm.put_parameter(
            Name=aws.kill_switch(POLICY.venue.name), Value="stopped", Type="String", Overwrite=True
        )
        stopped = game_day.wait_for("broke", within_s=STOPS_WITHIN_S)
        code = game_day.runner.wait(timeout=90)
    finally:
        game_day.end()
    print(game_day.printed()[-2000:])
    assert code == 2
    assert "stopped" in stopped["detail"]["reason"]
    assert stopped["at"] - set_at < STOPS_WITHIN_S
    assert game_day.event("fault.reverted") is not None
    assert verdict_of(game_day.run_dir)["outcome"] == "UNKNOWN"
    assert processes_of(game_day.run_id) == []
