"""The kill switch in the emulated AWS, read in the runner's role and obeyed by a running flood."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from loadtests.arrivals import Arrival, write_arrivals
from seawall.conventions import aws as aws_names
from seawall.conventions import environment as environment_names
from seawall.errors import ExitCode
from seawall.kill_switch import AccessKey, KillSwitchLocation, KillSwitchWatch, SsmKillSwitch
from tests.testing.aws_harness import PRIMARY, ROOT_KEY, STANDBY, client, running_aws
from tests.testing.deployments import urls, write_deployment

pytestmark = pytest.mark.integration

PARAMETER = aws_names.kill_switch("harbour")
SECONDS, RATE_PER_S = 20, 50
STOP_S_MAX = 5.0
"""Two readings a second apart, and what Locust takes to quit on a busy machine."""


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with running_aws() as endpoint:
        yield endpoint


@pytest.fixture
def location(aws: str, tmp_path: Path) -> KillSwitchLocation:
    """An armed switch, and a role that may read nothing else."""
    for region in (PRIMARY, STANDBY):
        put(aws, region, aws_names.KILL_SWITCH_ARMED)
    iam = client("iam", aws, ROOT_KEY)
    if aws_names.gameday_role("harbour") not in [
        role["RoleName"] for role in iam.list_roles()["Roles"]
    ]:
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": "sts:AssumeRole",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(
            RoleName=aws_names.gameday_role("harbour"), AssumeRolePolicyDocument=document
        )
    key = AccessKey(
        access_key_id=ROOT_KEY["AWS_ACCESS_KEY_ID"],
        secret_access_key=ROOT_KEY["AWS_SECRET_ACCESS_KEY"],
    )
    (tmp_path / "key.json").write_text(key.model_dump_json(), encoding="utf-8")
    role = f"arn:aws:iam::123456789012:role/{aws_names.gameday_role('harbour')}"
    return KillSwitchLocation(
        parameter=PARAMETER,
        regions=(PRIMARY, STANDBY),
        endpoint=aws,
        role=role,
        credentials=tmp_path / "key.json",
    )


def put(aws: str, region: str, value: str) -> None:
    """What a person does to stop a drill."""
    client("ssm", aws, ROOT_KEY, region=region).put_parameter(
        Name=PARAMETER, Value=value, Type="String", Overwrite=True
    )


def test_a_switch_is_read_in_both_regions_and_a_flip_is_seen(
    aws: str, location: KillSwitchLocation
) -> None:
    watch = KillSwitchWatch(switches=[SsmKillSwitch(location=location)])
    watch.require_armed()
    watch.poll()
    assert watch() is None
    put(aws, STANDBY, aws_names.KILL_SWITCH_STOPPED)
    watch.poll()
    assert watch() == f"the kill switch in {STANDBY} says 'stopped'"
    assert watch.refusal() == f"the kill switch in {STANDBY} says 'stopped'"


def test_a_switch_that_is_not_there_lets_nothing_start(location: KillSwitchLocation) -> None:
    watch = KillSwitchWatch(
        switches=[
            SsmKillSwitch(location=location.model_copy(update={"parameter": "/seawall/none"}))
        ]
    )
    assert str(watch.refusal()).startswith(
        f"the kill switch in {PRIMARY} cannot be read: ParameterNotFound"
    )


class _Venue(BaseHTTPRequestHandler):
    """Acknowledges everything and remembers when."""

    protocol_version = "HTTP/1.1"
    asked_at: list[float]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.asked_at.append(time.time())
        body = b'{"outcome": "accepted"}'
        self.send_response(202)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def venue() -> Iterator[tuple[str, list[float]]]:
    asked_at: list[float] = []
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Handler", (_Venue,), {"asked_at": asked_at})
    )
    server.daemon_threads = True
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    ).start()
    yield f"http://127.0.0.1:{server.server_port}", asked_at
    server.shutdown()
    server.server_close()


@pytest.fixture
def flood(
    tmp_path: Path, location: KillSwitchLocation, venue: tuple[str, list[float]]
) -> Iterator[list[subprocess.Popen[str]]]:
    """Starts floods of 20 s that know the switch; ends them."""
    arrivals = [
        Arrival(
            index=index,
            offset_us=index * 1_000_000 // RATE_PER_S,
            phase="run",
            attempt=1,
            id=f"id-{index}",
            customer_id=4,
            network="aster",
            asset="AST",
            amount=1,
            value_micro=1,
            size="small",
            destination="0x" + "1" * 40,
        )
        for index in range(SECONDS * RATE_PER_S)
    ]
    write_arrivals(arrivals, tmp_path / "arrivals.csv")
    plan = {"seed": 1, "knobs": {"calm_ms": 0, "flood_ms": SECONDS * 1_000}, "scaling": {}}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    (tmp_path / "customers.csv").write_text(
        "customer_id,api_key,network,asset,amount\n4,sk_4,aster,AST,100000\n", encoding="utf-8"
    )
    deployment_file = write_deployment(
        tmp_path, urls=urls(api=venue[0]), kill_switch=location.model_dump(mode="json")
    )
    command = [sys.executable, "-m", "loadtests.flood", "--url", venue[0], "--workers", "1"]
    command += ["--arrivals", str(tmp_path / "arrivals.csv")]
    command += ["--customers", str(tmp_path / "customers.csv"), "--out", str(tmp_path)]
    environment = {**os.environ, environment_names.DEPLOYMENT_VARIABLE: str(deployment_file)}
    started = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
    ]
    yield started
    for process in started:
        process.terminate()
        process.wait(timeout=20)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def stopped_beforehand(aws: str, location: KillSwitchLocation) -> None:
    """A person stopped drills before this one began; ``location`` armed the switch."""
    assert location.parameter == PARAMETER
    put(aws, PRIMARY, aws_names.KILL_SWITCH_STOPPED)


@pytest.mark.usefixtures("stopped_beforehand")
def test_a_flood_does_not_start_when_drills_are_stopped(
    flood: list[subprocess.Popen[str]], venue: tuple[str, list[float]]
) -> None:
    [process] = flood
    assert process.stdout is not None
    lines = [json.loads(line) for line in process.stdout]
    refused = [line["reason"] for line in lines if line["event"] == "refused"]
    assert refused == [f"the kill switch in {PRIMARY} says 'stopped'"]
    assert process.wait(timeout=20) != ExitCode.PASS
    assert venue[1] == []


def test_a_running_flood_ends_when_a_person_stops_drills(
    aws: str, flood: list[subprocess.Popen[str]], venue: tuple[str, list[float]], tmp_path: Path
) -> None:
    [process] = flood
    assert process.stdout is not None
    stopped_at = None
    events = []
    for text in process.stdout:
        line = json.loads(text)
        events.append(line["event"])
        if stopped_at is None and line["event"] == "progress" and line["sent"] > 0:
            stopped_at = time.time()
            put(aws, STANDBY, aws_names.KILL_SWITCH_STOPPED)
        if line["event"] == "stopped":
            assert line["reason"] == f"the kill switch in {STANDBY} says 'stopped'"
    assert stopped_at is not None
    assert "stopped" in events
    assert process.wait(timeout=20) == ExitCode.UNKNOWN
    assert max(venue[1]) - stopped_at < STOP_S_MAX
    assert len(venue[1]) < SECONDS * RATE_PER_S
    assert json.loads((tmp_path / "flood.json").read_text(encoding="utf-8"))["complete"] is False
    with (tmp_path / "requests.csv").open(encoding="utf-8", newline="") as rows:
        assert len(list(csv.DictReader(rows))) > 0
