"""The Locust master's part of a flood: one planned start for all workers, and all their results."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from loadtests.arrivals import MICROSECONDS, Arrival
from loadtests.clocks import Exchange, WorkerClock, offset_of
from loadtests.reads import PlannedRead
from loadtests.results import (
    ACKNOWLEDGED,
    ReadResult,
    RequestResult,
    figures,
    phase_bounds_us,
    read_figures,
    write_reads,
    write_requests,
)
from seawall.formats.atomic import write_whole

RECENT_S = 2.0
SETTLED_S = 1.0
"""The rate that is shown is that of RECENT_S, and ends SETTLED_S ago.

Results come in batches and only when answered, so the last second is not complete.
"""
LEAD_S = 1.0
"""From the message that names the zero to the zero itself: long enough to reach every worker."""


def own_part(
    arrivals: Sequence[Arrival], *, by_customer: bool, part: int, parts: int
) -> Sequence[Arrival]:
    """The arrivals that one of ``parts`` workers sends.

    They are dealt out in turn. Where customers log in, all requests of one customer are one
    worker's: a second login may end the first session.
    """
    if not by_customer:
        return arrivals[part::parts]
    names = sorted({arrival.customer_id for arrival in arrivals})
    own = set(names[part::parts])
    return [arrival for arrival in arrivals if arrival.customer_id in own]


def own_reads(reads: Sequence[PlannedRead], own: Sequence[Arrival]) -> Sequence[PlannedRead]:
    """The reads of the worker that sends ``own``: it alone knows what was acknowledged when."""
    indexes = {arrival.index for arrival in own}
    return [read for read in reads if read.request in indexes]


@dataclass(kw_only=True)
class Worker:
    """What the master knows of one worker; ``shard`` says which arrivals are its own."""

    shard: int
    nice: int
    done: bool = False
    lost: bool = False


@dataclass(kw_only=True)
class Coordinator:
    """Deals the arrivals out to the workers and collects their results.

    It knows nothing of Locust, and takes time from its caller.

    Attributes:
        arrivals: The whole schedule.
        reads: What its customers look at besides, of what the venue offers.
        api: Where the workers ask the venue.
        plan: Content of ``plan.json``, copied into ``flood.json``.
        out: Folder for the results.
        progress: Gets one JSON line per event; None discards them.
        t_zero: The planned zero in Unix seconds, once it is fixed.
        workers: By Locust's id.
        results: By the arrival's index.
        missed: Reason by index of the arrivals that were not sent.
        read_results: By the read's index.
        reads_missed: Reason by index of the reads that were not sent.
        clocks: What is known of each worker's clock, by Locust's id.
    """

    arrivals: Sequence[Arrival]
    plan: dict[str, Any]
    out: Path
    progress: TextIO | None
    reads: Sequence[PlannedRead] = ()
    api: str | None = None
    t_zero: float | None = None
    workers: dict[str, Worker] = field(default_factory=dict)
    results: dict[int, RequestResult] = field(default_factory=dict)
    missed: dict[int, str] = field(default_factory=dict)
    read_results: dict[int, ReadResult] = field(default_factory=dict)
    reads_missed: dict[int, str] = field(default_factory=dict)
    clocks: dict[str, WorkerClock] = field(default_factory=dict)
    _exchanges: dict[tuple[str, str], list[Exchange]] = field(default_factory=dict)

    @property
    def bounds_us(self) -> dict[str, tuple[int, int]]:
        """Start and end of each phase, in microseconds after zero."""
        return phase_bounds_us(self.plan.get("knobs", {}), self.arrivals)

    @property
    def lasts_s(self) -> float:
        """Seconds from the zero to the last thing that is planned."""
        last = [each[-1].offset_us for each in (self.arrivals, self.reads) if each]
        return max(last) / MICROSECONDS

    @property
    def ended(self) -> bool:
        """Whether no worker will report anything more."""
        return self.t_zero is not None and all(
            worker.done or worker.lost for worker in self.workers.values()
        )

    @property
    def complete(self) -> bool:
        """Whether the whole schedule was run and reported by every worker."""
        return self.t_zero is not None and all(worker.done for worker in self.workers.values())

    def start(self, nice: Mapping[str, int], *, now: float) -> dict[str, dict[str, Any]]:
        """Fix the zero and deal the arrivals out over the workers.

        Args:
            nice: Niceness of each worker's process by Locust's id.
            now: Unix seconds.

        Returns:
            The message for each worker: the zero, its shard, and the number of shards.
        """
        self.t_zero = round(now + LEAD_S, 6)
        self.workers = {
            name: Worker(shard=shard, nice=nice[name]) for shard, name in enumerate(sorted(nice))
        }
        write_whole(self.out / "t_zero", f"{self.t_zero:.6f}\n")
        bounds = self.bounds_us
        self.emit(
            "zero",
            t_zero=self.t_zero,
            run_at=self.t_zero + bounds["run"][0] / MICROSECONDS,
            ends_at=self.t_zero + bounds["run"][1] / MICROSECONDS,
            planned=len(self.arrivals),
            reads=len(self.reads),
            workers=len(self.workers),
        )
        return {
            name: {"t_zero": self.t_zero, "shard": worker.shard, "shards": len(self.workers)}
            for name, worker in self.workers.items()
        }

    def add_clock(self, name: str, told: Mapping[str, Any], *, answered: float, now: float) -> None:
        """Take in a worker's answer to the question what time it is.

        Args:
            name: Locust's id of the worker.
            told: The answer (:func:`loadtests.clocks.answer`).
            answered: When it came, in seconds of the clock that the question was stamped with.
            now: The same moment in Unix seconds.
        """
        clock = self.clocks.setdefault(name, WorkerClock(worker=str(told["worker"])))
        moment = str(told["moment"])
        exchanges = self._exchanges.setdefault((name, moment), [])
        exchanges.append(
            Exchange(
                asked=float(told["asked"]),
                answered=answered,
                answered_at=now,
                told=float(told["told"]),
            )
        )
        if moment == "before":
            clock.before = offset_of(exchanges)
        else:
            clock.after = offset_of(exchanges)

    def exchanges(self, name: str, moment: str) -> int:
        """How many answers of a worker about its clock came at this moment."""
        return len(self._exchanges.get((name, moment), ()))

    def emit_clocks(self, moment: str) -> None:
        """Write what is known of the clocks at ``moment``, ``before`` or ``after``."""
        known = {clock.worker: clock.to_json()[moment] for clock in self.clocks.values()}
        self.emit("clocks", moment=moment, workers=known)

    def add_report(self, name: str, report: dict[str, Any]) -> None:
        """Take in a worker's report: results, what was missed, and whether it is done."""
        for row in report["rows"]:
            result = RequestResult.from_row(row)
            self.results[result.index] = result
        self.missed.update((int(index), str(reason)) for index, reason in report["missed"])
        for row in report.get("reads", ()):
            read = ReadResult.from_row(row)
            self.read_results[read.index] = read
        self.reads_missed.update(
            (int(index), str(reason)) for index, reason in report.get("reads_missed", ())
        )
        if name in self.workers and report["done"]:
            self.workers[name].done = True

    def mark_lost(self, connected: Sequence[str]) -> None:
        """Mark every worker as lost that is neither ``connected`` nor done."""
        for name, worker in self.workers.items():
            if name not in connected and not worker.done and not worker.lost:
                worker.lost = True
                self.emit("worker.lost", worker=name, shard=worker.shard)

    def emit_progress(self, *, now: float) -> None:
        """Write how far the flood is; ``now`` is in Unix seconds."""
        if self.t_zero is None:
            return
        offset_us = int((now - self.t_zero) * MICROSECONDS)
        due = sum(arrival.offset_us <= offset_us for arrival in self.arrivals)
        results = self.results.values()
        recent = [
            result
            for result in results
            if now - RECENT_S - SETTLED_S < result.sent_at <= now - SETTLED_S
        ]
        self.emit(
            "progress",
            offset_s=round(offset_us / MICROSECONDS, 3),
            phase="calm" if offset_us < self.bounds_us["run"][0] else "run",
            due=due,
            sent=len(self.results),
            missed=len(self.missed),
            acknowledged=sum(result.outcome in ACKNOWLEDGED for result in results),
            refused=sum(result.outcome == "refused" for result in results),
            failed=sum(result.outcome == "failed" for result in results),
            offered_per_s=round(len(recent) / RECENT_S, 1),
            latency_ms_recent_max=round(max((row.latency_ms for row in recent), default=0.0), 1),
        )

    def emit(self, event: str, **detail: Any) -> None:
        """Write one JSON line to the progress stream.

        Raises:
            BrokenPipeError: The reader of the stream is gone.
        """
        if self.progress is not None:
            self.progress.write(
                json.dumps({"at": round(time.time(), 6), "event": event, **detail}) + "\n"
            )
            self.progress.flush()

    def finish(self, *, now: float) -> None:
        """Write ``requests.csv``, ``reads.csv``, and ``flood.json``.

        The last says whether the run is complete.
        """
        write_requests(self.results.values(), self.out / "requests.csv")
        write_reads(self.read_results.values(), self.out / "reads.csv")
        flood = {
            "t_zero": self.t_zero,
            "seed": self.plan.get("seed"),
            "knobs": self.plan.get("knobs", {}),
            "scaling": self.plan.get("scaling", {}),
            **figures(self.arrivals, self.results, bounds_us=self.bounds_us),
            "missed_because": dict(sorted(Counter(self.missed.values()).items())),
            "reads": read_figures(self.reads, self.read_results),
            "reads_missed_because": dict(sorted(Counter(self.reads_missed.values()).items())),
            "api": self.api,
            "duration_s": round(now - self.t_zero, 3) if self.t_zero is not None else None,
            "workers": len(self.workers),
            "workers_nice": [worker.nice for worker in self.workers.values()],
            "clocks": [
                (self.clocks.get(name) or WorkerClock(worker="")).to_json() for name in self.workers
            ],
            "workers_lost": sorted(name for name, worker in self.workers.items() if worker.lost),
            "complete": self.complete,
        }
        write_whole(self.out / "flood.json", json.dumps(flood, indent=2) + "\n")
        self.emit(
            "ended",
            complete=self.complete,
            **{phase: flood[phase] for phase in ("calm", "run")},
            dispatch_lag_ms=flood["dispatch_lag_ms"],
        )
