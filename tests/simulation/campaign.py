"""``python -m tests.simulation.campaign``: many seeds, on all cores.

Exit code 0: nothing was violated, and everything was reached. 1: a violation. 2: UNKNOWN, because
some edge, crash point or fault was never reached. 3: a wrong argument.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice
from random import Random
from typing import Any, TextIO

from seawall.errors import ExitCode
from seawall.processes.parent import signal_when_parent_dies
from tests.simulation.coverage import EXPECTED, missing, unknown
from tests.simulation.faults import Faults, drawn
from tests.simulation.world import Outcome, Plan, World, outcome_of, run
from venue.crash_points import CRASH_POINTS, RAIL_CRASH_POINTS, Moment, RailStep, Step

_CHUNK = 5
_DARK = {"provider_dark": 0.6}
_DEAR = {"fee_spike": 1.0, "empty_blocks": 0.6}
_REFUSED = {"refused_destination": 0.6}
_RAIL_DARK = {"rail_dark": 0.6}
_RAILS_EVERY = 4
"""Every so many seeds somebody pays over a rail; settlers have nothing to do with most of these."""
_BOTH_EVERY = 5
_FORGETS_EVERY = 5
"""A provider that comes back from a backup needs a run in which nobody stands still meanwhile."""
LEADS_TO: dict[Step | RailStep, dict[str, float]] = {
    "move the lanes": _DARK,
    "count a failed signature": _DARK,
    "claim a top-up": {"large": 1.0},
    "claim a sweep": {"overfull": 1.0, "flips": 0.0},
    "claim a cancellation": _REFUSED,
    "claim a generation": {"restored_before": 1.0},
    "record a generation": {"restored_before": 1.0},
    "record a replacement": _DEAR,
    "store a replacement": _DEAR,
    "admit again": {"flips": 6.0, "large": 0.6, "slow_database": 0.5},
    "send again": {"pool_forgets": 0.6},
    "post a cancellation": _REFUSED,
    "resume an asset": {"asset_paused": 8.0, "kill": 0.0, "freeze": 0.0},
    "leave the lease": {"stop": 1.0},
    "record a refusal": {"rail_refused": 0.5},
    "cancel at a provider": _RAIL_DARK,
    "move a rail": _RAIL_DARK,
    "open a rail": {"rail_restored": 1.0},
}
"""Faults that lead to a step that few runs take."""


def plan_of(seed: int) -> Plan:
    """What a seed of a campaign does.

    In every fourth somebody pays over a rail, and in every fifth of these settlers do beside it.
    Half of each kind let a process die at one crash point, in turn, once or twice in a row. One in
    seven of the others lets an endpoint lie with nobody to contradict it.
    """
    if seed % _RAILS_EVERY == 0:
        return _over_rails(seed)
    faults = drawn(Random(f"{seed} faults"))
    plan = Plan(faults=faults, lies_alone=seed % 7 == 0)
    if plan.lies_alone:
        others = Faults() if seed // 7 % 3 else faults  # few lies are told where all else fails too
        lies = replace(others, lies=1.0, refused_destination=0.5, cancellations=0.5)
        plan = replace(plan, faults=lies)
    return _dying(plan, seed // 2, CRASH_POINTS) if seed % 2 else plan


def _over_rails(seed: int) -> Plan:
    number = seed // _RAILS_EVERY
    faults = drawn(Random(f"{seed} faults"))
    if number % _FORGETS_EVERY == 1:
        faults = replace(faults, rail_forgets=1.0, freeze=0.0)
    plan = Plan(faults=faults, rails=True, networks=number % _BOTH_EVERY == 0)
    return _dying(plan, number // 2, RAIL_CRASH_POINTS) if number % 2 else plan


def _dying(
    plan: Plan, number: int, points: Sequence[tuple[Step, Moment] | tuple[RailStep, Moment]]
) -> Plan:
    """The plan, with the death of a process at one of ``points``, in turn."""
    step, moment = points[number % len(points)]
    return replace(
        plan,
        faults=replace(plan.faults or Faults(), **LEADS_TO.get(step, {})),
        crash_at=(step, moment),
        crashes=1 + number // len(points) % 2,
    )


@dataclass(kw_only=True)
class Summary:
    """What a campaign has shown so far."""

    seeds: int = 0
    failed: dict[int, list[str]] = field(default_factory=dict)
    reached: Counter[str] = field(default_factory=Counter)
    virtual_s: float = 0.0
    cpu_s: float = 0.0
    wall_s: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one run."""
        self.seeds += 1
        self.reached.update(outcome.reached)
        self.virtual_s += outcome.virtual_s
        self.cpu_s += outcome.cpu_s
        if outcome.violations:
            self.failed[outcome.seed] = [str(each) for each in outcome.violations]

    @property
    def exit_code(self) -> ExitCode:
        """FAIL beats UNKNOWN beats PASS."""
        if self.failed or unknown(self.reached):
            return ExitCode.FAIL
        return ExitCode.UNKNOWN if missing(self.reached) else ExitCode.PASS

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "verdict": self.exit_code.name,
            "seeds": self.seeds,
            "seeds_per_hour": round(3_600 * self.seeds / max(self.wall_s, 1e-9)),
            "cpu_ms_per_seed": round(1_000 * self.cpu_s / max(self.seeds, 1), 1),
            "virtual_s": round(self.virtual_s),
            "wall_s": round(self.wall_s, 1),
            "failed": {str(seed): what for seed, what in sorted(self.failed.items())},
            "not_reached": missing(self.reached),
            "not_on_the_list": unknown(self.reached),
            "reached": dict(sorted(self.reached.items())),
        }


