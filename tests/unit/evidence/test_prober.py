"""A probe's schedule on a clock that only sleeping moves."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from seawall.errors import ServiceError
from seawall.evidence.prober import Clocks, ProbeLog, repeat
from seawall.evidence.probes import Probe, Sample


class _EndError(Exception):
    """The test has seen enough."""


@dataclass
class _Clock:
    now: float = 0.0
    ends: float = 1.0
    asked: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now > self.ends:
            raise _EndError

    def clocks(self) -> Clocks:
        return Clocks(steady=lambda: self.now, wall=lambda: 1_000.0 + self.now, sleep=self.sleep)


def _run_for(
    clock: _Clock, answer_s: dict[int, float], error: Exception | None = None
) -> list[dict[str, Any]]:
    """Run a probe of period 0.25 s whose n-th answer takes ``answer_s[n]`` s; return its lines."""
    out = io.StringIO()

    async def ask() -> Sequence[Sample]:
        clock.asked.append(clock.now)
        clock.now += answer_s.get(len(clock.asked), 0.0)
        if error is not None:
            raise error
        return [Sample(probe="status", ok=True, detail={"tier": "normal"})]

    probe = Probe(name="status", period_s=0.25, ask=ask, about={"region": "here"})
    with pytest.raises(_EndError):
        asyncio.run(repeat(probe, ProbeLog(out), first_at=0.0, clocks=clock.clocks()))
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_samples_come_on_the_grid_and_are_written_with_wall_times() -> None:
    """Times do not drift by what an answer takes."""
    clock = _Clock()

    lines = _run_for(clock, {1: 0.0625, 2: 0.125})

    assert clock.asked == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert lines[1] == {
        "at": 1000.25,
        "done_at": 1000.375,
        "probe": "status",
        "ok": True,
        "detail": {"tier": "normal"},
    }


def test_a_slow_answer_skips_the_ticks_that_passed_and_none_is_made_up() -> None:
    """The gap shows; the next one is on the grid again."""
    clock = _Clock(ends=1.5)

    _run_for(clock, {2: 0.625})

    assert clock.asked == [0.0, 0.25, 1.0, 1.25, 1.5]


def test_a_failed_probe_is_a_sample_with_the_error() -> None:
    """A venue that does not answer is an observation, not the end of the observer."""
    lines = _run_for(_Clock(ends=0.3), {}, error=ServiceError("no answer"))

    assert [line["ok"] for line in lines] == [False, False]
    assert lines[0]["detail"] == {"region": "here", "error": "no answer"}


def test_a_bug_in_a_probe_is_no_sample() -> None:
    """A bug in a probe must end the prober, or it would be recorded as the venue's failure."""
    clock = _Clock()

    async def ask() -> Sequence[Sample]:
        raise AttributeError

    with pytest.raises(AttributeError):
        asyncio.run(
            repeat(
                Probe(name="x", period_s=1, ask=ask),
                ProbeLog(io.StringIO()),
                first_at=0.0,
                clocks=clock.clocks(),
            )
        )
