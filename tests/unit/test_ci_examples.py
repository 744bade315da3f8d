"""The workflows in docs/ci say the same, and what they run exists."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer
import yaml

from seawall.cli import app as command_line
from seawall.policy_file import load_policy
from tests.testing.ci_examples import FILES, ROOT, commands_of

DRILLS, GATE = "drills", "gate"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_command_is_one_of_ours_with_options_that_it_takes(file: Path) -> None:
    """A renamed option would be found by a user's pipeline only."""
    known = typer.main.get_command(command_line.app)
    jobs = commands_of(file)
    assert set(jobs) == {DRILLS, GATE}
    for command in [each for commands in jobs.values() for each in commands]:
        program, name, *arguments = shlex.split(command)
        assert program == "bin/seawall"
        taken = known.commands[name]  # type: ignore[attr-defined]
        taken.make_context(name, arguments)


def test_both_services_run_the_same_and_every_drill_that_the_gate_requires() -> None:
    """Otherwise the gate of a new repository would never open."""
    github, gitlab = (commands_of(file) for file in FILES)
    assert github == gitlab
    policy = load_policy(ROOT / "policies" / "sandbox.yaml")
    days = {shlex.split(command)[-1] for command in github[DRILLS] if " gameday " in command}

    assert {required.drill for required in policy.readiness} == {
        drill for day in days for drill in policy.gameday(day).drills
    }


def test_runs_are_kept_also_after_a_failure() -> None:
    """Else the gate would go on believing the run before the failed one."""
    github, gitlab = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in FILES)
    steps = github["jobs"]["drills"]["steps"]
    [save] = [step for step in steps if "cache/save" in step.get("uses", "")]
    after_first = steps[[bool(step.get("run")) for step in steps].index(True) + 1 :]

    assert save["if"] == "always()"
    assert {step["if"] for step in after_first} == {"always()"}
    assert gitlab[".seawall"]["cache"]["when"] == "always"
    assert gitlab["gate"]["cache"]["policy"] == "pull"
