"""A lodged undo is made when its owner, the holder or the sentinel dies.

Real processes and signals.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from seawall.errors import ServiceError
from seawall.lease import LeaseClient, UndoCall
from tests.testing.deployments import write_deployment
from tests.testing.venue_harness import HANGS_AFTER_S

pytestmark = pytest.mark.integration

TTL_MS = 1_500
LONG_MS = 60_000
SLACK_S = 10.0
"""How long an undo may take beyond the lease's time to live.

One second is the promise of a machine that does nothing else; other workers run here.
"""


class Undone:
    """A service whose fault is undone by ``DELETE /fault``; remembers when."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.refusals = 0
        undone = self

        class Handler(BaseHTTPRequestHandler):
            def do_DELETE(self) -> None:
                if undone.refusals:
                    undone.refusals -= 1
                    self.send_response(500)
                else:
                    undone.times.append(time.monotonic())
                    self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/fault"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def undone() -> Iterator[Undone]:
    service = Undone()
    yield service
    service.close()


class Holder:
    """``python -m seawall.lease`` as the sandbox starts it, with a run in progress."""

    def __init__(self, folder: Path) -> None:
        write_deployment(folder, run_dir=folder)
        self.folder = folder
        command = [sys.executable, "-m", "seawall.lease", "--data-dir", str(folder), "--port", "0"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]

    @property
    def sentinel(self) -> int:
        """Process id of the sentinel, from the holder."""
        return int(httpx.get(self.url + "/leases", trust_env=False).json()["sentinel"])

    def events(self) -> list[str]:
        """What the run's timeline says about leases so far."""
        path = self.folder / "timeline.jsonl"
        return (
            [json.loads(line)["event"] for line in path.read_text().splitlines()]
            if path.exists()
            else []
        )

    def close(self) -> None:
        """End both processes."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(HANGS_AFTER_S)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    service = Holder(tmp_path)
    yield service
    service.close()


def wait_for(condition: Callable[[], object], *, within_s: float) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, f"not within {within_s} s"
        time.sleep(0.01)


def lodge(holder: Holder, undone: Undone, *, ttl_ms: int = TTL_MS) -> LeaseClient:
    client = LeaseClient(holder.url)
    client.lodge("fault", ttl_ms=ttl_ms, undo=[UndoCall(method="DELETE", url=undone.url)])
    return client


def test_an_owner_that_falls_silent_is_undone_after_its_time_to_live(
    holder: Holder, undone: Undone
) -> None:
    """Renewals put the undo off.

    Without them it is made within the time to live and a second, and the lease cannot be renewed.
    """
    undone.refusals = 2
    with lodge(holder, undone) as client:
        for _ in range(4):
            time.sleep(TTL_MS / 3_000)
            assert client.renew("fault")
        last = time.monotonic()
        assert not undone.times
        wait_for(lambda: undone.times, within_s=TTL_MS / 1_000 + SLACK_S)
        assert undone.times[0] - last >= TTL_MS / 1_000 - 0.1
        assert not client.renew("fault")
    wait_for(lambda: "expired" in holder.events(), within_s=HANGS_AFTER_S)
    assert holder.events() == ["lodged", "renewed", "renewed", "expired"]


def test_a_released_lease_is_not_undone(holder: Holder, undone: Undone) -> None:
    """An owner that undid its own fault has nothing undone later."""
    with lodge(holder, undone) as client:
        assert client.release("fault")
        assert not client.release("fault")
        time.sleep(TTL_MS / 1_000 + 0.3)
    assert not undone.times
    assert holder.events() == ["lodged", "released"]


@pytest.mark.parametrize("victim", ["holder", "sentinel"])
def test_the_death_of_either_process_undoes_at_once(
    holder: Holder, undone: Undone, victim: str
) -> None:
    """`kill -9` of one makes the other undo at once, and then end itself."""
    pid, sentinel = holder.process.pid, holder.sentinel
    with LeaseClient(holder.url) as client:
        client.lodge("fault", ttl_ms=LONG_MS, undo=[UndoCall(method="DELETE", url=undone.url)])
    os.kill(pid if victim == "holder" else sentinel, signal.SIGKILL)
    wait_for(lambda: undone.times, within_s=SLACK_S)
    wait_for(lambda: holder.events() == ["lodged", "expired"], within_s=HANGS_AFTER_S)
    assert holder.process.wait(HANGS_AFTER_S) == (-signal.SIGKILL if victim == "holder" else 1)
    wait_for(lambda: not _lives(sentinel), within_s=HANGS_AFTER_S)


def test_the_death_of_a_sentinel_that_had_not_read_everything_undoes_at_once(
    holder: Holder, undone: Undone
) -> None:
    """The socket to it is reset then, and not closed: one that was killed just after a lodging."""
    sentinel = holder.sentinel
    os.kill(sentinel, signal.SIGSTOP)
    with lodge(holder, undone, ttl_ms=LONG_MS):
        os.kill(sentinel, signal.SIGKILL)
        wait_for(lambda: undone.times, within_s=SLACK_S)
    assert holder.process.wait(HANGS_AFTER_S) == 1


def test_a_frozen_holder_is_replaced_by_the_sentinel(holder: Holder, undone: Undone) -> None:
    """A holder that does not run cannot keep a fault in force."""
    with lodge(holder, undone):
        os.kill(holder.process.pid, signal.SIGSTOP)
        try:
            wait_for(lambda: undone.times, within_s=TTL_MS / 1_000 + SLACK_S)
        finally:
            os.kill(holder.process.pid, signal.SIGCONT)


def test_a_signal_to_end_undoes_what_is_held(holder: Holder, undone: Undone) -> None:
    """SIGTERM leaves neither a fault nor a process."""
    sentinel = holder.sentinel
    with lodge(holder, undone, ttl_ms=LONG_MS):
        holder.process.terminate()
        assert holder.process.wait(HANGS_AFTER_S) == 0
    assert len(undone.times) == 1
    wait_for(lambda: not _lives(sentinel), within_s=HANGS_AFTER_S)


def test_leases_of_an_earlier_pair_of_processes_are_undone_first(
    tmp_path: Path, undone: Undone
) -> None:
    """If both processes died together, the next start still undoes what they held."""
    first = Holder(tmp_path)
    with lodge(first, undone, ttl_ms=LONG_MS):
        sentinel = first.sentinel
        os.kill(sentinel, signal.SIGSTOP)
        os.kill(first.process.pid, signal.SIGKILL)
        os.kill(sentinel, signal.SIGKILL)
    first.close()
    assert not undone.times
    second = Holder(tmp_path)
    second.close()
    assert len(undone.times) == 1


def test_a_name_that_is_held_is_refused_to_another(holder: Holder, undone: Undone) -> None:
    """Two runners cannot share a lease; the same request again is only a renewal."""
    with lodge(holder, undone, ttl_ms=LONG_MS) as client, LeaseClient(holder.url) as other:
        other.lodge("fault", ttl_ms=LONG_MS, undo=[UndoCall(method="DELETE", url=undone.url)])
        with pytest.raises(
            ServiceError, match=r"^the lease holder refused to lodge fault: HTTP 409 "
        ):
            other.lodge("fault", ttl_ms=LONG_MS, undo=[])
        assert client.release("fault")


def test_bad_requests_are_refused_by_name(holder: Holder) -> None:
    """Every problem of a request is named, and an unknown path is no expired lease."""
    with httpx.Client(base_url=holder.url, trust_env=False) as http:
        answer = http.put(
            "/leases/fault", json={"ttl_ms": 0, "undo": [{"method": "GET", "url": "ftp://x"}]}
        )
        assert answer.status_code == 422
        assert all(
            field in answer.json()["reason"] for field in ("ttl_ms", "undo.0.method", "undo.0.url")
        )
        assert http.patch("/leases/fault", json={}).status_code == 501
        assert http.post("/leases/fault/prolong").status_code == 405


def test_a_busy_port_is_one_clear_line(holder: Holder, tmp_path: Path) -> None:
    """Exit status 4 and no traceback."""
    port = holder.url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "seawall.lease", "--data-dir", str(tmp_path), "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr.startswith("lease: the lease holder cannot listen on 127.0.0.1:")
    assert ended.stderr.count("\n") == 1


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
