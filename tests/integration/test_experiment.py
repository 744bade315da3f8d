"""Experiments run by hand and as a game day runs them, with real Chaos Toolkit and Toxiproxy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from chaos.render import RENDERER
from seawall.policy_file import load_policy
from seawall.scorecard.journal import problems_of_journal
from tests.testing.fault_harness import (
    EXPERIMENT,
    FaultHarness,
    harness,
    hurried_policy,
    running,
    wait_for,
)
from tests.testing.nightly import repetitions
from tests.testing.venue_harness import HANGS_AFTER_S

__all__ = ["harness"]
pytestmark = pytest.mark.integration


SLOW = """
from chaos import toxiproxy
from chaos.endpoint import probe
from chaos.faults import Fault, Observation, Parameters
from seawall.policy.quantities import DurationMs

PROXY = "kms.us-east-1"


class Latency(Parameters):
    latency: DurationMs


class KmsSlow(Fault):
    \"\"\"The key service answers late.\"\"\"

    name = "kms-slow"
    parameters_type = Latency
    part = PROXY

    @classmethod
    def targets(cls, policy):
        return ("kms.primary",)

    def undo(self):
        return (toxiproxy.removal(self.deployment.toxiproxy, proxy=PROXY, name="slow"),)

    def apply(self):
        toxiproxy.add_toxic(
            self.deployment.toxiproxy,
            proxy=PROXY,
            name="slow",
            kind="latency",
            stream="downstream",
            attributes={"latency": self.parameters.latency},
        )

    def observe(self):
        answer = probe(self.deployment.proxies[PROXY].listen)
        state = {"silent": "effective", "answered": "clear"}.get(answer, "unclear")
        return Observation(state=state, what=answer)
