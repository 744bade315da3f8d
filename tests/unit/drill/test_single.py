"""A drill of one control leaves a run directory as every drill does, and is judged from it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from seawall.cache import repository_root
from seawall.drill import single
from seawall.drill.display import Display
from seawall.drill.single import _Run
from seawall.drill.stack import alone_on
from seawall.errors import DrillError, UsageError
from seawall.formats.deployment import Deployment
from seawall.kill_switch import kill_switches
from seawall.readiness.history import read_runs
from seawall.scorecard import Outcome
from tests.testing.deployments import make_deployment
from tests.unit.scorecard.test_neighbour import POLICY
from tests.unit.scorecard.test_one_control import evidence_of

ROOT = repository_root()


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


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A sandbox that was kept, with a kill switch in a file; nothing is tried on it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "switch").write_text("armed\n", encoding="utf-8")
    found = make_deployment(
        tmp_path / "state", kill_switch={"file": str(tmp_path / "switch")}, sabotage=None
    )
    monkeypatch.setattr(single, "kept_deployment", lambda: found)
    monkeypatch.setattr(single, "clean_own_process", lambda: None)
    monkeypatch.setattr(single, "on_deployment", lambda *_: pytest.fail("it is tried"))
    return found


def _segregation(root: Path) -> None:
    single.drill_segregation_in_sandbox(root=root, policy_path=ROOT / "policies" / "sandbox.yaml")


def test_segregation_is_not_tried_where_another_drill_runs(
    tmp_path: Path, kept: Deployment
) -> None:
    """Each would deny and allow what the other finds."""
    with alone_on(kept), pytest.raises(UsageError, match="another drill runs"):
        _segregation(tmp_path)


def test_segregation_is_not_tried_when_people_have_stopped_all_drills(
    tmp_path: Path, kept: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sandbox, and on a stack that has no deployment file."""
    (tmp_path / "switch").write_text("stopped\n", encoding="utf-8")
    with pytest.raises(DrillError, match="says 'stopped'"):
        _segregation(tmp_path)
    stopped = kill_switches(kept.kill_switch, environment={})
    monkeypatch.setattr(single, "kill_switches", lambda _location: stopped)
    with pytest.raises(DrillError, match="says 'stopped'"):
        single.drill_segregation_on_stack(
            root=tmp_path,
            policy_path=ROOT / "policies" / "sandbox.yaml",
            stack="staging",
            outputs=tmp_path / "outputs.json",
            venue=None,
        )


def test_segregation_is_not_tried_where_a_control_is_switched_off(
    tmp_path: Path, kept: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = kept.model_copy(update={"sabotage": "failover"})
    monkeypatch.setattr(single, "kept_deployment", lambda: off)
    with pytest.raises(UsageError, match="failover is switched off"):
        _segregation(tmp_path)
