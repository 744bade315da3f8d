"""What drill tests share: the command line, the timeline of a running game day, a kept sandbox."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
import httpx

from sandbox.identities import Identities
from sandbox.kept import SANDBOXES
from seawall.cache import cache_root
from seawall.formats.deployment import DEPLOYMENT_FILE

ROOT = Path(__file__).resolve().parents[2]
SEAWALL = ROOT / "bin" / "seawall"
RUNS = ROOT / "runs"
POLICY_PATH = ROOT / "policies" / "sandbox.yaml"
LEASE_TTL_S = 4.0
"""``lease_ttl`` of the game day in policies/sandbox.yaml; a test compares the two."""
SLACK_S = 1.0
"""How much longer than its time to live the undo of a lease may take."""
PROCESSES_MIN = 10
"""A sandbox that is up has more processes than this."""
MEASURE_TIMES = frozenset(
    {
        "failover.time",
        "page.failover",
        "page.protection",
        "protected.guarantees",
        "protection.time",
        "reads.balances",
        "reads.follow",
        "reads.login",
        "reads.status",
        "recovery.time",
        "stress.small_completed",
    }
)
"""Checks that fail for what came too late, and for nothing that was wrong."""
T = TypeVar("T")
Command = Callable[..., subprocess.CompletedProcess[str]]
"""Runs ``bin/seawall`` with its arguments, to its end."""


def seawall(
    *arguments: str, timeout_s: float = 400, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``bin/seawall`` to its end."""
    return subprocess.run(
        [str(SEAWALL), *arguments],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def measured(
    *arguments: str, run: Command = seawall, runs: Path = RUNS
) -> subprocess.CompletedProcess[str]:
    """Run a drill that is to pass, and once more if it was late on a machine with nothing left.

    That is what the verdict's note asks people to do. Only what measures a time is tried again, and
    a venue that is late by itself is late twice. ``run`` keeps its runs in ``runs``.
    """
    before = run_directories(runs)
    done = run(*arguments)
    made = run_directories(runs) - before
    if done.returncode != 1 or len(made) != 1:
        return done
    verdict = verdict_of(made.pop())
    late = set(verdict["failed"]) <= MEASURE_TIMES and not verdict["unknown"]
    if verdict["note"] is None or not late:
        return done
    print(f"{done.stdout}\n{verdict['note']}\nonce more")
    return run(*arguments)


def drill_result(
    *arguments: str, env: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """Run ``bin/seawall drill`` of one drill; its exit code and its verdict, also printed."""
    done = seawall("drill", *arguments, "--json", env=env)
    assert done.stdout, done.stderr
    result: dict[str, Any]
    [result] = json.loads(done.stdout)["drills"]
    print(json.dumps(result, indent=1)[:4000])
    return done.returncode, result


def not_passed(result: Mapping[str, Any]) -> dict[str, str]:
    """The outcome of each check of a drill's verdict that is not PASS."""
    return {check: outcome for check, outcome in result["checks"].items() if outcome != "PASS"}


def details_of(result: Mapping[str, Any], check: str) -> list[str]:
    """What a check of a drill's verdict names one by one."""
    [found] = [each for each in scorecard_of(Path(result["run"]))["checks"] if each["id"] == check]
    return list(found["details"])


@dataclass(frozen=True, kw_only=True)
class GameDay:
    """A game day that runs in a session of its own."""

    runner: subprocess.Popen[bytes]
    run_dir: Path
    run_id: str
    log: Path

    @classmethod
    def start(cls, *arguments: str, log: Path, command: tuple[str, ...] = ("gameday",)) -> GameDay:
        """Start ``bin/seawall`` with ``command``, its output in ``log``.

        Returns when it has a manifest.
        """
        before = run_directories()
        with log.open("wb") as output:
            runner = subprocess.Popen(
                [str(SEAWALL), *command, *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            run_dir = until(
                lambda: next(iter(run_directories() - before), None),
                within_s=60,
                what="a run directory",
            )
            manifest = run_dir / "manifest.json"
            until(lambda: manifest.is_file() or None, within_s=10, what="its manifest")
        except AssertionError:
            runner.kill()
            print(log.read_text(encoding="utf-8"))
            raise
        return cls(
            runner=runner, run_dir=run_dir, run_id=str(read_json(manifest)["run_id"]), log=log
        )

    @property
    def data_dir(self) -> Path:
        """Where its sandbox keeps its files."""
        return cache_root() / SANDBOXES / self.run_id

    def targets(self) -> dict[str, Any]:
        """The file that says where the parts of its sandbox are."""
        return read_json(self.data_dir / DEPLOYMENT_FILE)

    def event(self, name: str) -> dict[str, Any] | None:
        """The last event of that name on the timeline so far, or None."""
        path = self.run_dir / "timeline.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return next((event for event in reversed(events) if event["event"] == name), None)

    def wait_for(self, name: str, *, within_s: float = 180) -> dict[str, Any]:
        """Wait for an event on the timeline."""
        return until(lambda: self.event(name), within_s=within_s, what=name)

    def printed(self) -> str:
        """What it wrote to its terminal."""
        return self.log.read_text(encoding="utf-8")

    def end(self) -> None:
        """Stop it if a failed test left it running."""
        if self.runner.poll() is None:
            self.runner.terminate()
            try:
                self.runner.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.runner.kill()
                raise


@dataclass(frozen=True, kw_only=True)
class KeptSandbox:
    """The sandbox of ``bin/seawall up``."""

    data_dir: Path

    @property
    def urls(self) -> dict[str, str]:
        """Where its parts answer."""
        urls: dict[str, str] = read_json(self.data_dir / DEPLOYMENT_FILE)["urls"]
        return urls

    @property
    def outputs(self) -> dict[str, Any]:
        """The outputs of its stack."""
        return read_json(self.data_dir / "outputs.json")

    def client(self, service: str, region: str) -> Any:
        """A boto3 client with the deployer's key, as a person at a shell has one."""
        return deployer_client(self.data_dir, service, region)


def deployer_client(data_dir: Path, service: str, region: str) -> Any:
    """A boto3 client with the deployer's key for the sandbox in ``data_dir``."""
    deployer = Identities.read(data_dir / "identities.json").deployer
    session: Any = boto3.Session(
        aws_access_key_id=deployer.access_key_id, aws_secret_access_key=deployer.secret_access_key
    )
    endpoint = read_json(data_dir / DEPLOYMENT_FILE)["urls"]["aws"]
    return session.client(service, region_name=region, endpoint_url=endpoint)


def until(probe: Callable[[], T | None], *, within_s: float, what: str) -> T:
    """Wait for the first result of ``probe`` that is not None.

    Fails the test when ``within_s`` have passed. Where the product promises a bound, it is that
    bound; elsewhere it only ends a test that hangs.
    """
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = probe()
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {within_s:g} s")


def run_directories(runs: Path = RUNS) -> set[Path]:
    """All run directories of this clone, or in ``runs``."""
    if not runs.is_dir():
        return set()
    return {path for path in runs.iterdir() if path.is_dir() and not path.is_symlink()}


def latest_run(runs: Path = RUNS) -> Path:
    """The directory of the run that ended last."""
    return (runs / "latest").resolve()


def run_id_of(run_dir: Path) -> str:
    """The id of a run."""
    return str(read_json(run_dir / "manifest.json")["run_id"])


def processes_of(run_id: str) -> list[int]:
    """Processes whose environment carries the id of the run: after a teardown there are none."""
    wanted = f"SEAWALL_RUN_ID={run_id}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


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


def kill_the_runner(game_day: GameDay) -> None:
    """Kill -9 of a runner with ``--keep``: the sandbox stays, its fault ends with the lease."""
    game_day.runner.send_signal(signal.SIGKILL)
    game_day.runner.wait(timeout=5)
    endpoint = primary_kms(game_day.targets())
    until(
        lambda: answers(endpoint) or None,
        within_s=LEASE_TTL_S + SLACK_S,
        what="the region's endpoint answering",
    )
    assert len(processes_of(game_day.run_id)) > PROCESSES_MIN
    until(
        lambda: observers_of(game_day) == [] or None,
        within_s=LEASE_TTL_S + SLACK_S,
        what="the end of flood and prober",
    )


def observers_of(game_day: GameDay) -> list[str]:
    """The command lines of the run's flood, prober and experiment: they end with the runner."""
    found = []
    for pid in processes_of(game_day.run_id):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if any(name in command for name in ("loadtests.", "locustfile", "evidence.prober")):
            found.append(command)
    return found


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


def verdict_of(run_dir: Path) -> dict[str, Any]:
    """The verdict of a run."""
    return read_json(run_dir / "verdict.json")


def scorecard_of(run_dir: Path) -> dict[str, Any]:
    """The scorecard of a run: every check with its finding."""
    return read_json(run_dir / "scorecard.json")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a file."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
