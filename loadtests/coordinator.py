"""The master's part of a flood.

One planned zero for all workers, every row collected, ``requests.csv`` and ``flood.json`` at the
end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from loadtests.arrivals import MICROSECONDS, Arrival
from loadtests.results import ACKNOWLEDGED, Sent, figures, phase_bounds_us, write_requests

RECENT_S = 2.0
SETTLED_S = 1.0
"""Rows travel in batches and only when answered, so the rate shown is of the two seconds before the
last one.
"""
LEAD_S = 1.0
"""Between the message that tells the zero and the zero itself.

Enough for every worker to have read it.
"""


@dataclass(kw_only=True)
class Worker:
    """What the master knows of one worker; ``shard`` says which arrivals are its own."""

    shard: int
    nice: int
    done: bool = False
    lost: bool = False


@dataclass(kw_only=True)
class Conductor:
    """Collects what the workers tell; pure but for the files that it is given."""

    arrivals: Sequence[Arrival]
    plan: dict[str, Any]
    out: Path
    progress: TextIO | None
    t_zero: float | None = None
    workers: dict[str, Worker] = field(default_factory=dict)
    sent: dict[int, Sent] = field(default_factory=dict)
    missed: dict[int, str] = field(default_factory=dict)

    @property
    def bounds_us(self) -> dict[str, tuple[int, int]]:
        """Start and end of each phase, in microseconds after zero."""
        return phase_bounds_us(self.plan.get("knobs", {}), self.arrivals)

    @property
    def ended(self) -> bool:
        """Whether no worker has anything left to tell."""
        return self.t_zero is not None and all(
            worker.done or worker.lost for worker in self.workers.values()
        )

    @property
    def complete(self) -> bool:
        """Whether the whole schedule was run: every worker told everything."""
        return self.t_zero is not None and all(worker.done for worker in self.workers.values())

    def start(self, nice: Mapping[str, int], *, now: float) -> dict[str, dict[str, Any]]:
        """Fix the zero and deal the arrivals out over the workers, given with their niceness.

        Returns the message for each.
        """
        self.t_zero = round(now + LEAD_S, 6)
        self.workers = {
            name: Worker(shard=shard, nice=nice[name]) for shard, name in enumerate(sorted(nice))
        }
        (self.out / "t_zero").write_text(f"{self.t_zero:.6f}\n", encoding="utf-8")
        bounds = self.bounds_us
        self.tell(
            "zero",
            t_zero=self.t_zero,
            run_at=self.t_zero + bounds["run"][0] / MICROSECONDS,
            ends_at=self.t_zero + bounds["run"][1] / MICROSECONDS,
            planned=len(self.arrivals),
            workers=len(self.workers),
        )
        return {
            name: {"t_zero": self.t_zero, "shard": worker.shard, "shards": len(self.workers)}
            for name, worker in self.workers.items()
        }

    def heard(self, name: str, report: dict[str, Any]) -> None:
        """Take in what a worker reports: rows, missed arrivals, and whether it is done."""
        for row in report["rows"]:
            sent = Sent.unpacked(row)
            self.sent[sent.index] = sent
        self.missed.update((int(index), str(reason)) for index, reason in report["missed"])
        if name in self.workers and report["done"]:
            self.workers[name].done = True

    def alive(self, names: Sequence[str]) -> None:
        """Mark every worker that is not among ``names`` and has not said that it is done as lost."""
        for name, worker in self.workers.items():
            if name not in names and not worker.done and not worker.lost:
                worker.lost = True
                self.tell("worker.lost", worker=name, shard=worker.shard)

    def tick(self, *, now: float) -> None:
        """Tell how far the flood is."""
        if self.t_zero is None:
            return
        offset_us = int((now - self.t_zero) * MICROSECONDS)
        due = sum(arrival.offset_us <= offset_us for arrival in self.arrivals)
        recent = [
            row
            for row in self.sent.values()
            if now - RECENT_S - SETTLED_S < row.sent_at <= now - SETTLED_S
        ]
        self.tell(
            "progress",
            offset_s=round(offset_us / MICROSECONDS, 3),
            phase="calm" if offset_us < self.bounds_us["run"][0] else "run",
            due=due,
            sent=len(self.sent),
            missed=len(self.missed),
            acknowledged=sum(row.outcome in ACKNOWLEDGED for row in self.sent.values()),
            refused=sum(row.outcome == "refused" for row in self.sent.values()),
            failed=sum(row.outcome == "failed" for row in self.sent.values()),
            offered_per_s=round(len(recent) / RECENT_S, 1),
            latency_ms_recent_max=round(max((row.latency_ms for row in recent), default=0.0), 1),
        )

    def tell(self, event: str, **detail: Any) -> None:
        """Write one JSON line to the progress stream.

        Raises BrokenPipeError if whoever listened is gone.
        """
        if self.progress is not None:
            self.progress.write(
                json.dumps({"at": round(time.time(), 6), "event": event, **detail}) + "\n"
            )
            self.progress.flush()

    def finish(self, *, now: float) -> None:
        """Write ``requests.csv`` and ``flood.json``; an incomplete run says so."""
        write_requests(self.sent.values(), self.out / "requests.csv")
        reasons = sorted(set(self.missed.values()))
        flood = {
            "t_zero": self.t_zero,
            "seed": self.plan.get("seed"),
            "knobs": self.plan.get("knobs", {}),
            "scaling": self.plan.get("scaling", {}),
            **figures(self.arrivals, self.sent, bounds_us=self.bounds_us),
            "missed_because": {
                reason: sum(told == reason for told in self.missed.values()) for reason in reasons
            },
            "duration_s": round(now - self.t_zero, 3) if self.t_zero is not None else None,
            "workers": len(self.workers),
            "workers_nice": [worker.nice for worker in self.workers.values()],
            "workers_lost": sorted(name for name, worker in self.workers.items() if worker.lost),
            "complete": self.complete,
        }
        (self.out / "flood.json").write_text(json.dumps(flood, indent=2) + "\n", encoding="utf-8")
        self.tell(
            "ended",
            complete=self.complete,
            **{phase: flood[phase] for phase in ("calm", "run")},
            dispatch_lag_ms=flood["dispatch_lag_ms"],
        )
