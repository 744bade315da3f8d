"""The results of a flood: ``requests.csv`` and ``reads.csv``, and the figures of ``flood.json``.

Reads are counted apart from withdrawals, so that none of them can make a flood look larger.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self

from loadtests.arrivals import MICROSECONDS, PHASES, Arrival
from loadtests.reads import PlannedRead
from seawall.conventions.reads import ANSWERED, READS

Outcome = Literal["accepted", "replayed", "refused", "failed"]
"""What the venue answered.

``accepted``, or ``replayed`` for a repeat, acknowledge the request; ``refused`` comes with a code;
``failed`` is everything that is not an answer of the drill contract.
"""
ACKNOWLEDGED: frozenset[str] = frozenset({"accepted", "replayed"})
MS = 1_000.0


@dataclass(frozen=True, kw_only=True)
class _Exchange:
    """What came of one planned exchange; times in Unix seconds, status 0 without an answer."""

    index: int
    planned_at: float
    sent_at: float
    done_at: float
    status: int
    outcome: str
    error: str
    worker: str

    @property
    def latency_ms(self) -> float:
        """Milliseconds from the planned instant, so that a delay of the sender is not hidden."""
        return (self.done_at - self.planned_at) * MS

    def to_row(self) -> list[Any]:
        """The fields as a list, for the message from worker to master."""
        return list(astuple(self))

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """The inverse of :meth:`to_row`."""
        return cls(**dict(zip((field.name for field in fields(cls)), row, strict=True)))


@dataclass(frozen=True, kw_only=True)
class RequestResult(_Exchange):
    """The result of one request; times in Unix seconds, status 0 without an answer.

    ``venue_id`` is the venue's own name of the withdrawal, if it gave one.
    """

    venue_id: str = ""

    @property
    def lag_ms(self) -> float:
        """Milliseconds by which the request was sent late."""
        return (self.sent_at - self.planned_at) * MS


@dataclass(frozen=True, kw_only=True)
class ReadResult(_Exchange):
    """The result of one read; times in Unix seconds, status 0 without an answer.

    ``outcome`` is ``answered`` (and right), ``wrong`` (understood, and not what was asked for),
    ``refused`` (with a code) or ``failed`` (no answer of the drill contract); ``error`` says why.
    """

    operation: str


COLUMNS = (
    "index",
    "planned_at",
    "sent_at",
    "done_at",
    "latency_ms",
    "status",
    "outcome",
    "error",
    "worker",
    "venue_id",
)


READ_COLUMNS = (
    "index",
    "operation",
    "planned_at",
    "sent_at",
    "done_at",
    "latency_ms",
    "status",
    "outcome",
    "error",
    "worker",
)


def write_requests(results: Iterable[RequestResult], path: Path) -> None:
    """Write one line per request, in planned order; an arrival without a line was missed."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in sorted(results, key=lambda row: row.index):
            said = (row.status, row.outcome, row.error, row.worker, row.venue_id)
            writer.writerow((row.index, *_times(row), *said))


def write_reads(results: Iterable[ReadResult], path: Path) -> None:
    """Write one line per read, in planned order; a planned read without a line was missed."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(READ_COLUMNS)
        for row in sorted(results, key=lambda row: row.index):
            said = (row.status, row.outcome, row.error, row.worker)
            writer.writerow((row.index, row.operation, *_times(row), *said))


def _times(row: RequestResult | ReadResult) -> tuple[str, ...]:
    return (
        f"{row.planned_at:.6f}",
        f"{row.sent_at:.6f}",
        f"{row.done_at:.6f}",
        f"{row.latency_ms:.3f}",
    )


def phase_bounds_us(
    knobs: Mapping[str, Any], arrivals: Sequence[Arrival]
) -> dict[str, tuple[int, int]]:
    """(start, end) of each phase in microseconds after zero.

    They are those of the plan. A schedule without one ends with its last arrival.
    """
    if "calm_ms" in knobs and "flood_ms" in knobs:
        calm_us, flood_us = int(knobs["calm_ms"]) * 1_000, int(knobs["flood_ms"]) * 1_000
    else:
        calm_us = max(
            (arrival.offset_us for arrival in arrivals if arrival.phase == "calm"), default=0
        )
        flood_us = arrivals[-1].offset_us - calm_us
    return {"calm": (0, calm_us), "run": (calm_us, calm_us + flood_us)}


def figures(
    arrivals: Sequence[Arrival],
    results: Mapping[int, RequestResult],
    *,
    bounds_us: Mapping[str, tuple[int, int]],
) -> dict[str, Any]:
    """Numbers of requests and the rate per phase, and the dispatch lag over all in milliseconds."""
    found: dict[str, Any] = {}
    for phase in PHASES:
        due = [arrival.index for arrival in arrivals if arrival.phase == phase]
        sent = [results[index] for index in due if index in results]
        length_s = (bounds_us[phase][1] - bounds_us[phase][0]) / MICROSECONDS
        found[phase] = {
            "planned": len(due),
            "sent": len(sent),
            "missed": len(due) - len(sent),
            "acknowledged": sum(row.outcome in ACKNOWLEDGED for row in sent),
            "refused": sum(row.outcome == "refused" for row in sent),
            "failed": sum(row.outcome == "failed" for row in sent),
            "offered_per_s": round(len(sent) / length_s, 3) if length_s else 0.0,
        }
    lags = sorted(row.lag_ms for row in results.values())
    found["dispatch_lag_ms"] = {
        "p50": percentile(lags, 50),
        "p99": percentile(lags, 99),
        "max": round(lags[-1], 3) if lags else None,
    }
    return found


def read_figures(
    planned: Sequence[PlannedRead], results: Mapping[int, ReadResult]
) -> dict[str, dict[str, Any]]:
    """Numbers of reads by operation, and the latency of those that were answered in milliseconds.

    An operation of which nothing was planned is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for operation in READS:
        due = [read.index for read in planned if read.operation == operation]
        if not due:
            continue
        sent = [results[index] for index in due if index in results]
        answered = sorted(row.latency_ms for row in sent if row.outcome == ANSWERED)
        found[operation] = {
            "planned": len(due),
            "sent": len(sent),
            "missed": len(due) - len(sent),
            "answered": len(answered),
            "latency_ms": {"p50": percentile(answered, 50), "p99": percentile(answered, 99)},
        }
    return found


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The smallest sample at or above ``percent`` % of the ``ordered`` ones, if there are any."""
    if not ordered:
        return None
    return round(ordered[max(0, -(-len(ordered) * percent // 100) - 1)], 3)
