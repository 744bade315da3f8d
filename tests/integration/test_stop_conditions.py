"""A CloudWatch alarm of the emulated AWS that ends a drill in its middle, and one that is lost.

Flood and experiment are programs that do nothing; the loop that watches them is the drill's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seawall.conventions import aws as aws_names
from seawall.drill.shock import Shock
from seawall.drill.stop_conditions import stop_conditions
from seawall.errors import DrillError
from seawall.kill_switch import UNREADABLE_S_MAX, AccessKey, KillSwitchWatch
from seawall.policy.drilling import StopCondition
from tests.testing.aws_harness import PRIMARY, ROOT_KEY, client, running_aws
from tests.testing.deployments import make_deployment, urls
from tests.testing.shock_harness import EXPERIMENT, Hand, shock

pytestmark = pytest.mark.integration

SWITCH = aws_names.kill_switch("harbour")
ENDS_WHEN_ROLLED_BACK = 17
"""Exit code of the experiment that was asked to end, and did so by itself."""
WAITS = "import time; time.sleep(600)"


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with running_aws() as endpoint:
        yield endpoint


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A stop condition that is quiet, and the drill that it may end."""

    name: str
    cloudwatch: Any
    shock: Shock
    shown: list[str]
    run_dir: Path

    def trip(self) -> None:
        """As an evaluation does, or a person who wants the drill to end."""
        self.cloudwatch.set_alarm_state(
            AlarmName=self.name, StateValue="ALARM", StateReason="customers call"
        )

    def lose(self) -> None:
        """As somebody who removes alarms while a drill goes on."""
        self.cloudwatch.delete_alarms(AlarmNames=[self.name])

    def stopped(self) -> list[str]:
        """What the timeline says of it."""
        path = self.run_dir / "timeline.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        events = [json.loads(line) for line in lines]
        return [each["detail"]["reason"] for each in events if each["event"] == "stopped"]


