"""A probe on a fixed schedule, and the file that its samples go to."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

import httpx

from seawall.errors import ServiceError

ERROR_CHARACTERS_MAX = 200


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one look found; ``ok`` if it was answered as a healthy, willing venue would."""

    probe: str
    ok: bool
    detail: dict[str, Any] = field(default_factory=dict)


Look = Callable[[], Awaitable[Sequence[Sample]]]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A look that is taken every ``period_s``; ``about`` is the detail of its failures."""

    name: str
    period_s: float
    look: Look
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Time:
    """The clocks: a steady one for the schedule, the wall clock (Unix seconds) for the record."""

    steady: Callable[[], float]
    wall: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


class ProbeLog:
    """``probes.jsonl``: a line per sample, flushed at once so that a killed prober leaves what it
    saw.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, sample: Sample, *, at: float, done_at: float) -> None:
        """Append one sample, taken ``at`` and answered ``done_at`` (Unix seconds)."""
        line = {
            "at": round(at, 6),
            "done_at": round(done_at, 6),
            "probe": sample.probe,
            "ok": sample.ok,
            "detail": sample.detail,
        }
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.flush()


async def keep_looking(probe: Probe, log: ProbeLog, *, first_at: float, time: Time) -> None:
    """Look at ``first_at`` and every period after it, for ever.

    ``first_at`` is on the steady clock.

    A look that takes longer than its period costs the ticks that passed meanwhile: the gap in the
    record shows it, and no tick is made up for later.
    """
    tick = 0
    while True:
        wait = first_at + tick * probe.period_s - time.steady()
        if wait > 0:
            await time.sleep(wait)
        at = time.wall()
        try:
            samples = await probe.look()
        except (ServiceError, httpx.HTTPError, OSError, TimeoutError, ValueError) as error:
            text = (str(error) or type(error).__name__)[:ERROR_CHARACTERS_MAX]
            samples = [Sample(probe=probe.name, ok=False, detail={**probe.about, "error": text})]
        done_at = time.wall()
        for sample in samples:
            log.write(sample, at=at, done_at=done_at)
        passed = math.floor((time.steady() - first_at) / probe.period_s)
        tick = max(tick, passed) + 1
