"""The sandbox on real components.

It starts, is watched, raises a page, and leaves nothing behind however its runner ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from sandbox import reaper
from sandbox.environment import additions
from sandbox.kept import down, kept_data_dir
from sandbox.ports import pick_port
from sandbox.supervisor import Sandbox
from seawall.conventions import components, environment
from seawall.conventions import metrics as metrics_names
from seawall.errors import ComponentDiedError, PolicyError, PortBusyError
from seawall.formats.deployment import Network, RpcEndpoints
from seawall.policy_file import load_policy
from seawall.processes.readiness import http_answers, log_line
from seawall.setup import locate
from tests.testing.nightly import repetitions
from tests.testing.sandbox_runner import PROGRAMS, ROOT, start

pytestmark = pytest.mark.integration

GONE_WITHIN_S = 30.0
"""Only what stays takes that long. The five seconds of the README hold for a machine that has
nothing else to do: tests/drill/test_undo.py.
"""
PAGE_WITHIN_S = 25.0
"""Prometheus takes up to 10 s to begin scraping a new target (two delays of 5 s in its
discovery).
"""
START_WITHIN_S = 60.0


def _rpc(network: Network) -> RpcEndpoints:
    assert network.rpc is not None
    return network.rpc


EXPORTER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Metrics(BaseHTTPRequestHandler):
    def do_GET(self):
        body = open(sys.argv[2], "rb").read()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Metrics)
print("ready", flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    run_id = f"test-{uuid.uuid4().hex}"
    running = start(tmp_path_factory.mktemp("sandbox"), run_id)
    try:
        yield running
    finally:
        running.close()
        assert reaper.carriers(run_id) == set()
        assert sorted(path.name for path in running.data_dir.iterdir()) == ["logs"]


def rpc(url: str, method: str, *parameters: Any) -> Any:
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    return httpx.post(url, json=call, timeout=5).json()


async def test_the_database_answers_through_its_proxy_and_keeps_commit_times(
    sandbox: Sandbox,
) -> None:
    """With a password of this run; durable, on loopback only."""
    connection = await asyncpg.connect(sandbox.database_url("owner", through_proxy=True))
    try:
        settings = {
            name: await connection.fetchval(f"show {name}")
            for name in ("track_commit_timestamp", "fsync")
        }
        assert settings == {"track_commit_timestamp": "on", "fsync": "on"}
    finally:
        await connection.close()
    wrong = sandbox.database_url("owner").replace("postgres:", "postgres:x")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


def test_networks_have_the_policys_pace_and_finality_behind_their_endpoints(
    sandbox: Sandbox,
) -> None:
    """Finalized is two blocks behind; the endpoint serves no control method, the node does."""
    for network in sandbox.deployment.networks.values():
        deadline = time.monotonic() + 10
        while int(rpc(network.node, "eth_blockNumber")["result"], 16) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        latest = int(
            rpc(_rpc(network).primary, "eth_getBlockByNumber", "latest", False)["result"]["number"],
            16,
        )
        finalized = int(
            rpc(_rpc(network).standby, "eth_getBlockByNumber", "finalized", False)["result"][
                "number"
            ],
            16,
        )
        assert latest - finalized in (1, 2)  # a block may come between the two questions
        assert (
            rpc(_rpc(network).primary, "anvil_setBalance", "0x0", "0x1")["error"]["code"] == -32601
        )


def test_a_cut_proxy_cuts_and_heals(sandbox: Sandbox) -> None:
    """Faults are applied where deployment.json says."""
    targets = json.loads(sandbox.deployment.path.read_text())
    name = components.exchange_proxy("primary")
    url = f"http://{targets['proxies'][name]['listen']}/price?sell=AST&buy=USDX"
    assert httpx.get(url, timeout=2).status_code == 200
    httpx.post(f"{targets['toxiproxy']}/proxies/{name}", json={"enabled": False}).raise_for_status()
    with pytest.raises(httpx.TransportError):
        httpx.get(url, timeout=2)
    httpx.post(f"{targets['toxiproxy']}/proxies/{name}", json={"enabled": True}).raise_for_status()
    assert httpx.get(url, timeout=2).status_code == 200


def test_a_metric_over_its_threshold_reaches_the_pager(sandbox: Sandbox, tmp_path: Path) -> None:
    """Through Prometheus, Alertmanager and the pager's proxy, in the policy's time for a page."""
    metrics = tmp_path / "metrics"
    metrics.write_text(f"{metrics_names.TIER} 0\n")
    name = components.MODE_CONTROLLER_PROCESS
    port = str(sandbox.deployment.metrics_ports[name])
    sandbox.spawn(
        name, [sys.executable, "-c", EXPORTER, port, str(metrics)], ready=log_line("^ready$")
    )
    prometheus = sandbox.deployment.urls.prometheus

    def scraped() -> bool:
        return bool(
            httpx.get(f"{prometheus}/api/v1/query", params={"query": metrics_names.TIER}).json()[
                "data"
            ]["result"]
        )

    deadline = time.monotonic() + PAGE_WITHIN_S
    while not scraped():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    raised_at = time.time()
    metrics.write_text(f"{metrics_names.TIER} 2\n")
    pages: list[dict[str, Any]] = []
    while not pages:
        assert time.time() < raised_at + PAGE_WITHIN_S
        time.sleep(0.1)
        pages = [
            p
            for p in httpx.get(f"{sandbox.deployment.urls.pager}/pages").json()
            if p["alertname"] == metrics_names.ALERT_TIER_PROTECTED
        ]
    page_max_s = load_policy(ROOT / "policies" / "sandbox.yaml").targets.page_max / 1000
    assert pages[0]["received_at"] - raised_at <= page_max_s
    assert (pages[0]["severity"], pages[0]["status"]) == ("critical", "firing")
    sandbox.stop(name)


def test_a_shell_gets_the_deployment_but_not_the_id_of_the_run(sandbox: Sandbox) -> None:
    """Teardown ends every process that carries the id, and must not end the user's shell."""
    deployment = sandbox.deployment
    shell = additions(
        run_id=None, data_dir=deployment.data_dir, policy_path=deployment.policy, programs={}
    )
    assert shell[environment.DEPLOYMENT_VARIABLE] == str(deployment.path)
    assert environment.RUN_ID_VARIABLE not in shell
    assert environment.RUN_ID_VARIABLE in sandbox.environment


