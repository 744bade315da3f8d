"""Runs the parts of `make check`, `make test` or `make nightly` and prints how long each took.

The Makefile says what a part does; this file says which parts belong together and how long they may
take on two cores when the caches are warm. A part over its limit is pointed out, but is no failure:
a slow machine is not a broken one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Parts that run one after another.

    Attributes:
        parts: targets of the Makefile in their order, with the limit of each in seconds.
        limit_s: the limit of all of them together.
        variables: what is set for make.
        keep_going: whether the parts after a failed one run, too.
    """

    parts: dict[str, float]
    limit_s: float
    variables: tuple[str, ...] = ()
    keep_going: bool = False


SUITES = {
    "check": Suite(parts={"lint": 2, "types": 4, "unit": 54}, limit_s=60),
    "test": Suite(
        parts={
            "set-up": 5,
            "lint": 5,
            "types": 15,
            "unit": 55,
            "contract": 15,
            "simulation": 25,
            "integration": 300,
            "drill": 780,
        },
        limit_s=20 * 60,
    ),
    "nightly": Suite(
        parts={
            "set-up": 5,
            "unit": 90,
            "contract": 15,
            "simulation": 60,
            "integration": 720,
            "drill": 2700,
        },
        limit_s=60 * 60,
        variables=("NIGHTLY=1",),
        keep_going=True,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A part that ran: its exit code and how long it took."""

    part: str
    code: int
    took_s: float


@dataclass(kw_only=True)
class Runner:
    """Runs a suite; ``run`` starts one part and returns its exit code."""

    suite: Suite
    run: Callable[[str], int]
    now_s: Callable[[], float] = time.monotonic
    finished: list[Finished] = field(default_factory=list)

    def run_all(self) -> bool:
        """Run the parts; whether all of them ended well."""
        for part in self.suite.parts:
            began_s = self.now_s()
            code = self.run(part)
            self.finished.append(Finished(part=part, code=code, took_s=self.now_s() - began_s))
            if code != 0 and not self.suite.keep_going:
                break
        return all(each.code == 0 for each in self.finished)

    def table(self) -> str:
        """A line for each part with seconds, limit and remarks, and the total."""
        finished = {each.part: each for each in self.finished}
        lines = [f"{'part':<14}{'seconds':>9}{'limit':>9}"]
        for part, limit_s in self.suite.parts.items():
            if part not in finished:
                lines.append(f"{part:<14}{'':>9}{limit_s:>9.0f}  not run")
                continue
            failed = "failed" if finished[part].code else ""
            lines.append(_line(part, finished[part].took_s, limit_s, failed))
        total_s = sum(each.took_s for each in self.finished)
        lines.append(_line("total", total_s, self.suite.limit_s, ""))
        return "\n".join(lines)


def _line(name: str, took_s: float, limit_s: float, remark: str) -> str:
    over = f"{took_s - limit_s:.0f} s OVER ITS LIMIT" if took_s > limit_s else ""
    remarks = ", ".join(filter(None, (remark, over)))
    return f"{name:<14}{took_s:>9.1f}{limit_s:>9.0f}  {remarks}".rstrip()


def _make(part: str, variables: Sequence[str]) -> int:
    # The calling make must not hand its own options on: it would print folders and warn of -j.
    inherited = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    environment = {name: value for name, value in os.environ.items() if name not in inherited}
    return subprocess.run(
        ["make", part, *variables], cwd=ROOT, env=environment, check=False
    ).returncode


def main() -> int:
    """Run a suite by its name; 1 if a part failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.testing.parts")
    parser.add_argument("suite", choices=sorted(SUITES))
    name: str = parser.parse_args().suite
    suite = SUITES[name]
    runner = Runner(suite=suite, run=lambda part: _make(part, suite.variables))
    try:
        passed = runner.run_all()
    except KeyboardInterrupt:
        passed = False
    print(f"\nmake {name}, two cores, warm:\n{runner.table()}", flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
