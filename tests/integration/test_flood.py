"""The flood against a real HTTP server: requests are sent on time, also while it is frozen."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from loadtests.arrivals import Arrival, write_arrivals

pytestmark = pytest.mark.integration

# A venue that acknowledges, and freezes for a second when a marked id arrives.
VENUE = """
import json, sys, time, uvicorn
seen = set()
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = (await receive()).get("body", b"")
    asked = json.loads(body) if body else {"id": "ping"}
    if asked["id"].startswith("freeze"):
        time.sleep(1.0)
    outcome = "replayed" if asked["id"] in seen else "accepted"
    seen.add(asked["id"])
    answer = json.dumps({"outcome": outcome}).encode()
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", lifespan="off")
"""
RATE_PER_S = 200


@pytest.fixture
def venue() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-c", VENUE, str(port)])
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            httpx.get(url, trust_env=False)
            break
        except httpx.TransportError:
            time.sleep(0.05)
    yield url
    server.kill()
    server.wait()


def _plan(folder: Path, *, seconds: int, frozen_at_s: float | None = None) -> None:
    """A run at an even ``RATE_PER_S``; the last request repeats the first."""
    count = RATE_PER_S * seconds
    frozen = None if frozen_at_s is None else int(frozen_at_s * RATE_PER_S)
    arrivals = [
        Arrival(
            index=index,
            offset_us=index * 1_000_000 // RATE_PER_S,
            phase="run",
            attempt=2 if index == count - 1 else 1,
            id="id-0" if index == count - 1 else f"{'freeze' if index == frozen else 'id'}-{index}",
            customer_id=4,
            network="aster",
            asset="AST",
            amount=1,
            value_micro=1,
            size="small",
            destination="0x" + "1" * 40,
        )
        for index in range(count)
    ]
    write_arrivals(arrivals, folder / "arrivals.csv")
    (folder / "plan.json").write_text(
        json.dumps({"seed": 1, "knobs": {"calm_ms": 0, "flood_ms": seconds * 1_000}, "scaling": {}})
    )
    (folder / "customers.csv").write_text(
        "customer_id,api_key,network,asset,amount\n4,sk_4,aster,AST,100000\n"
    )


def _start(folder: Path, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "loadtests.flood", "--url", url, "--workers", "2"]
    command += ["--arrivals", str(folder / "arrivals.csv")]
    command += ["--customers", str(folder / "customers.csv"), "--out", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def _wait_for(
    flood: subprocess.Popen[str], wanted: Callable[[dict[str, object]], bool]
) -> dict[str, object]:
    """The first progress line that is ``wanted``."""
    assert flood.stdout is not None
    for text in flood.stdout:
        line: dict[str, object] = json.loads(text)
        if wanted(line):
            return line
    raise AssertionError("the flood ended without saying so")


def _processes_of(session: int) -> list[str]:
    listed = subprocess.run(
        ["ps", "-o", "args=", "-s", str(session)], capture_output=True, text=True, check=False
    )
    return listed.stdout.splitlines()


def test_everything_offered_is_sent_and_a_frozen_venue_shows_from_the_planned_instant(
    tmp_path: Path, venue: str
) -> None:
    """Nothing is missed while the venue is frozen for a second.

    The latency of the 200 requests of that second falls evenly from 1 s to 0.
    """
    _plan(tmp_path, seconds=4, frozen_at_s=2.0)

    flood = _start(tmp_path, venue)
    zero = _wait_for(flood, lambda line: line["event"] == "zero")
    flood.communicate(timeout=60)
    result = json.loads((tmp_path / "flood.json").read_text())
    with (tmp_path / "requests.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    late = [float(row["latency_ms"]) for row in rows if 400 <= int(row["index"]) < 600]

    assert flood.returncode == 0
    assert result["complete"] is True
    assert result["t_zero"] == zero["t_zero"]
    assert {key: result["run"][key] for key in ("planned", "sent", "missed", "acknowledged")} == {
        "planned": 800,
        "sent": 800,
        "missed": 0,
        "acknowledged": 800,
    }
    assert result["run"]["offered_per_s"] == RATE_PER_S
    assert rows[-1]["outcome"] == "replayed"
    assert {row["worker"] for row in rows} == {"0", "1"}
    # Half of the 200 requests that were planned within the frozen second wait for more than half a
    # second. A closed load model would show one or two of them.
    assert sum(latency > 500 for latency in late) >= 90
    assert max(late) > 900


def test_sigterm_ends_all_of_it_within_two_seconds_and_marks_it_incomplete(
    tmp_path: Path, venue: str
) -> None:
    """What was sent until then is written; nothing is left behind."""
    _plan(tmp_path, seconds=30)
    flood = _start(tmp_path, venue)
    _wait_for(flood, lambda line: line["event"] == "progress" and int(str(line["sent"])) > 0)

    asked_at = time.monotonic()
    flood.send_signal(signal.SIGTERM)
    flood.communicate(timeout=10)
    took_s = time.monotonic() - asked_at
    result = json.loads((tmp_path / "flood.json").read_text())

    assert took_s < 2.0
    assert flood.returncode == 2
    assert result["complete"] is False
    assert result["run"]["missed"] > 0
    assert _processes_of(flood.pid) == []


def test_a_lost_worker_is_reported(tmp_path: Path, venue: str) -> None:
    """Its arrivals are missed, the others go on, and the flood does not end well."""
    _plan(tmp_path, seconds=6)
    flood = _start(tmp_path, venue)
    _wait_for(flood, lambda line: line["event"] == "progress" and int(str(line["sent"])) > 0)
    found = subprocess.run(
        ["pgrep", "-s", str(flood.pid), "-f", "locustfile.* --worker "],
        capture_output=True,
        text=True,
        check=True,
    )

    os.kill(int(found.stdout.split()[0]), signal.SIGKILL)
    flood.communicate(timeout=60)
    result = json.loads((tmp_path / "flood.json").read_text())

    assert flood.returncode == 2
    assert result["complete"] is False
    assert len(result["workers_lost"]) == 1
    assert 300 < result["run"]["missed"] < 650


def test_a_flood_that_cannot_begin_says_why_and_ends(tmp_path: Path) -> None:
    """Without a schedule: one line, an exit code, and no process that waits for ever."""
    command = [sys.executable, "-m", "loadtests.flood", "--arrivals", "none.csv"]
    command += ["--customers", "none.csv", "--url", "http://127.0.0.1:9", "--out", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 3
    assert ended.stderr.startswith("cannot read the arrivals none.csv: No such file or directory")
    assert ended.stdout == ""
