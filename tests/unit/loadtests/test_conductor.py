"""The master's bookkeeping: what is counted, and what makes a flood incomplete."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.arrivals import Arrival
from loadtests.coordinator import LEAD_S, Conductor
from loadtests.results import Sent, percentile


def _arrival(index: int, offset_us: int, phase: Any) -> Arrival:
    return Arrival(
        index=index,
        offset_us=offset_us,
        phase=phase,
        attempt=1,
        id=str(index),
        customer_id=4,
        network="aster",
        asset="AST",
        amount=1,
        value_micro=1,
        size="small",
        destination="0x" + "1" * 40,
    )


def _sent(index: int, outcome: str, *, late_s: float = 0.001) -> Sent:
    planned = 101.0 + index
    return Sent(
        index=index,
        planned_at=planned,
        sent_at=planned + late_s,
        done_at=planned + 0.25,
        status=202,
        outcome=outcome,
        error="",
        worker="0",
    )


@pytest.fixture
def conductor(tmp_path: Path) -> Conductor:
    arrivals = [
        _arrival(0, 0, "calm"),
        _arrival(1, 1_000_000, "run"),
        _arrival(2, 2_000_000, "run"),
        _arrival(3, 3_000_000, "run"),
    ]
    plan = {"seed": 7, "knobs": {"calm_ms": 1_000, "flood_ms": 4_000}, "scaling": {"source": "x"}}
    return Conductor(arrivals=arrivals, plan=plan, out=tmp_path, progress=io.StringIO())


def _flood(conductor: Conductor) -> dict[str, Any]:
    conductor.finish(now=110.0)
    return dict(json.loads((conductor.out / "flood.json").read_text()))


def test_every_worker_gets_the_same_zero_and_a_shard_of_its_own(conductor: Conductor) -> None:
    """The zero lies ahead, so that nobody starts late."""
    messages = conductor.start({"b": 0, "a": 0}, now=100.0)

    assert messages == {
        "a": {"t_zero": 100.0 + LEAD_S, "shard": 0, "shards": 2},
        "b": {"t_zero": 100.0 + LEAD_S, "shard": 1, "shards": 2},
    }
    assert (conductor.out / "t_zero").read_text() == "101.000000\n"


def test_a_whole_flood_is_complete_and_counted_by_phase(conductor: Conductor) -> None:
    """Refused is sent but not acknowledged; a replay is acknowledged."""
    conductor.start({"a": 0}, now=100.0)
    rows = [
        _sent(0, "accepted"),
        _sent(1, "replayed"),
        _sent(2, "refused"),
        _sent(3, "accepted", late_s=0.05),
    ]
    conductor.heard("a", {"rows": [row.packed() for row in rows], "missed": [], "done": True})

    flood = _flood(conductor)

    assert conductor.ended
    assert flood["complete"] is True
    assert flood["calm"] == {
        "planned": 1,
        "sent": 1,
        "missed": 0,
        "acknowledged": 1,
        "refused": 0,
        "failed": 0,
        "offered_per_s": 1.0,
    }
    assert flood["run"] == {
        "planned": 3,
        "sent": 3,
        "missed": 0,
        "acknowledged": 2,
        "refused": 1,
        "failed": 0,
        "offered_per_s": 0.75,
    }
    assert flood["dispatch_lag_ms"] == {
        "p50": pytest.approx(1.0),
        "p99": pytest.approx(50.0),
        "max": pytest.approx(50.0),
    }
    assert (flood["seed"], flood["scaling"]) == (7, {"source": "x"})


def test_missed_arrivals_are_missed_and_have_no_request(conductor: Conductor) -> None:
    """What did not leave has no line among the requests."""
    conductor.start({"a": 0}, now=100.0)
    rows = [_sent(0, "accepted").packed(), _sent(1, "accepted").packed()]
    conductor.heard("a", {"rows": rows, "missed": [[2, "late"], [3, "in flight"]], "done": True})

    flood = _flood(conductor)
    with (conductor.out / "requests.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))

    assert flood["run"]["missed"] == 2
    assert flood["missed_because"] == {"in flight": 1, "late": 1}
    assert [line["index"] for line in lines] == ["0", "1"]
    assert lines[1]["latency_ms"] == "250.000"


def test_a_lost_worker_makes_the_flood_incomplete_and_its_rest_missed(conductor: Conductor) -> None:
    """Nobody else takes over its arrivals."""
    conductor.start({"a": 0, "b": 0}, now=100.0)
    conductor.heard(
        "a",
        {
            "rows": [_sent(0, "accepted").packed(), _sent(2, "accepted").packed()],
            "missed": [],
            "done": True,
        },
    )
    conductor.heard("b", {"rows": [_sent(1, "accepted").packed()], "missed": [], "done": False})
    conductor.alive(["a"])

    flood = _flood(conductor)

    assert conductor.ended
    assert flood["complete"] is False
    assert flood["workers_lost"] == ["b"]
    assert flood["run"]["missed"] == 1


def test_a_worker_that_is_done_may_leave(conductor: Conductor) -> None:
    """Done is done: its absence afterwards is no loss."""
    conductor.start({"a": 0}, now=100.0)
    conductor.heard("a", {"rows": [], "missed": [], "done": True})
    conductor.alive([])

    assert conductor.complete


def test_a_flood_that_never_began_is_incomplete(conductor: Conductor) -> None:
    """No zero, no samples: nothing is claimed."""
    flood = _flood(conductor)

    assert flood["complete"] is False
    assert flood["t_zero"] is None
    assert flood["dispatch_lag_ms"] == {"p50": None, "p99": None, "max": None}


@pytest.mark.parametrize(("percent", "expected"), [(50, 2.0), (99, 4.0), (100, 4.0), (1, 1.0)])
def test_percentiles_are_samples(percent: int, expected: float) -> None:
    """Nothing is interpolated."""
    assert percentile([1.0, 2.0, 3.0, 4.0], percent) == expected