def replay_command(seed: int) -> str:
    """Shows one seed event by event."""
    return f"bin/seawall exec -- python -m tests.simulation.campaign --replay {seed}"


def run_many(seeds: range) -> list[Outcome]:
    """Run seeds in this process; without its log, which would cost a tenth of the time."""
    logging.disable(logging.CRITICAL)
    try:
        return [run(seed, plan_of(seed)) for seed in seeds]
    finally:
        logging.disable(logging.NOTSET)


def _begin() -> None:
    """No worker of a campaign that was killed goes on, and none looks for garbage in vain.

    What is imported stays, and a world falls apart as a whole after its run; looking for garbage
    again and again meanwhile was a fifth of the time.
    """
    signal_when_parent_dies(signal.SIGKILL)
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def campaign(
    first: int, count: int, *, processes: int, seconds_max: float | None, out: TextIO
) -> Summary:
    """Run ``count`` seeds from ``first`` on, or as many as ``seconds_max`` allows."""
    summary, began_s, said_s = Summary(), time.monotonic(), 0.0
    chunks: Iterator[range] = (
        range(start, min(start + _CHUNK, first + count))
        for start in range(first, first + count, _CHUNK)
    )
    with ProcessPoolExecutor(max_workers=processes, initializer=_begin) as pool:
        waiting = {pool.submit(run_many, chunk) for chunk in islice(chunks, 2 * processes)}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                for outcome in future.result():
                    summary.add(outcome)
                    out.writelines(
                        f"seed {outcome.seed}: {each}\n" for each in outcome.violations[:3]
                    )
                    if outcome.violations:
                        out.write(f"  replay: {replay_command(outcome.seed)}\n")
            summary.wall_s = time.monotonic() - began_s
            if seconds_max is None or summary.wall_s < seconds_max:
                waiting |= {pool.submit(run_many, chunk) for chunk in islice(chunks, len(done))}
            if summary.wall_s - said_s >= 10:
                said_s = summary.wall_s
                out.write(f"{_line(summary)}\n")
                out.flush()
    return summary


def _line(summary: Summary) -> str:
    found = summary.as_json()
    left = len(found["not_reached"])
    return (
        f"{summary.wall_s:8.1f} s  {summary.seeds:,} seeds, {len(summary.failed)} failed,"
        f" {found['seeds_per_hour']:,} an hour, {len(EXPECTED) - left} of {len(EXPECTED)} reached"
    )


def replay(seed: int, out: TextIO) -> int:
    """Run one seed and print its events and its log, both in virtual time."""
    world = World(seed, plan_of(seed))
    world.trace.listen = lambda line: out.write(f"{line}\n")

    class InVirtualTime(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            out.write(f"{world.loop.time():.6f}   {record.levelname} {record.getMessage()}\n")

    handler = InVirtualTime()
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    out.write(f"{world.plan}\n")
    try:
        outcome = outcome_of(world)
    finally:
        root.removeHandler(handler)
    out.writelines(f"{each}\n" for each in outcome.violations)
    out.write(f"seed {seed}, digest {outcome.digest}\n")
    return int(ExitCode.FAIL if outcome.violations else ExitCode.PASS)


def main(arguments: list[str] | None = None) -> int:
    """Run a campaign or replay a seed; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.campaign")
    parser.add_argument("--seeds", type=int, default=1_000, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds-max", type=float, help="start no more seeds after so long")
    parser.add_argument("--json", action="store_true", help="print the result for machines")
    parser.add_argument("--replay", type=int, metavar="SEED", help="show one seed instead")
    try:
        given = parser.parse_args(arguments)
    except SystemExit as error:
        return int(ExitCode.USAGE) if error.code else 0
    if given.replay is not None:
        return replay(given.replay, sys.stdout)
    if given.seeds < 1 or given.processes < 1:
        parser.print_usage(sys.stderr)
        return int(ExitCode.USAGE)
    out = sys.stderr if given.json else sys.stdout
    out.write(f"seeds {given.first} to {given.first + given.seeds - 1}\n")
    summary = campaign(
        given.first, given.seeds, processes=given.processes, seconds_max=given.seconds_max, out=out
    )
    out.write(f"{_line(summary)}\n")
    for name in missing(summary.reached):
        out.write(f"not reached: {name}\n")
    for name in unknown(summary.reached):
        out.write(f"on no list: {name}\n")
    if given.json:
        json.dump(summary.as_json(), sys.stdout, indent=1)
        sys.stdout.write("\n")
    out.write(f"{summary.exit_code.name}\n")
    return int(summary.exit_code)


if __name__ == "__main__":
    sys.exit(main())