@pytest.fixture
def alarm(aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Alarm:
    """In a sandbox, where nothing but the file of the kill switch leads to AWS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    name = f"seawall-{uuid.uuid4().hex[:8]}"
    cloudwatch = client("cloudwatch", aws, ROOT_KEY)
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Seawall",
        MetricName=name,
        Period=60,
        Statistic="Maximum",
        ComparisonOperator="GreaterThanThreshold",
        Threshold=10,
        EvaluationPeriods=1,
        TreatMissingData="notBreaching",
    )
    client("ssm", aws, ROOT_KEY).put_parameter(
        Name=SWITCH, Value=aws_names.KILL_SWITCH_ARMED, Type="String", Overwrite=True
    )
    key = AccessKey(
        access_key_id=ROOT_KEY["AWS_ACCESS_KEY_ID"],
        secret_access_key=ROOT_KEY["AWS_SECRET_ACCESS_KEY"],
    )
    (tmp_path / "key.json").write_text(key.model_dump_json(), encoding="utf-8")
    deployment = make_deployment(
        tmp_path,
        urls=urls(aws=aws),
        kill_switch={
            "parameter": SWITCH,
            "regions": [PRIMARY],
            "endpoint": aws,
            "credentials": str(tmp_path / "key.json"),
        },
    )
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    made, shown = shock(run_dir, Hand())
    condition = StopCondition.model_validate({"alarm": name, "region": PRIMARY})
    made.policy = made.policy.model_copy(update={"stop_conditions": {"on-call": condition}})
    stack: Any = made.stack
    stack.deployment = deployment
    made.switch = None  # the drill makes its own, of what policy and deployment name
    return Alarm(name=name, cloudwatch=cloudwatch, shock=made, shown=shown, run_dir=run_dir)


@pytest.fixture
def child() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts programs, and ends them."""
    started: list[subprocess.Popen[bytes]] = []

    def start(program: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def under_way(
    alarm: Alarm, child: Callable[[str], subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes], threading.Event]:
    """Flood, experiment, and what is set once the drill's loop watches both."""
    made, watched = alarm.shock, threading.Event()
    flood, experiment = child(WAITS), child(EXPERIMENT)
    assert experiment.stdout is not None
    assert experiment.stdout.readline() == b"ready\n"
    made._children["chaos"] = experiment

    def ended() -> None:
        flood.kill()
        flood.wait()

    made.flood = SimpleNamespace(  # type: ignore[assignment]
        process=flood,
        progress=SimpleNamespace(read=list),
        prepare=lambda: None,
        begin=lambda _meanwhile: made.clock(),
        end=ended,
        last_words=str,
    )
    for name in ("_await_nodes", "_await_steady", "_observe", "_await_flood"):
        monkeypatch.setattr(made, name, lambda **_: None)
    monkeypatch.setattr(made, "_start", lambda *_, **__: experiment)
    tick = made._tick

    def ticked(progress: Any) -> Any:
        watched.set()
        return tick(progress)

    monkeypatch.setattr(made, "_tick", ticked)
    return flood, experiment, watched


def _meanwhile(watched: threading.Event, act: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        if watched.wait(30):
            act()

    acting = threading.Thread(target=run)
    acting.start()
    return acting


def test_an_alarm_that_goes_off_ends_experiment_and_flood_at_once(
    alarm: Alarm,
    under_way: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes], threading.Event],
) -> None:
    """The experiment takes its fault back by itself, and the reason is the alarm's name."""
    flood, experiment, watched = under_way
    acting = _meanwhile(watched, alarm.trip)
    reason = f"the stop condition on-call holds: the alarm {alarm.name} in {PRIMARY} is ALARM"

    with pytest.raises(DrillError) as raised:
        alarm.shock.run()

    acting.join()
    assert str(raised.value).startswith(reason)
    assert alarm.stopped() == [reason]
    assert alarm.shown[-1] == f"stopped: {reason}"
    assert experiment.returncode == ENDS_WHEN_ROLLED_BACK
    assert flood.returncode is not None  # its ten minutes were not waited for


def test_an_alarm_that_cannot_be_read_any_more_ends_the_drill_after_ten_seconds(
    alarm: Alarm,
    under_way: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes], threading.Event],
) -> None:
    """And no sooner: one reading that fails means a busy machine."""
    _, experiment, watched = under_way
    now = [0.0]
    [condition] = stop_conditions(alarm.shock.policy, alarm.shock.deployment)
    read = condition.read
    readings: list[bool] = []

    def reading() -> Any:
        found = read()
        readings.append(bool(found.values))
        if readings[-1]:
            return found
        assert alarm.stopped() == []
        now[0] += UNREADABLE_S_MAX * 0.6
        return found

    condition.read = reading  # type: ignore[method-assign]
    alarm.shock.switch = KillSwitchWatch(switches=[condition], monotonic_s=lambda: now[0])
    acting = _meanwhile(watched, alarm.lose)

    with pytest.raises(DrillError) as raised:
        alarm.shock.run()

    acting.join()
    why = f"the stop condition on-call cannot be read: UsageError: there is no alarm {alarm.name}"
    assert why in str(raised.value)
    assert readings.count(False) >= 2
    assert experiment.returncode == ENDS_WHEN_ROLLED_BACK


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (Alarm.trip, "the stop condition on-call holds: the alarm {name} in us-east-1 is ALARM"),
        (Alarm.lose, "the stop condition on-call cannot be read: UsageError: there is no alarm"),
    ],
)
def test_nothing_begins_while_an_alarm_holds_or_cannot_be_read(
    before: Callable[[Alarm], None], why: str, alarm: Alarm
) -> None:
    before(alarm)

    with pytest.raises(DrillError) as raised:
        alarm.shock.run()

    assert why.format(name=alarm.name) in str(raised.value)
    assert list(alarm.run_dir.iterdir()) == []


def test_a_drill_goes_on_while_the_alarm_is_quiet(alarm: Alarm) -> None:
    """It is read again and again, with the credentials of the kill switch."""
    watch = alarm.shock._armed()
    try:
        for _ in range(3):
            watch.poll()
            assert watch() is None
    finally:
        watch.stop()
