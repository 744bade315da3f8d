"""Somebody stops a game day with the kill switch.

It ends as UNKNOWN, the fault is undone, and nothing is left.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.identities import Identities
from sandbox.kept import SANDBOXES
from seawall.cache import cache_root
from seawall.conventions import aws
from seawall.policy_file import load_policy
from tests.testing.drill_kit import (
    ROOT,
    carriers,
    run_directories,
    run_id_of,
    saw,
    start,
    until,
    verdict_of,
)

pytestmark = pytest.mark.drill

POLICY = load_policy(ROOT / "policies" / "sandbox.yaml")
STOPS_WITHIN_S = 15.0
"""A look a second, the undo of the fault, and the end of flood and observers.

Then the evidence is gathered.
"""


def test_a_game_day_stops_when_somebody_throws_the_switch(tmp_path: Path) -> None:
    before = run_directories()
    runner = start("gameday", "--seed", "5", log=tmp_path / "out.txt")
    try:
        run_dir = until(
            lambda: next(iter(run_directories() - before), None),
            within_s=60,
            what="a run directory",
        )
        until(lambda: saw(run_dir, "fault.effective"), within_s=180, what="the dark region")
        thrown_at = time.time()
        _throw(cache_root() / SANDBOXES / run_id_of(run_dir))
        stopped = until(
            lambda: saw(run_dir, "broke"), within_s=STOPS_WITHIN_S, what="the end of the drill"
        )
        code = runner.wait(timeout=90)
    finally:
        if runner.poll() is None:
            runner.terminate()
            runner.wait(timeout=30)
    print((tmp_path / "out.txt").read_text(encoding="utf-8")[-2000:])
    assert code == 2
    assert "stopped" in stopped["detail"]["reason"]
    assert stopped["at"] - thrown_at < STOPS_WITHIN_S
    assert saw(run_dir, "fault.reverted") is not None
    assert verdict_of(run_dir)["outcome"] == "UNKNOWN"
    assert carriers(run_id_of(run_dir)) == []


def _throw(data_dir: Path) -> None:
    """Set the parameter with boto3, in the standby region alone.

    One region that says stopped is enough.
    """
    endpoint = json.loads((data_dir / "deployment.json").read_text(encoding="utf-8"))["urls"]["aws"]
    who = Identities.read(data_dir / "identities.json").deployer
    session = boto3.Session(
        aws_access_key_id=who.access_key_id, aws_secret_access_key=who.secret_access_key
    )
    ssm: Any = session.client("ssm", region_name=POLICY.regions.standby, endpoint_url=endpoint)
    ssm.put_parameter(
        Name=aws.kill_switch(POLICY.venue.name), Value="stopped", Type="String", Overwrite=True
    )
