"""Evidence is gathered source by source; one that settles later is waited for, and last."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from seawall.drill import collect as module
from seawall.drill.collect import collect
from seawall.drill.earlier import Earlier
from seawall.evidence.chain import Reach
from seawall.formats.run_directory import describe
from seawall.policy_file import load_policy
from tests.testing.deployments import make_deployment

POLICY = load_policy(Path("policies/sandbox.yaml"))
API = {"urls": {"api": "http://127.0.0.1:1"}}
ENDED_AT = 1_700_000_000.0
SAYS_WHEN = "import os; print(os.environ['SEAWALL_ENDED_AT'])"


class Clock:
    """Stands still, but for what is slept."""

    def __init__(self) -> None:
        self.now_s = ENDED_AT
        self.slept: list[float] = []

    def time(self) -> float:
        """Unix seconds."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        self.slept.append(seconds)
        self.now_s += seconds


def test_a_source_that_settles_later_is_read_then_and_after_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command is told when the drill ended, not when it is read at last."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    command = [sys.executable, "-c", SAYS_WHEN]
    deployment = make_deployment(
        tmp_path,
        **API,
        evidence={
            "flow": {"command": command, "settles_s": 300},
            "top_ups": {"command": command, "settles_s": 120},
            "withdrawals": {"command": command},
            "decisions": {"command": [sys.executable, "-c", "exit('the desk is shut')"]},
        },
    )
    run = tmp_path / "run"
    run.mkdir()
    said: list[str] = []

    collect(
        deployment,
        records=None,
        policy=POLICY,
        manifest=describe(
            POLICY,
            root=tmp_path,
            policy_path="policies/sandbox.yaml",
            run_id="run",
            seed=1,
            gameday=None,
            drill="calm",
            replay="",
            sabotage=None,
            programs={},
            knobs={},
        ),
        before=Reach(),
        earlier=Earlier(),
        run_dir=run,
        report=said.append,
        collected=lambda: said.append(f"collected after {sum(clock.slept):g} s"),
    )

    assert clock.slept == [120, 180]
    assert said[0].startswith("no evidence from decisions: EvidenceError: ")
    assert said[1:] == [
        "collected after 0 s",
        "top_ups is read in 120 s, when it has settled",
        "flow is read in 180 s, when it has settled",
    ]
    read = sorted((run / "records").glob("*.csv"))
    assert [path.stem for path in read] == ["flow", "topups", "withdrawals"]
    assert {float(path.read_text()) for path in read} == {ENDED_AT}
