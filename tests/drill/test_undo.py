"""The undo always happens: without ``--keep`` the processes end, with it the fault ends.

`make test` kills at one early point and during the fault; `make nightly` kills at every point.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.kept import kept_data_dir
from seawall.policy_file import load_policy
from tests.testing.drill_kit import POLICY_PATH, GameDay, processes_of, seawall, until

pytestmark = pytest.mark.drill

LEASE_TTL_S = 4.0
"""``lease_ttl`` of the game day in policies/sandbox.yaml; a test compares the two."""
SLACK_S = 1.0
"""How much longer than its time to live the undo of a lease may take."""
HALF_END_S = 15.0
"""How long a sandbox that was coming up may take to end in order, services and all."""
PROCESSES_MIN = 10
"""A sandbox that is up has more processes than this."""


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


def answers(listen: str) -> bool:
    """Whether the endpoint behind the fault answers within 300 ms."""
    try:
        httpx.get(f"http://{listen}/", timeout=0.3)
    except httpx.HTTPError:
        return False
    return True


def primary_kms(targets: dict[str, Any]) -> str:
    """Host and port of the endpoint that the fault makes dark."""
    return str(targets["proxies"][f"kms.{targets['regions']['primary']}"]["listen"])


def test_the_lease_is_what_the_policy_says() -> None:
    assert load_policy(POLICY_PATH).gameday().lease_ttl == LEASE_TTL_S * 1000


@pytest.mark.parametrize(
    ("event", "number"),
    [
        ("stack.up", signal.SIGINT),
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


@pytest.mark.parametrize(
    ("event", "after_s"),
    [
        pytest.param("venue.ready", 0.0, marks=pytest.mark.nightly),
        pytest.param("calm.started", 0.0, marks=pytest.mark.nightly),
        pytest.param("run.started", 0.0, marks=pytest.mark.nightly),
        pytest.param("fault.applied", 0.0, marks=pytest.mark.nightly),
        ("fault.effective", 0.0),
        pytest.param("fault.effective", 6.0, marks=pytest.mark.nightly),
        pytest.param("fault.effective", 20.0, marks=pytest.mark.nightly),
        pytest.param("fault.cleared", 0.0, marks=pytest.mark.nightly),
    ],
)
def test_with_keep_the_sandbox_outlives_its_runner_and_the_fault_does_not(
    start: Any, event: str, after_s: float
) -> None:
    """Kill -9 of the runner, seconds after an event of the timeline.

    The sandbox is up, the endpoint answers within the lease + 1 s, and the venue pays.
    """
    game_day = start("--keep")
    game_day.wait_for(event)
    time.sleep(after_s)

    game_day.runner.send_signal(signal.SIGKILL)
    game_day.runner.wait(timeout=5)

    targets = game_day.targets()
    until(
        lambda: answers(primary_kms(targets)) or None,
        within_s=LEASE_TTL_S + SLACK_S,
        what="the region's endpoint answering",
    )
    assert len(processes_of(game_day.run_id)) > PROCESSES_MIN
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


def pays_a_withdrawal(game_day: GameDay) -> None:
    """A small withdrawal of a customer is accepted and reaches the chain."""
    rows = [
        line.split(",")
        for line in (game_day.data_dir / "customers.csv").read_text(encoding="utf-8").splitlines()
    ][1:]
    key, network = next(
        (row[1], row[2]) for row in rows if row[3] == "USDX" and int(row[4]) > 50_000_000
    )
    body = {
        "id": f"00000000-0000-4000-8000-{time.time_ns() % 10**12:012d}",
        "network": network,
        "asset": "USDX",
        "amount": "1000000",
        "destination": "0x" + "5e" * 20,
    }
    headers = {"Authorization": f"Bearer {key}"}
    withdrawals = f"{game_day.targets()['urls']['api_direct']}/v1/withdrawals"
    asked = httpx.post(withdrawals, json=body, headers=headers, timeout=10)
    assert asked.status_code == 202, asked.text

    def posted() -> bool | None:
        answer = httpx.get(f"{withdrawals}/{body['id']}", headers=headers, timeout=10)
        return answer.json()["state"] == "posted" or None

    until(posted, within_s=30, what="the withdrawal posted")
