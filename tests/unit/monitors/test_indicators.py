"""Which part of Prometheus' answer goes to CloudWatch.

Indicators that a living mode controller serves and a trigger watches; nothing replaces one that is
missing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from botocore.exceptions import EndpointConnectionError

from monitors import indicators
from monitors.indicators import Publisher, Turn, data_of, lines, query_of, turn_of
from seawall.conventions import metrics
from seawall.errors import ServiceError
from seawall.policy_file import load_policy

ROOT = Path(__file__).resolve().parents[3]
POLICY_PATH = ROOT / "policies" / "sandbox.yaml"
POLICY = load_policy(POLICY_PATH)
WATCHED = sorted({trigger.indicator for trigger in POLICY.triggers})
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def vector(**levels: str) -> dict[str, Any]:
    """An answer of Prometheus to an instant query."""
    result = [
        {"metric": {"indicator": name}, "value": [1.0, level]} for name, level in levels.items()
    ]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def calm() -> dict[str, Any]:
    return vector(**dict.fromkeys(WATCHED, "0.25"))


def test_every_indicator_that_a_trigger_watches_is_published_and_no_other() -> None:
    turn = turn_of(vector(**dict.fromkeys(WATCHED, "0.25"), invented="1"), POLICY)

    assert turn == Turn(values=dict.fromkeys(WATCHED, 0.25), missing=())
    assert data_of(turn, now=NOW) == [
        {
            "MetricName": "seawall_indicator",
            "Dimensions": [{"Name": "indicator", "Value": name}],
            "Timestamp": NOW,
            "Value": 0.25,
            "StorageResolution": 1,
        }
        for name in WATCHED
    ]


@pytest.mark.parametrize("level", [None, "NaN", "+Inf"])
def test_an_indicator_that_no_process_serves_is_missing_and_not_replaced(level: str | None) -> None:
    first, *others = WATCHED
    told = dict.fromkeys(others, "1") | ({} if level is None else {first: level})

    turn = turn_of(vector(**told), POLICY)

    assert turn.missing == (first,)
    assert first not in turn.values
    assert list(lines(turn, [])) == [
        f"no series for {first}: is the mode controller alive, and scraped?"
    ]


@pytest.mark.parametrize(
    "answer", [{}, [], {"data": {"result": [{"metric": {}, "value": [1, "1"]}]}}, {"data": None}]
)
def test_an_answer_that_is_no_vector_is_an_error(answer: Any) -> None:
    with pytest.raises(ServiceError, match="gave no vector"):
        turn_of(answer, POLICY)


def test_prometheus_itself_leaves_out_a_mode_controller_that_renews_no_lease(
    tmp_path: Path,
) -> None:
    """By its own tool: two mode controllers show a level, the worse one stopped renewing its lease.

    Of two that beat, the worse counts.
    """
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is not on PATH: run the tests with bin/seawall exec"
    silent_s = POLICY.monitoring.absent_for / 1_000
    at = 600

    def series(name: str, instance: str, level: float, **labels: str) -> dict[str, str]:
        told = "".join(f',{key}="{value}"' for key, value in labels.items())
        return {
            "series": f'{name}{{job="venue",instance="{instance}"{told}}}',
            "values": f"{level}x1000",
        }

    def judged(beats: dict[str, float], expected: float | None) -> dict[str, Any]:
        levels = {"one": 0.25, "two": 0.75}
        samples = (
            [] if expected is None else [{"labels": '{indicator="drawdown"}', "value": expected}]
        )
        return {
            "interval": "1s",
            "input_series": [
                *(
                    series(metrics.INDICATOR, name, level, indicator="drawdown")
                    for name, level in levels.items()
                ),
                *(
                    series(metrics.MODE_CONTROLLER_HEARTBEAT, name, beat)
                    for name, beat in beats.items()
                ),
            ],
            "promql_expr_test": [
                {"expr": query_of(POLICY), "eval_time": f"{at}s", "exp_samples": samples}
            ],
        }

    late, fresh = at - silent_s - 0.5, at - silent_s / 2
    file = tmp_path / "test.yml"
    cases = [
        judged({"one": fresh, "two": fresh}, 0.75),
        judged({"one": fresh, "two": late}, 0.25),
        judged({"one": late, "two": late}, None),
        judged({}, None),
    ]
    file.write_text(yaml.safe_dump({"evaluation_interval": "1s", "tests": cases}), encoding="utf-8")
    done = subprocess.run(
        [promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


class Region:
    """CloudWatch of one region; ``dark``: it cannot be reached."""

    def __init__(self, *, dark: bool = False) -> None:
        self.dark = dark
        self.got: list[dict[str, Any]] = []

    def put_metric_data(self, **call: Any) -> None:
        """Take it, or not."""
        if self.dark:
            raise EndpointConnectionError(endpoint_url="https://monitoring.example")
        self.got.append(call)


def publisher(*answers: Any, **regions: Region) -> Publisher:
    left = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params["query"] == query_of(POLICY)
        said = next(left)
        return (
            httpx.Response(said)
            if isinstance(said, int)
            else httpx.Response(200, text=json.dumps(said))
        )

    made = Publisher(
        POLICY, prometheus="http://prometheus.example", transport=httpx.MockTransport(answer)
    )
    made._clients = {name.replace("_", "-"): region for name, region in regions.items()}
    return made


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none that opens anything")


def test_a_region_that_fails_is_reported_and_the_other_gets_its_data() -> None:
    west, east = Region(dark=True), Region()

    found, failed = publisher(calm(), us_west_2=west, us_east_1=east).turn(now=NOW)

    assert found.missing == ()
    [line] = failed
    assert line.startswith("us-west-2 took nothing: ")
    assert east.got == [{"Namespace": "Seawall", "MetricData": data_of(found, now=NOW)}]


def test_nothing_is_published_if_no_process_serves_anything() -> None:
    east = Region()

    found, failed = publisher(vector(), us_east_1=east).turn(now=NOW)

    assert (list(found.missing), failed, east.got) == (WATCHED, [], [])


@pytest.mark.parametrize("answer", [503, "no json"])
def test_a_prometheus_that_does_not_answer_is_an_error(answer: Any) -> None:
    with pytest.raises(ServiceError, match="Prometheus"):
        publisher(answer, us_east_1=Region()).turn(now=NOW)


def test_the_service_continues_and_prints_changes_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Calm, calm, Prometheus away twice, calm again; then it is ended."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 5:
            raise KeyboardInterrupt

    east = Region()
    made = publisher(calm(), calm(), 503, 503, calm(), us_east_1=east)
    monkeypatch.setattr(indicators, "Publisher", lambda *_args, **_more: made)
    monkeypatch.setattr("monitors.indicators.time.sleep", sleep)

    code = indicators.main(
        ["--policy", str(POLICY_PATH), "--prometheus", "http://prometheus.example", "--every", "2"]
    )

    assert code == 0
    well, wrong, again = capsys.readouterr().err.splitlines()
    assert well == again == "every indicator is published in both regions"
    assert (
        wrong == "Prometheus answers 503 (until it does nothing is published, and the alarms fire)"
    )
    assert len(east.got) == 3
    assert all(0 < each <= 2 for each in slept)


def test_an_interval_that_would_leave_periods_empty_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        indicators.main(["--policy", str(POLICY_PATH), "--prometheus", "http://x", "--every", "10"])
    assert ended.value.code == 2
    assert "a period without a datum pages" in capsys.readouterr().err