def test_a_component_that_dies_is_named_with_the_end_of_its_log(sandbox: Sandbox) -> None:
    """Last in this file: from here on this sandbox is broken."""
    sandbox.check()
    last_words = "print('ready', flush=True); raise SystemExit('no oil')"
    doomed = sandbox.spawn("doomed", [sys.executable, "-c", last_words])
    assert doomed.wait(timeout_s=10) == 1
    with pytest.raises(ComponentDiedError, match=r"^doomed died on its own") as caught:
        sandbox.check()
    assert "no oil" in caught.value.log_tail
    assert [status.name for status in sandbox.components() if status.died_at] == ["doomed"]


# --- the end of the runner
# -----------------------------------------------------------------------------------------


def run(data_dir: Path, run_id: str, *options: str, cache: Path) -> subprocess.Popen[bytes]:
    """A runner in a process of its own that has started its sandbox."""
    runner = begin(data_dir, run_id, *options, cache=cache)
    assert runner.stdout is not None
    assert runner.stdout.readline() == b"started\n"
    return runner


def begin(data_dir: Path, run_id: str, *options: str, cache: Path) -> subprocess.Popen[bytes]:
    """A runner in a process of its own that is about to start its sandbox."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.testing.sandbox_runner", str(data_dir), run_id, *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)}
        | ({"XDG_CACHE_HOME": str(cache)} if "--keep" in options else {}),
        stdout=subprocess.PIPE,
    )


@pytest.mark.parametrize(
    "number",
    repetitions([signal.SIGKILL, signal.SIGINT, signal.SIGTERM], keep=1),
    ids=lambda number: number.name,
)
def test_nothing_outlives_the_runner(number: signal.Signals, tmp_path: Path) -> None:
    """No process of the run, no child of PostgreSQL, no data."""
    run_id = f"test-{uuid.uuid4().hex}"
    data_dir = tmp_path / "data"
    with run(data_dir, run_id, cache=tmp_path) as runner:
        everyone = reaper.carriers(run_id)
        assert len(everyone) > 15
        runner.send_signal(number)
        deadline = time.monotonic() + GONE_WITHIN_S
        while (
            time.monotonic() < deadline
            and everyone & reaper.processes().keys() | reaper.carriers(run_id)
        ):
            time.sleep(0.05)
        assert not everyone & reaper.processes().keys()
        assert reaper.carriers(run_id) == set()
        runner.wait(GONE_WITHIN_S)
    while time.monotonic() < deadline + 2 and [path.name for path in data_dir.iterdir()] != [
        "logs"
    ]:
        time.sleep(0.05)
    assert [path.name for path in data_dir.iterdir()] == ["logs"]


@pytest.mark.parametrize(
    ("number", "started"), [(signal.SIGINT, 3), (signal.SIGTERM, 14)], ids=["early", "late"]
)
def test_a_start_that_is_interrupted_leaves_nothing(
    number: signal.Signals, started: int, tmp_path: Path
) -> None:
    """While parts are being prepared and awaited, as once they run."""
    run_id = f"test-{uuid.uuid4().hex}"
    with begin(tmp_path / "data", run_id, cache=tmp_path) as runner:
        deadline = time.monotonic() + START_WITHIN_S
        while len(reaper.carriers(run_id)) < started:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        runner.send_signal(number)
        assert runner.wait(GONE_WITHIN_S) != 0
    assert reaper.carriers(run_id) == set()
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["logs"]


def test_a_kept_sandbox_outlives_its_runner_until_it_is_taken_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found again, can be used and added to, and leaves nothing once it is down."""
    for (
        program
    ) in PROGRAMS:  # the runner looks into another cache: what this one's has goes on PATH
        monkeypatch.setenv("PATH", f"{locate(program).path.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run_id = f"test-{uuid.uuid4().hex}"
    data_dir = tmp_path / "data"
    try:
        with run(data_dir, run_id, "--keep", cache=tmp_path / "cache") as runner:
            runner.kill()
        time.sleep(1)  # the reaper's own delay: it must not have been at work
        assert kept_data_dir() == data_dir
        attached = Sandbox.attach(data_dir)
        assert http_answers(f"{attached.deployment.toxiproxy}/proxies")(attached)  # type: ignore[arg-type]
        assert "result" in rpc(_rpc(attached.deployment.networks["aster"]).primary, "eth_chainId")
        assert down() == data_dir
        assert kept_data_dir() is None
        assert [path.name for path in data_dir.iterdir()] == ["logs"]
    finally:
        assert reaper.reap(run_id) == set()


# --- starts that fail
# ------------------------------------------------------------------------------------------------


def test_busy_ports_are_one_clear_line_and_nothing_stays(tmp_path: Path) -> None:
    """Other ports are tried.

    When all attempts fail the error says so and every part that had started is gone.
    """
    policy_path = ROOT / "policies" / "sandbox.yaml"
    run_id = f"test-{uuid.uuid4().hex}"
    said: list[str] = []
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        busy = squatter.getsockname()[1]
        promised: set[int] = set()

        def pick() -> int:
            # Every attempt forgets the ports of the one before; within one, a port is promised
            # once.
            port = pick_port() if busy in promised else busy
            promised.add(port)
            return port

        def tell(line: str) -> None:
            said.append(line)
            promised.clear()

        with pytest.raises(PortBusyError, match="an address that it must bind is taken") as caught:
            Sandbox.start(
                policy=load_policy(policy_path),
                policy_path=policy_path,
                run_id=run_id,
                data_dir=tmp_path / "data",
                programs={name: locate(name).path for name in PROGRAMS},
                report=lambda line: tell(line) if line.endswith("trying other ports") else None,
                pick=pick,
            )
    assert len(said) == 2
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4
    assert reaper.carriers(run_id) == set()


def test_a_finality_that_the_nodes_cannot_have_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    """Evidence on another finality than the policy's would prove nothing."""
    policy_path = ROOT / "policies" / "sandbox.yaml"
    policy = load_policy(policy_path)
    deep = {
        name: network.model_copy(update={"finality_depth_blocks": 64})
        for name, network in policy.networks.items()
    }
    with pytest.raises(PolicyError, match="2 problems"):
        Sandbox.start(
            policy=policy.model_copy(update={"networks": deep}),
            policy_path=policy_path,
            run_id="never",
            data_dir=tmp_path / "data",
            programs={},
        )
    assert not (tmp_path / "data").exists()
