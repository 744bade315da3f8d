"""The main job runs for everyone: a sandbox starts and stops in every environment of the table.

`make test` starts it in the three combined environments, in two of them for a drill of
tests/drill/test_gameday.py; `make nightly` in each by itself, and drills a whole game day as root
with a closed home and as another user.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testing.environments import (
    BARE_SHELL,
    COMPANY,
    CONTAINER,
    ENVIRONMENTS,
    Environment,
    Machine,
)
from tests.testing.nightly import repetitions

pytestmark = pytest.mark.drill

START_S_MAX = 240.0
"""Only a start that hangs takes that long."""
GAMEDAY_S_MAX = 480.0
WHOLE_GAME_DAYS = ("plain", "other-user")


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Folders that all environments share."""
    machine = Machine()
    yield machine
    machine.remove()


@pytest.mark.parametrize(
    "environment",
    repetitions([BARE_SHELL, COMPANY, CONTAINER, *ENVIRONMENTS], keep=1),
    ids=lambda row: row.name,
)
def test_a_sandbox_starts_and_leaves_nothing(environment: Environment, machine: Machine) -> None:
    if obstacle := machine.obstacle(environment):
        pytest.skip(obstacle)
    try:
        up = machine.run(environment, "up", "--seed", "1", timeout_s=START_S_MAX)
        assert up.returncode == 0, up.stderr or up.stdout
        assert "the venue answers at http://127.0.0.1:" in up.stdout
    finally:
        down = machine.run(environment, "down", timeout_s=START_S_MAX)
    assert down.returncode == 0, down.stderr or down.stdout
    assert down.stdout.startswith("removed ")
    again = machine.run(environment, "down", timeout_s=START_S_MAX)
    assert again.stdout == "no sandbox is running\n"


@pytest.mark.measured
@pytest.mark.nightly
@pytest.mark.parametrize(
    "environment",
    [each for each in ENVIRONMENTS if each.name in WHOLE_GAME_DAYS],
    ids=lambda row: row.name,
)
def test_a_whole_game_day_passes(environment: Environment, machine: Machine) -> None:
    """The checkout is read-only, so the run is kept in the cache of the account."""
    if obstacle := machine.obstacle(environment):
        pytest.skip(obstacle)
    done = machine.run(environment, "gameday", "--seed", "51", "--json", timeout_s=GAMEDAY_S_MAX)
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)
    assert found["outcome"] == "PASS"
    [drill] = found["drills"]
    assert (Path(drill["run"]) / "report.html").stat().st_size > 0
