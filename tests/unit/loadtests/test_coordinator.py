"""The coordinator of a flood: what it counts, and what makes a flood incomplete."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.coordinator import LEAD_S, Coordinator, own_part
from loadtests.results import RequestResult, percentile
from tests.testing.flood_plans import arrival


def _result(index: int, outcome: str, *, late_s: float = 0.001) -> RequestResult:
    planned = 101.0 + index
    return RequestResult(
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
def coordinator(tmp_path: Path) -> Coordinator:
    arrivals = [
        arrival(0, offset_us=0, phase="calm"),
        arrival(1, offset_us=1_000_000, phase="run"),
        arrival(2, offset_us=2_000_000, phase="run"),
        arrival(3, offset_us=3_000_000, phase="run"),
    ]
    plan = {"seed": 7, "knobs": {"calm_ms": 1_000, "flood_ms": 4_000}, "scaling": {"source": "x"}}
    return Coordinator(arrivals=arrivals, plan=plan, out=tmp_path, progress=io.StringIO())


def _flood(coordinator: Coordinator) -> dict[str, Any]:
    coordinator.finish(now=110.0)
    return dict(json.loads((coordinator.out / "flood.json").read_text()))


def test_every_worker_gets_the_same_zero_and_a_shard_of_its_own(coordinator: Coordinator) -> None:
    """The zero is in the future, so that no worker starts late."""
    messages = coordinator.start({"b": 0, "a": 0}, now=100.0)

    assert messages == {
        "a": {"t_zero": 100.0 + LEAD_S, "shard": 0, "shards": 2},
        "b": {"t_zero": 100.0 + LEAD_S, "shard": 1, "shards": 2},
    }
    assert (coordinator.out / "t_zero").read_text() == "101.000000\n"


def test_a_whole_flood_is_complete_and_counted_by_phase(coordinator: Coordinator) -> None:
    """Refused is sent but not acknowledged; a replay is acknowledged."""
    coordinator.start({"a": 0}, now=100.0)
    rows = [
        _result(0, "accepted"),
        _result(1, "replayed"),
        _result(2, "refused"),
        _result(3, "accepted", late_s=0.05),
    ]
    coordinator.add_report(
        "a", {"rows": [row.to_row() for row in rows], "missed": [], "done": True}
    )

    flood = _flood(coordinator)

    assert coordinator.ended
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


def test_missed_arrivals_are_missed_and_have_no_request(coordinator: Coordinator) -> None:
    """What was not sent has no line among the requests."""
    coordinator.start({"a": 0}, now=100.0)
    rows = [_result(0, "accepted").to_row(), _result(1, "accepted").to_row()]
    coordinator.add_report(
        "a", {"rows": rows, "missed": [[2, "late"], [3, "in flight"]], "done": True}
    )

    flood = _flood(coordinator)
    with (coordinator.out / "requests.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))

    assert flood["run"]["missed"] == 2
    assert flood["missed_because"] == {"in flight": 1, "late": 1}
    assert [line["index"] for line in lines] == ["0", "1"]
    assert lines[1]["latency_ms"] == "250.000"


def test_a_lost_worker_makes_the_flood_incomplete_and_its_rest_missed(
    coordinator: Coordinator,
) -> None:
    """No other worker takes over its arrivals."""
    coordinator.start({"a": 0, "b": 0}, now=100.0)
    coordinator.add_report(
        "a",
        {
            "rows": [_result(0, "accepted").to_row(), _result(2, "accepted").to_row()],
            "missed": [],
            "done": True,
        },
    )
    coordinator.add_report(
        "b", {"rows": [_result(1, "accepted").to_row()], "missed": [], "done": False}
    )
    coordinator.mark_lost(["a"])

    flood = _flood(coordinator)

    assert coordinator.ended
    assert flood["complete"] is False
    assert flood["workers_lost"] == ["b"]
    assert flood["run"]["missed"] == 1


def test_a_worker_that_is_done_may_leave(coordinator: Coordinator) -> None:
    """Its absence is no loss, because it has reported everything."""
    coordinator.start({"a": 0}, now=100.0)
    coordinator.add_report("a", {"rows": [], "missed": [], "done": True})
    coordinator.mark_lost([])

    assert coordinator.complete


def test_a_flood_that_never_began_is_incomplete(coordinator: Coordinator) -> None:
    """No zero, no samples: nothing is claimed."""
    flood = _flood(coordinator)

    assert flood["complete"] is False
    assert flood["t_zero"] is None
    assert flood["dispatch_lag_ms"] == {"p50": None, "p99": None, "max": None}


@pytest.mark.parametrize(("percent", "expected"), [(50, 2.0), (99, 4.0), (100, 4.0), (1, 1.0)])
def test_percentiles_are_samples(percent: int, expected: float) -> None:
    """Nothing is interpolated."""
    assert percentile([1.0, 2.0, 3.0, 4.0], percent) == expected


@pytest.mark.parametrize("by_customer", [False, True])
def test_every_arrival_is_one_workers_and_a_customer_that_logs_in_is_not_shared(
    by_customer: bool,
) -> None:
    arrivals = [arrival(index, customer_id=f"c{index * index % 7}") for index in range(50)]
    parts = [own_part(arrivals, by_customer=by_customer, part=part, parts=3) for part in range(3)]
    assert sorted(each.index for part in parts for each in part) == list(range(50))
    assert all(list(part) == sorted(part, key=lambda each: each.index) for part in parts)
    customers = [{each.customer_id for each in part} for part in parts]
    shared = customers[0] & customers[1] | customers[1] & customers[2] | customers[0] & customers[2]
    assert bool(shared) != by_customer
