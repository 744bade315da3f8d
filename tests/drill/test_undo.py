"""Undo always happens: whatever kills the runner, the processes end, or the fault does."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.testing.drill_kit import carriers, run_directories, run_id_of, saw, seawall, start, until

pytestmark = pytest.mark.drill

LEASE_TTL_S = 4.0
"""gamedays[0].lease_ttl of policies/sandbox.yaml.

Test_the_lease_is_what_the_policy_says keeps it honest.
"""
SLACK_S = 1.0
"""What the issue of a lease may take beyond its time to live."""
POINTS = (
    ("sandbox.started", 0.0),
    ("stack.up", 0.0),
    ("venue.ready", 0.0),
    ("calm.started", 0.0),
    ("run.started", 0.0),
    ("fault.applied", 0.0),
    ("fault.effective", 0.0),
    ("fault.effective", 6.0),
    ("fault.effective", 20.0),
    ("fault.cleared", 0.0),
)
"""Where the runner is killed: an event on the timeline and seconds after it."""


@pytest.fixture(autouse=True)
def _no_sandbox_left() -> Iterator[None]:
    yield
    seawall("down")


def _started(tmp_path: Path, *arguments: str) -> tuple[Any, Path]:
    before = run_directories()
    runner = start("gameday", "--seed", "5", *arguments, log=tmp_path / "out.txt")
    run_dir = until(
        lambda: next(iter(run_directories() - before), None), within_s=60, what="a run directory"
    )
    until(lambda: (run_dir / "manifest.json").is_file() or None, within_s=10, what="its manifest")
    return runner, run_dir


def _answers(listen: str) -> bool:
    """Whether the proxied endpoint answers at all within 300 ms: the probe outside the injector."""
    try:
        httpx.get(f"http://{listen}/", timeout=0.3)
    except httpx.HTTPError:
        return False
    return True


def test_the_lease_is_what_the_policy_says() -> None:
    """The constant above is a copy, so compare it."""
    from seawall.policy_file import load_policy

    policy = load_policy(Path(__file__).resolve().parents[2] / "policies" / "sandbox.yaml")
    assert policy.gameday().lease_ttl == LEASE_TTL_S * 1000


@pytest.mark.parametrize(
    ("event", "number"),
    [
        ("stack.up", signal.SIGINT),
        ("fault.effective", signal.SIGINT),
        ("fault.effective", signal.SIGTERM),
        ("fault.effective", signal.SIGKILL),
    ],
)
def test_without_keep_nothing_of_the_run_lives_five_seconds_after_its_runner(
    tmp_path: Path, event: str, number: signal.Signals
) -> None:
    """Interrupted while the venue comes up, and ended in every way in the middle of the run, with
    the region dark.
    """
    runner, run_dir = _started(tmp_path)
    run_id = run_id_of(run_dir)
    until(lambda: saw(run_dir, event), within_s=150, what=event)
    assert len(carriers(run_id)) > 10

    runner.send_signal(number)

    until(
        lambda: carriers(run_id) == [] or None, within_s=5, what=f"every process of {run_id} gone"
    )
    runner.wait(timeout=10)


@pytest.mark.parametrize(("event", "after_s"), POINTS)
def test_with_keep_the_sandbox_outlives_its_runner_and_the_fault_does_not(
    tmp_path: Path, event: str, after_s: float
) -> None:
    """Kill -9 at each point.

    Sandbox up, endpoint answering within lease + 1 s, payouts going on.
    """
    runner, run_dir = _started(tmp_path, "--keep")
    run_id = run_id_of(run_dir)
    until(lambda: saw(run_dir, event), within_s=150, what=event)
    time.sleep(after_s)  # how deep into the fault the runner dies is what varies

    runner.send_signal(signal.SIGKILL)
    runner.wait(timeout=5)

    targets = json.loads((_data_dir(run_id) / "deployment.json").read_text(encoding="utf-8"))
    listen = targets["proxies"][f"kms.{targets['regions']['primary']}"]["listen"]
    until(
        lambda: _answers(listen) or None,
        within_s=LEASE_TTL_S + SLACK_S,
        what="the region's endpoint answering",
    )
    assert len(carriers(run_id)) > 10
    if saw(run_dir, "venue.ready"):
        _pays(targets, _data_dir(run_id))


def test_the_fault_ends_with_its_lease_holder(tmp_path: Path) -> None:
    """Kill -9 of the lease holder under a live fault: the other half undoes it."""
    runner, run_dir = _started(tmp_path, "--keep")
    run_id = run_id_of(run_dir)
    until(lambda: saw(run_dir, "fault.effective"), within_s=150, what="the fault")
    targets = json.loads((_data_dir(run_id) / "deployment.json").read_text(encoding="utf-8"))
    listen = targets["proxies"][f"kms.{targets['regions']['primary']}"]["listen"]
    assert not _answers(listen)

    os.kill(targets["processes"]["lease"]["pid"], signal.SIGKILL)

    until(
        lambda: _answers(listen) or None,
        within_s=LEASE_TTL_S + SLACK_S,
        what="the region's endpoint answering",
    )
    runner.send_signal(signal.SIGKILL)
    runner.wait(timeout=5)


def _data_dir(run_id: str) -> Path:
    return (
        Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        / "seawall"
        / "sandboxes"
        / run_id
    )


def _pays(targets: dict[str, Any], data_dir: Path) -> None:
    """A small withdrawal of a customer is accepted and reaches the chain."""
    rows = [
        line.split(",")
        for line in (data_dir / "customers.csv").read_text(encoding="utf-8").splitlines()[1:]
    ]
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
    url = targets["urls"]["api_direct"]
    asked = httpx.post(f"{url}/v1/withdrawals", json=body, headers=headers, timeout=10)
    assert asked.status_code == 202, asked.text

    def posted() -> bool | None:
        state = httpx.get(f"{url}/v1/withdrawals/{body['id']}", headers=headers, timeout=10).json()[
            "state"
        ]
        return state == "posted" or None

    until(posted, within_s=30, what="the withdrawal posted")
