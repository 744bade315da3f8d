"""What an exchange with a worker says about its clock, and what of it stands in ``flood.json``."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from loadtests.clocks import Exchange, answer, offset_of, question
from loadtests.coordinator import Coordinator
from tests.testing.flood_plans import arrival


def exchange(*, round_trip_s: float, told: float) -> Exchange:
    """Answered at second 100 of both clocks."""
    return Exchange(asked=100.0 - round_trip_s, answered=100.0, answered_at=1_000.0, told=told)


def test_the_fastest_exchange_counts_and_its_half_is_the_uncertainty() -> None:
    """The slow one says that the clock is 240 ms behind, but only to within 250 ms."""
    slow, fast = exchange(round_trip_s=0.5, told=999.51), exchange(round_trip_s=0.01, told=1_000.0)

    found = offset_of([slow, fast, slow])

    assert found is not None
    assert found.offset_ms == pytest.approx(5.0)
    assert found.uncertainty_ms == pytest.approx(5.0)


@pytest.mark.parametrize("read_after", [0.0, 0.25, 1.0])
def test_the_true_offset_is_within_the_uncertainty(read_after: float) -> None:
    """Whenever in the round trip the worker read its clock, which is 4 s behind."""
    round_trip_s = 0.02
    told = 1_000.0 - round_trip_s * (1 - read_after) - 4

    found = offset_of([exchange(round_trip_s=round_trip_s, told=told)])

    assert found is not None
    assert abs(found.offset_ms + 4_000) <= found.uncertainty_ms + 1e-6


def test_nothing_is_known_of_a_clock_that_was_not_told() -> None:
    """A missing answer is no offset of zero."""
    assert offset_of([]) is None


def test_every_worker_has_its_clock_in_the_summary_also_one_that_told_none(tmp_path: Path) -> None:
    """By the name that its requests carry; what is not known is null."""
    coordinator = Coordinator(arrivals=[arrival(0)], plan={}, out=tmp_path, progress=io.StringIO())
    for moment, told in (("before", 1_000.004), ("after", 1_000.007)):
        message = answer(question(moment, asked=99.998), told=told, worker="1")
        coordinator.add_clock("a", message, answered=100.0, now=1_000.0)
    coordinator.start({"a": 0, "b": 0}, now=100.0)
    coordinator.finish(now=110.0)

    flood = json.loads((tmp_path / "flood.json").read_text())

    assert flood["clocks"] == [
        {
            "worker": "1",
            "before": {"offset_ms": 5.0, "uncertainty_ms": 1.0},
            "after": {"offset_ms": 8.0, "uncertainty_ms": 1.0},
        },
        {"worker": "", "before": None, "after": None},
    ]
