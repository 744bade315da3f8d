"""What became of a schedule.

Request rows in, ``requests.csv`` and the figures of ``flood.json`` out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from loadtests.arrivals import MICROSECONDS, PHASES, Arrival

Outcome = Literal["accepted", "replayed", "refused", "failed"]
"""Acknowledged (accepted, or replayed for a repeat), refused by the venue with a code, or not
answered as the contract says.
"""
ACKNOWLEDGED: frozenset[str] = frozenset({"accepted", "replayed"})
MS = 1_000.0


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One request that left; times in Unix seconds, status 0 if no answer came."""

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
        """Milliseconds from the planned instant, so a sender that was held up hides nothing."""
        return (self.done_at - self.planned_at) * MS

    @property
    def lag_ms(self) -> float:
        """Milliseconds by which the request left late."""
        return (self.sent_at - self.planned_at) * MS

    def packed(self) -> list[Any]:
        """The fields as a list, for the wire between worker and master.

        :meth:`unpacked` reverses it.
        """
        return list(astuple(self))

    @classmethod
    def unpacked(cls, row: Sequence[Any]) -> Sent:
        """A row from the wire."""
        return cls(**dict(zip((field.name for field in fields(cls)), row, strict=True)))


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
)


def write_requests(sent: Iterable[Sent], path: Path) -> None:
    """One line per request that left, in planned order; an arrival without a line was missed."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in sorted(sent, key=lambda row: row.index):
            times = (
                f"{row.planned_at:.6f}",
                f"{row.sent_at:.6f}",
                f"{row.done_at:.6f}",
                f"{row.latency_ms:.3f}",
            )
            writer.writerow((row.index, *times, row.status, row.outcome, row.error, row.worker))


def phase_bounds_us(
    knobs: Mapping[str, Any], arrivals: Sequence[Arrival]
) -> dict[str, tuple[int, int]]:
    """(start, end) of each phase in microseconds after zero.

    As planned, or as far as the arrivals of a plain schedule reach.
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
    sent: Mapping[int, Sent],
    *,
    bounds_us: Mapping[str, tuple[int, int]],
) -> dict[str, Any]:
    """Planned, sent, missed and acknowledged per phase, and the dispatch lag in milliseconds over
    all.
    """
    made: dict[str, Any] = {}
    for phase in PHASES:
        due = [arrival.index for arrival in arrivals if arrival.phase == phase]
        left = [sent[index] for index in due if index in sent]
        length_s = (bounds_us[phase][1] - bounds_us[phase][0]) / MICROSECONDS
        made[phase] = {
            "planned": len(due),
            "sent": len(left),
            "missed": len(due) - len(left),
            "acknowledged": sum(row.outcome in ACKNOWLEDGED for row in left),
            "refused": sum(row.outcome == "refused" for row in left),
            "failed": sum(row.outcome == "failed" for row in left),
            "offered_per_s": round(len(left) / length_s, 3) if length_s else 0.0,
        }
    lags = sorted(row.lag_ms for row in sent.values())
    made["dispatch_lag_ms"] = {
        "p50": percentile(lags, 50),
        "p99": percentile(lags, 99),
        "max": round(lags[-1], 3) if lags else None,
    }
    return made


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The smallest sample that is at or above ``percent`` % of the ``ordered`` ones.

    None without samples.
    """
    if not ordered:
        return None
    return round(ordered[max(0, -(-len(ordered) * percent // 100) - 1)], 3)
