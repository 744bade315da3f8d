"""The kill switch, with readings and time given by the test, and hostile AWS environments."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from seawall import aws as aws_module
from seawall.conventions import aws
from seawall.conventions import environment as environment_names
from seawall.errors import DrillError, UsageError
from seawall.kill_switch import (
    READ_EVERY_S,
    UNREADABLE_S_MAX,
    AccessKey,
    KillSwitchLocation,
    KillSwitchWatch,
    Reading,
    SsmKillSwitch,
    kill_switch_reading,
    kill_switches,
)

ARMED, STOPPED = aws.KILL_SWITCH_ARMED, aws.KILL_SWITCH_STOPPED


class Regions:
    """A switch in two regions and a clock; None is a region that does not answer."""

    def __init__(self, primary: str | None = ARMED, standby: str | None = ARMED) -> None:
        self.values: dict[str, str | None] = {"primary": primary, "standby": standby}
        self.now_s = 1_000.0

    def read(self) -> Reading:
        """What each region says now."""
        says = {region: value for region, value in self.values.items() if value is not None}
        return kill_switch_reading(
            says, {region: "no answer" for region in self.values if region not in says}
        )

    def watch(self) -> KillSwitchWatch:
        """A watch of this switch, with this clock."""
        return KillSwitchWatch(switches=[self], monotonic_s=lambda: self.now_s)

    def pass_s(self, watch: KillSwitchWatch, seconds: float) -> str | None:
        """Let time pass, with a reading each second; returns what the watch says then."""
        for _ in range(round(seconds / READ_EVERY_S)):
            self.now_s += READ_EVERY_S
            watch.poll()
        return watch()


@pytest.mark.parametrize(
    ("primary", "standby", "because"),
    [
        (STOPPED, ARMED, "the kill switch in primary says 'stopped'"),
        (ARMED, STOPPED, "the kill switch in standby says 'stopped'"),
        (ARMED, "ARMED", "the kill switch in standby says 'ARMED'"),
        (None, ARMED, "the kill switch in primary cannot be read: no answer"),
        (ARMED, None, "the kill switch in standby cannot be read: no answer"),
        (None, STOPPED, "the kill switch in standby says 'stopped'"),
    ],
)
def test_nothing_starts_unless_every_region_was_read_and_says_armed(
    primary: str | None, standby: str | None, because: str
) -> None:
    watch = Regions(primary, standby).watch()
    assert watch.refusal() == because
    with pytest.raises(DrillError, match="no drill runs that cannot be stopped"):
        watch.require_armed()


def test_an_armed_switch_lets_a_drill_start_and_go_on() -> None:
    world = Regions()
    watch = world.watch()
    watch.require_armed()
    assert world.pass_s(watch, 3_600) is None


def test_one_stopped_region_ends_the_drill_at_the_next_reading_and_for_good() -> None:
    world = Regions()
    watch = world.watch()
    watch.require_armed()
    world.values["standby"] = STOPPED
    assert watch() is None
    assert world.pass_s(watch, READ_EVERY_S) == "the kill switch in standby says 'stopped'"
    world.values["standby"] = ARMED
    assert world.pass_s(watch, 60) == "the kill switch in standby says 'stopped'"


def test_the_loss_of_one_region_stops_nothing_because_the_drill_may_be_its_cause() -> None:
    world = Regions()
    watch = world.watch()
    watch.require_armed()
    world.values["primary"] = None
    assert world.pass_s(watch, 600) is None


def test_a_switch_that_no_region_can_read_ends_the_drill_after_its_bound_and_not_before() -> None:
    world = Regions()
    watch = world.watch()
    watch.require_armed()
    world.values = {"primary": None, "standby": None}
    assert world.pass_s(watch, UNREADABLE_S_MAX) is None
    assert (
        world.pass_s(watch, 1)
        == "nothing that could stop the drill was read for 10 s (the kill switch in primary cannot"
        " be read: no answer; the kill switch in standby cannot be read: no answer)"
    )


def test_a_reading_that_never_returns_counts_as_unreadable() -> None:
    """Reading is done in a thread, so asking the watch is not delayed by it."""
    world = Regions()
    watch = world.watch()
    watch.require_armed()
    world.now_s += UNREADABLE_S_MAX + 0.1
    assert str(watch()).startswith("nothing that could stop the drill was read for 10 s")


def test_the_bound_counts_from_the_first_question_if_nothing_was_ever_read() -> None:
    world = Regions(None, None)
    watch = world.watch()
    assert watch() is None
    assert world.pass_s(watch, UNREADABLE_S_MAX + 1) is not None


def test_all_switches_are_obeyed() -> None:
    one, other = Regions(), Regions(standby=STOPPED)
    assert (
        KillSwitchWatch(switches=[one, other]).refusal()
        == "the kill switch in standby says 'stopped'"
    )
    watch = KillSwitchWatch(switches=[one, other])
    watch.poll()
    assert watch() == "the kill switch in standby says 'stopped'"


def test_without_a_switch_there_is_nothing_to_obey() -> None:
    watch = KillSwitchWatch(switches=[])
    watch.require_armed()
    assert watch.start()() is None


def test_the_switch_of_the_stack_that_scheduled_a_runner_comes_from_its_environment() -> None:
    written = {"parameter": "/seawall/v/gameday/kill-switch", "regions": ["us-east-1"]}
    environment = {environment_names.KILL_SWITCH_VARIABLE: json.dumps(written)}
    [switch] = kill_switches(None, environment)
    assert isinstance(switch, SsmKillSwitch)
    assert (switch.location.parameter, switch.location.regions, switch.location.endpoint) == (
        written["parameter"],
        ("us-east-1",),
        None,
    )
    assert kill_switches(None, {}) == []
    assert len(kill_switches(switch.location, environment)) == 2


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        '{"parameter": "/x"}',
        '{"parameter": "/x", "regions": []}',
        '{"parameter": "/x", "regions": ["a"], "region": "b"}',
    ],
)
def test_a_switch_that_is_written_wrongly_is_refused_and_not_left_out(text: str) -> None:
    environment: Mapping[str, str] = {environment_names.KILL_SWITCH_VARIABLE: text}
    with pytest.raises(
        UsageError, match=f"{environment_names.KILL_SWITCH_VARIABLE} names no kill switch"
    ):
        kill_switches(None, environment)


def test_a_region_that_cannot_be_asked_is_unreadable_and_never_an_exception() -> None:
    location = KillSwitchLocation(
        parameter="/x",
        regions=("us-east-1",),
        endpoint="http://127.0.0.1:1",
        credentials=Path("/nonexistent"),
    )
    reading = SsmKillSwitch(location=location).read()
    assert reading.values == {}
    assert "FileNotFoundError" in reading.unreadable["the kill switch in us-east-1"]


class _Aws(BaseHTTPRequestHandler):
    """SSM with one parameter, and STS with one role."""

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if "AssumeRole" in text:
            body = (
                "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE"
                "</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
                "<Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>"
                "</AssumeRoleResponse>"
            )
        else:
            asked_by_role = "ASIAROLE" in self.headers["Authorization"]
            body = json.dumps({"Parameter": {"Value": ARMED if asked_by_role else "not the role"}})
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Aws)
    server.daemon_threads = True
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    ).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


DEAD = "http://127.0.0.1:1"
HOSTILE = {
    "a profile that is not there": {"AWS_PROFILE": "nobody"},
    "the old name of a profile": {"AWS_DEFAULT_PROFILE": "nobody"},
    "a configuration file that is none": {"AWS_CONFIG_FILE": "{garbage}"},
    "a credentials file that is none": {"AWS_SHARED_CREDENTIALS_FILE": "{garbage}"},
    "an endpoint for everything": {"AWS_ENDPOINT_URL": DEAD},
    "endpoints of services": {"AWS_ENDPOINT_URL_SSM": DEAD, "AWS_ENDPOINT_URL_STS": DEAD},
    "a certificate bundle that is not there": {"AWS_CA_BUNDLE": "/nonexistent"},
    "an unknown way to retry": {"AWS_RETRY_MODE": "never"},
    "an unknown checksum": {"AWS_REQUEST_CHECKSUM_CALCULATION": "sometimes"},
    "another account's keys": {"AWS_ACCESS_KEY_ID": "x", "AWS_SESSION_TOKEN": "y"},
    "an HTTP proxy": {"HTTP_PROXY": DEAD, "http_proxy": DEAD},
    "a SOCKS proxy": {"ALL_PROXY": "socks5h://127.0.0.1:1", "all_proxy": "socks5h://127.0.0.1:1"},
}


@pytest.mark.parametrize("variables", HOSTILE.values(), ids=HOSTILE)
def test_the_sandboxs_switch_is_read_whatever_the_users_environment_says(
    variables: dict[str, str], endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the user's AWS configuration and proxies nothing counts, also not for the role."""
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\xff\x00 [[ not a configuration\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(garbage=garbage))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    aws_module._session.cache_clear()
    key = tmp_path / "key.json"
    key.write_text(AccessKey(access_key_id="AKIA", secret_access_key="s").model_dump_json())
    switch = SsmKillSwitch(
        location=KillSwitchLocation(
            parameter="/x",
            regions=("us-east-1", "us-west-2"),
            endpoint=endpoint,
            role="arn:aws:iam::123456789012:role/gameday-runner",
            credentials=key,
        )
    )
    assert switch.read() == kill_switch_reading({"us-east-1": ARMED, "us-west-2": ARMED}, {})


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_switch_on_loopback_is_read_directly_with_the_users_own_credentials(
    variable: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a file of credentials the user's profile counts, but no proxy for this machine."""
    monkeypatch.setenv(variable, DEAD)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAROLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    location = KillSwitchLocation(parameter="/x", regions=("us-east-1",), endpoint=endpoint)
    assert SsmKillSwitch(location=location).read() == kill_switch_reading({"us-east-1": ARMED}, {})
