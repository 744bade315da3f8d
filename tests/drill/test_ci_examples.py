"""The workflows in docs/ci do what they promise: their drills pass, and then the gate opens."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.testing.ci_examples import FILES, commands_of
from tests.testing.drill_kit import RUNS, seawall

pytestmark = [pytest.mark.drill, pytest.mark.nightly]


@pytest.mark.measured
def test_the_commands_of_the_workflows_open_the_gate(tmp_path: Path) -> None:
    """Both files run the same commands (a unit test says so), so they are run once."""
    jobs = commands_of(FILES[0])
    junit = tmp_path / "readiness.xml"
    aside = tmp_path / "runs"
    if RUNS.is_dir():
        shutil.move(RUNS, aside)  # the runs of other tests would count
    try:
        shut = seawall("gate", "--junit", str(junit))
        assert shut.returncode == 2, shut.stdout + shut.stderr
        for command in [*jobs["drills"], *jobs["gate"]]:
            words = [
                str(junit) if word == "readiness.xml" else word for word in shlex.split(command)
            ]
            done = seawall(*words[1:], timeout_s=1_800)
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    finally:
        RUNS.mkdir(exist_ok=True)
        for path in aside.iterdir() if aside.is_dir() else []:
            if path.name != "latest":  # there is a later one
                shutil.move(path, RUNS / path.name)
    suite = ET.parse(junit).getroot()  # noqa: S314 - we wrote it
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
