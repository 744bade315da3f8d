"""A small deployment to inject faults into, for tests of chaos.

It has a real Toxiproxy before an HTTP service, a real lease holder, and a venue that follows the
drill contract.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from typing import Any

import httpx
import pytest
import yaml

from chaos.endpoint import probe
from tests.testing.deployments import NOTHING, urls, write_deployment

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
PROXY = f"kms.{REGION}"
EXPERIMENT = "signing-region-dark"
DARK = "2500ms"
FAULT = {
    "fault": "kms-dark",
    "target": "kms.primary",
    "parameters": {},
    "after_ms": 200,
    "length_ms": 2_500,
}
CONFIGURATION = {
    "drill": EXPERIMENT,
    "noop": "",
    "calm_ms": 5_000,
    "flood_ms": 60_000,
    "lease_ttl_ms": 3_000,
    "blast_radius": ["kms.primary"],
}
"""The fault and the configuration of the experiment, as Chaos Toolkit hands them to an action."""
TTL_S = 3.0
SLACK_S = 10.0
"""How long an undo may take beyond the lease's time to live.

One second is the promise of a machine that does nothing else; other workers run here.
"""


class Venue:
    """Enough of a venue and its Prometheus to be in a steady state.

    A payout is posted when its state is asked for the second time, unless ``stuck``.
    """

    def __init__(self) -> None:
        self.stuck = False
        self.asked: dict[str, int] = {}
        venue = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(venue.get(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status = 202 if self.path == "/v1/withdrawals" else 200
                self._answer(venue.post(self.path, json.loads(body or b"{}")), status)

            def _answer(self, content: dict[str, Any], status: int = 200) -> None:
                data = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def get(self, path: str) -> dict[str, Any]:
        """Answers of the venue and, under /api/v1, of its Prometheus."""
        if path.startswith("/api/v1/query"):
            value = str(time.time()) if "beat" in path else "0"
            return {"data": {"result": [{"metric": {}, "value": [0, value]}]}}
        if path == "/v1/status":
            promise = yaml.safe_load((ROOT / "policies/production.yaml").read_text())["tiers"][
                "normal"
            ]
            words = {key: promise[key] for key in ("guarantees", "defers", "suspends")}
            return {"tier": "normal", "epoch": 1, "since": 0.0, "reason": "calm", **words}
        if path == "/v1/balances":
            return {"balances": [{"network": "aster", "asset": "USDX", "available": "9000000"}]}
        identity = path.rpartition("/")[2]
        self.asked[identity] = self.asked.get(identity, 0) + 1
        state = "posted" if self.asked[identity] > 1 and not self.stuck else "slotted"
        return {"id": identity, "seq": 1, "state": state, "reason": None, "tx_hash": None}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A login, or a withdrawal."""
        if path == "/v1/login":
            return {"customer_id": 3, "session": "s"}
        return {
            "id": body["id"],
            "seq": 1,
            "state": "reserved",
            "size": "small",
            "outcome": "accepted",
            "deferred": False,
        }

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


def hurried_policy() -> dict[str, Any]:
    """Production's policy with a short fault and a fast small withdrawal.

    Whatever must be faster for these to be feasible is faster, too.
    """
    policy: dict[str, Any] = yaml.safe_load((ROOT / "policies/production.yaml").read_text())
    drill = policy["drills"][EXPERIMENT]
    drill["flood"] |= {"calm": "5s", "length": "60s"}
    drill["faults"][0] |= {"after": "200ms", "length": DARK}
    drill["lease_ttl"] = "3s"
    drill["expects"] = {"targets": ["failover_max", "recovery_max"]}
    drill["smallest"] |= {"calm": "5s", "flood": "50s", "fault": "2s"}
    policy["drills"] = {EXPERIMENT: drill}
    policy["gamedays"] = policy["gamedays"][:1]
    policy["readiness"] = [{"drill": EXPERIMENT, "within": "1d", "stack": "sandbox"}]
    policy["targets"] |= {"small_withdrawal_within": "5s", "failover_max": DARK}
    policy["treasury"] |= {"refill_lead_time": "2700ms", "top_up_every": "100ms"}
    policy["caps"]["contract"] |= {"window": "1s"}
    policy["caps"]["signer"] |= {"window": "1500ms"}
    policy["monitoring"] |= {"scrape_every": "100ms", "evaluate_every": "100ms"}
    for network in policy["networks"].values():
        network["block_time"] = "100ms"
    for trigger in policy["triggers"]:
        if trigger["name"] == "queue-ageing":
            trigger |= {"enter_at": "3s", "exit_below": "1500ms"}
        if trigger["name"] == "promise-at-risk":
            trigger |= {"enter_at": "4s", "exit_below": "1500ms"}
    return policy