"""


def _journal(path: Path) -> dict[str, Any]:
    journal: dict[str, Any] = json.loads(path.read_text())
    return journal


def _kit_command(
    harness: FaultHarness, journal: Path, *more: str, drill: str = EXPERIMENT
) -> list[str]:
    return [
        sys.executable,
        "-m",
        "chaos.run",
        "--policy",
        harness.environment["SEAWALL_POLICY"],
        "--drill",
        drill,
        "--journal",
        str(journal),
        *more,
    ]


def test_the_dark_region_runs_by_plain_chaos_run(harness: FaultHarness, tmp_path: Path) -> None:
    """`chaos run FILE` needs two variables, and holds the fault for as long as the policy says."""
    policy = load_policy(harness.folder / "policy.yaml")
    [experiment] = RENDERER.write(policy, folder=tmp_path / "generated")
    command = [
        str(Path(sys.executable).with_name("chaos")),
        "--no-version-check",
        "run",
        str(experiment),
    ]
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env=harness.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert problems_of_journal(_journal(tmp_path / "journal.json")) == []
    at = {fact["event"]: fact["at"] for fact in harness.timeline("chaos")}
    assert list(at) == [
        "fault.applied",
        "fault.effective",
        "fault.held",
        "fault.reverted",
        "fault.cleared",
    ]
    assert 2.5 <= at["fault.reverted"] - at["fault.effective"] <= 5
    assert not harness.hangs()


@pytest.mark.nightly  # a game day runs it
def test_the_control_experiment_is_sound_as_a_game_day_runs_it(
    harness: FaultHarness, tmp_path: Path
) -> None:
    """With the run's zero given, the fault comes its `calm` and `after` later.

    Journal, log and experiment are written where they were asked for. What it applies is no fault.
    """
    journal = tmp_path / "out" / "chaos-journal.json"
    journal.parent.mkdir()
    zero = time.time() + 6
    command = _kit_command(harness, journal, "--start-at", str(zero))
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env=harness.environment | {"SEAWALL_NOOP": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == str(journal)
    assert problems_of_journal(_journal(journal)) == []
    facts = harness.timeline("chaos")
    assert {fact["detail"]["fault"] for fact in facts} == {"noop"}
    applied = next(fact["at"] for fact in facts if fact["event"] == "fault.applied")
    assert 5.2 <= applied - zero <= 15, "never early; late only by what a busy machine needs"
    assert sorted(path.name for path in journal.parent.iterdir()) == [
        "chaos-journal.experiment.json",
        "chaos-journal.json",
        "chaos-journal.log",
    ]


def test_an_unsteady_start_is_no_success_and_breaks_nothing(
    harness: FaultHarness, tmp_path: Path
) -> None:
    """Chaos Toolkit's exit status is 0; the judgement of the journal says what was wrong.

    The region was never touched.
    """
    harness.venue.stuck = True
    journal = tmp_path / "journal.json"
    ended = subprocess.run(
        _kit_command(harness, journal),
        env=harness.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "the steady state was not met before the method" in problems_of_journal(
        _journal(journal)
    )
    assert "was not posted within 5.0 s" in journal.with_suffix(".log").read_text()
    assert harness.timeline("chaos") == []


@pytest.mark.parametrize("number", repetitions([signal.SIGKILL, signal.SIGTERM], keep=1))
def test_ending_the_experiment_rolls_back(
    harness: FaultHarness, tmp_path: Path, number: signal.Signals
) -> None:
    """Whether it is ended or killed, Chaos Toolkit rolls back at once and leaves its journal.

    The lease alone would need longer.
    """
    journal = tmp_path / "journal.json"
    with running(*_kit_command(harness, journal), environment=harness.environment) as process:
        wait_for(lambda: harness.toxics, within_s=20)
        wait_for(lambda: len(harness.timeline("chaos")) >= 2, within_s=HANGS_AFTER_S)
        os.kill(process.pid, number)
        # The lease alone needs at least two thirds of 3 s.
        wait_for(lambda: not harness.toxics, within_s=1.9)
        wait_for(journal.exists, within_s=HANGS_AFTER_S)
        wait_for(lambda: journal.read_text().endswith("}"), within_s=HANGS_AFTER_S)
    found = _journal(journal)
    assert found["status"] == "interrupted"
    assert found["rollbacks"][0]["status"] == "succeeded"
    assert harness.timeline("lease")[-1]["event"] == "released"


@pytest.mark.nightly  # a journal that cannot be written stays
def test_an_experiment_that_leaves_no_journal_is_unknown(
    harness: FaultHarness, tmp_path: Path
) -> None:
    """Exit status 2, and the reason in one line."""
    package = tmp_path / "broken" / "chaostoolkit"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("raise SystemExit(1)\n")
    path = os.pathsep.join([harness.environment["PYTHONPATH"], str(package.parent)])
    ended = subprocess.run(
        _kit_command(harness, tmp_path / "journal.json"),
        env=harness.environment | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1].startswith(
        "chaos: Chaos Toolkit ended with 1 and left no journal at "
    )


def test_a_journal_that_cannot_be_written_is_refused_before_anything_is_touched(
    harness: FaultHarness, tmp_path: Path
) -> None:
    ended = subprocess.run(
        _kit_command(harness, tmp_path / "missing" / "journal.json"),
        env=harness.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (4, "")
    assert harness.timeline("chaos") == []


def test_an_unknown_drill_is_refused(harness: FaultHarness, tmp_path: Path) -> None:
    """Exit status 3, and the names of those that exist."""
    ended = subprocess.run(
        _kit_command(harness, tmp_path / "journal.json", drill="nothing"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert (
        ended.stderr
        == f"chaos: the policy production has no drill nothing (name one of {EXPERIMENT})\n"
    )


def test_a_fault_and_a_drill_of_ones_own_need_one_file_and_the_policy(
    harness: FaultHarness, tmp_path: Path
) -> None:
    """The kit knows neither; it checks them, applies the fault, watches it and undoes it."""
    (tmp_path / "faults").mkdir()
    (tmp_path / "faults" / "kms_slow.py").write_text(SLOW)
    policy = hurried_policy()
    policy["drills"]["slow-signing"] = {
        **policy["drills"][EXPERIMENT],
        "faults": [
            {
                "fault": "kms-slow",
                "target": "kms.primary",
                "after": "200ms",
                "length": "2500ms",
                "parameters": {"latency": "900ms"},
            }
        ],
        "expects": {"targets": ["recovery_max"]},
    }
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(policy))
    environment = harness.environment | {
        "SEAWALL_FAULTS": str(tmp_path / "faults"),
        "SEAWALL_POLICY": str(path),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    checked = run("chaos.check", "--policy", str(path))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert json.loads(checked.stdout)["known"]["kms-slow"]["parameters"]["latency"]
    journal = tmp_path / "journal.json"
    given = ("--policy", str(path), "--drill", "slow-signing", "--journal", str(journal))
    ended = run("chaos.run", *given)

    assert ended.returncode == 0, ended.stderr
    assert problems_of_journal(_journal(journal)) == []
    facts = harness.timeline("chaos")
    assert [fact["event"] for fact in facts][-3:] == [
        "fault.held",
        "fault.reverted",
        "fault.cleared",
    ]
    assert {fact["detail"]["fault"] for fact in facts} == {"kms-slow"}
    assert facts[0]["detail"]["parameters"] == {"latency": "900ms"}
    assert harness.toxics == []
