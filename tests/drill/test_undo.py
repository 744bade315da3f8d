"""The undo always happens: without ``--keep`` the processes end, with it the fault ends.

`make test` kills while the sandbox comes up, and during the fault (test_kept_sandbox.py);
`make nightly` kills at every point.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.kept import kept_data_dir
from seawall.policy_file import load_policy
from tests.testing.drill_kit import (
    LEASE_TTL_S,
    POLICY_PATH,
    PROCESSES_MIN,
    SLACK_S,
    GameDay,
    answers,
    kill_the_runner,
    pays_a_withdrawal,
    primary_kms,
    processes_of,
    seawall,
    until,
)

pytestmark = pytest.mark.drill

HALF_END_S = 15.0
"""How long a sandbox that was coming up may take to end in order, services and all."""


@pytest.fixture(autouse=True)
def _no_sandbox_left() -> Iterator[None]:
    yield
    seawall("down")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Start a game day with further arguments; it ends with the test."""
    started: list[GameDay] = []

    def start_one(*arguments: str) -> GameDay:
        started.append(GameDay.start("--seed", "5", *arguments, log=tmp_path / "out.txt"))
        return started[-1]

    yield start_one
    for game_day in started:
        game_day.end()


def test_the_lease_is_what_the_policy_says() -> None:
    assert load_policy(POLICY_PATH).drills["signing-region-dark"].lease_ttl == LEASE_TTL_S * 1000


@pytest.mark.parametrize(
    ("event", "number"),
    [
        ("stack.up", signal.SIGKILL),
        pytest.param("stack.up", signal.SIGINT, marks=pytest.mark.nightly),
        pytest.param("fault.effective", signal.SIGINT, marks=pytest.mark.nightly),
        pytest.param("fault.effective", signal.SIGTERM, marks=pytest.mark.nightly),
        pytest.param("fault.effective", signal.SIGKILL, marks=pytest.mark.nightly),
    ],
)
def test_without_keep_no_process_of_the_run_lives_five_seconds_after_its_runner(
    start: Any, event: str, number: signal.Signals
) -> None:
    """Ended while the venue comes up, and in every way while the region is dark."""
    game_day = start()
    game_day.wait_for(event)
    assert len(processes_of(game_day.run_id)) > PROCESSES_MIN

    game_day.runner.send_signal(number)

    until(
        lambda: processes_of(game_day.run_id) == [] or None,
        within_s=5,
        what=f"every process of {game_day.run_id} gone",
    )
    game_day.runner.wait(timeout=10)


@pytest.mark.nightly  # tests/drill/test_kept_sandbox.py kills the runner once, during the fault
@pytest.mark.parametrize(
    ("event", "after_s"),
    [
        ("venue.ready", 0.0),
        ("calm.started", 0.0),
        ("run.started", 0.0),
        ("fault.applied", 0.0),
        ("fault.effective", 6.0),
        ("fault.effective", 20.0),
        ("fault.cleared", 0.0),
    ],
)
def test_with_keep_the_sandbox_outlives_its_runner_and_the_fault_does_not(
    start: Any, event: str, after_s: float
) -> None:
    """Kill -9 of the runner, seconds after an event of the timeline."""
    game_day = start("--keep")
    game_day.wait_for(event)
    time.sleep(after_s)

    kill_the_runner(game_day)

    pays_a_withdrawal(game_day)


@pytest.mark.parametrize(
    "event", ["sandbox.started", pytest.param("stack.up", marks=pytest.mark.nightly)]
)
def test_with_keep_half_a_sandbox_does_not_outlive_its_runner(start: Any, event: str) -> None:
    """Kill -9 of the runner while the sandbox comes up: it is kept whole or not at all."""
    game_day = start("--keep")
    game_day.wait_for(event)

    game_day.runner.send_signal(signal.SIGKILL)
    game_day.runner.wait(timeout=5)

    until(
        lambda: processes_of(game_day.run_id) == [] or None,
        within_s=HALF_END_S,
        what=f"every process of {game_day.run_id} gone",
    )
    assert kept_data_dir() is None


@pytest.mark.nightly  # the same without a whole sandbox is an integration test
def test_the_fault_ends_with_its_lease_holder(start: Any) -> None:
    """Kill -9 of the lease holder during the fault: the proxy's own half of the lease undoes it."""
    game_day = start("--keep")
    game_day.wait_for("fault.effective")
    targets = game_day.targets()
    assert not answers(primary_kms(targets))

    os.kill(targets["processes"]["lease"]["pid"], signal.SIGKILL)

    until(
        lambda: answers(primary_kms(targets)) or None,
        within_s=LEASE_TTL_S + SLACK_S,
        what="the region's endpoint answering",
    )
    game_day.runner.send_signal(signal.SIGKILL)
    game_day.runner.wait(timeout=5)