class FaultHarness:
    """The deployment's addresses and files, the environment that names them, and what they show."""

    def __init__(self, folder: Path, venue: Venue, *, toxiproxy: str, lease: str) -> None:
        self.folder = folder
        self.venue = venue
        self.lease = lease
        listen = httpx.post(
            f"{toxiproxy}/proxies",
            json={"name": PROXY, "listen": "127.0.0.1:0", "upstream": venue.address},
            trust_env=False,
        ).json()["listen"]
        self.listen = listen
        self.toxics_url = f"{toxiproxy}/proxies/{PROXY}/toxics"
        url = f"http://{venue.address}"
        deployment_file = write_deployment(
            folder,
            run_dir=folder,
            toxiproxy=toxiproxy,
            proxies={PROXY: {"listen": listen, "upstream": venue.address}},
            signers={REGION: {"url": NOTHING, "operations_per_s": 60}},
            urls=urls(api=url, prometheus=url, lease=lease),
            customers=str(folder / "customers.csv"),
        )
        rows = "".join(f"{number},key-{number},aster,USDX,9000000\n" for number in range(1, 5))
        (folder / "customers.csv").write_text("customer_id,api_key,network,asset,amount\n" + rows)
        (folder / "policy.yaml").write_text(yaml.safe_dump(hurried_policy()))
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("SEAWALL_")},
            "SEAWALL_DEPLOYMENT": str(deployment_file),
            "SEAWALL_POLICY": str(folder / "policy.yaml"),
            "PYTHONPATH": str(ROOT),
        }

    @property
    def toxics(self) -> list[dict[str, Any]]:
        """The toxics on the key service's proxy."""
        return list(httpx.get(self.toxics_url, trust_env=False).json())

    def hangs(self) -> bool:
        """Whether a request to the key service gets no answer."""
        return probe(self.listen) == "silent"

    def timeline(self, source: str) -> list[dict[str, Any]]:
        """Facts in the timeline from ``source``, in order."""
        path = self.folder / "timeline.jsonl"
        lines = (
            [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        )
        return [line for line in lines if line["source"] == source]


@contextmanager
def running(
    *command: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process whose output can be read; killed at the end."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    """The next line of ``process``."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def wait_for(condition: Callable[[], object], *, within_s: float) -> float:
    """Wait until ``condition`` holds; returns how long that took in seconds."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within_s, f"not within {within_s} s"
        time.sleep(0.02)
    return time.monotonic() - started


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[FaultHarness]:
    """A whole deployment on free ports."""
    with ExitStack() as stack:
        venue = Venue()
        stack.callback(venue.close)
        proxies = stack.enter_context(toxiproxy())
        holder = stack.enter_context(
            running(
                sys.executable, "-m", "seawall.lease", "--data-dir", str(tmp_path), "--port", "0"
            )
        )
        lease = first_line(holder).split()[-1]
        yield FaultHarness(tmp_path, venue, toxiproxy=proxies, lease=lease)
        holder.terminate()  # with its sentinel
        holder.wait(5)


@contextmanager
def toxiproxy() -> Iterator[str]:
    """A Toxiproxy without a proxy; yields the base URL of its interface."""
    server = which("toxiproxy-server")
    if server is None:
        pytest.fail("toxiproxy-server is not on PATH; run the tests by `make test`")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running(server, "-host", "127.0.0.1", "-port", str(port)):
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(url), within_s=5)
        yield url


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/version", trust_env=False).is_success
    except httpx.TransportError:
        return False
