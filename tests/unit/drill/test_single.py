"""A drill of one control leaves a run directory as every drill does, and is judged from it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from seawall.drill.display import Display
from seawall.drill.single import _Run
from seawall.readiness.history import read_runs
from seawall.scorecard import Outcome
from tests.unit.scorecard.test_neighbour import POLICY
from tests.unit.scorecard.test_one_control import evidence_of


@pytest.fixture
def run(tmp_path: Path) -> _Run:
    """One that has begun."""
    return _Run.begin(
        "noisy-neighbour",
        root=tmp_path,
        policy=POLICY,
        policy_path=tmp_path / "policies" / "sandbox.yaml",
        seed=7,
        words=["--seed", "7"],
        sabotage=None,
        programs={},
        knobs={"quiet_per_s": 7},
    )


def test_one_that_was_interrupted_counts_as_one_on_its_stack(run: _Run) -> None:
    """It must not make way for an older PASS."""
    run.runs_on("sandbox", "sandbox")

    [found] = read_runs([run.run_dir.parent])

    assert (found.drill, found.stack, found.outcome) == (
        "noisy-neighbour",
        "sandbox",
        Outcome.UNKNOWN,
    )
    assert (run.run_dir.parent / "latest").resolve() == run.run_dir


def test_what_it_prints_is_what_it_wrote_and_says_how_to_run_it_again(run: _Run) -> None:
    run.runs_on("sandbox", "sandbox")

    results = run.judged(
        evidence_of("noisy-neighbour"), Display(console=Console(file=io.StringIO()))
    )

    document = results.document()
    written = json.loads((run.run_dir / "verdict.json").read_text())
    assert (document["outcome"], document["exit_code"], document["seed"]) == ("PASS", 0, 7)
    assert document["drills"] == [
        {"drill": "noisy-neighbour", "run": str(run.run_dir)}
        | {name: value for name, value in written.items() if name != "judge"}
    ]
    assert written["identity"]["knobs"] == {"quiet_per_s": 7}
    assert written["identity"]["replay"] == (
        "bin/seawall drill noisy-neighbour --seed 7 --policy policies/sandbox.yaml"
    )
