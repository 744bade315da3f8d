"""Shows how far set-up is: live bars on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import TaskID

PLAIN_INTERVAL_S = 10.0
"""Plain lines repeat no faster than this while a build goes on: a log, not a film."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Where one program's set-up is.

    What it does now, and how much of it (a total of 0 where nobody can say).
    """

    program: str
    activity: str
    done: int = 0
    total: int = 0
    finished: bool = False

    @property
    def measure(self) -> str:
        """Return how far the step is, for people."""
        if self.total:
            return f" {min(self.done, self.total)}/{self.total}"
        return f" {self.done}" if self.done else ""


@contextmanager
def shown() -> Iterator[Callable[[Step], None]]:
    """Yield the callback that shows each `Step` on standard error, in the way that fits it."""
    if sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        yield plain_lines(
            write=lambda line: print(line, file=sys.stderr, flush=True), clock=time.monotonic
        )


def plain_lines(
    *, write: Callable[[str], None], clock: Callable[[], float]
) -> Callable[[Step], None]:
    """Return a callback that writes a line when a program's activity changes, and one per interval
    in between.
    """
    lock = threading.Lock()
    last: dict[str, tuple[str, float]] = {}

    def report(step: Step) -> None:
        with lock:
            activity, when = last.get(step.program, ("", float("-inf")))
            if (
                step.activity == activity
                and not step.finished
                and clock() - when < PLAIN_INTERVAL_S
            ):
                return
            last[step.program] = (step.activity, clock())
            write(f"seawall: {step.program}: {step.activity}{step.measure}")

    return report


@contextmanager
def _bars() -> Iterator[Callable[[Step], None]]:
    # Imported here: only a terminal needs it, and `exec` must start fast.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.fields[program]:<14}"),
        BarColumn(bar_width=24),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    tasks: dict[str, TaskID] = {}
    lock = threading.Lock()
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def report(step: Step) -> None:
            with lock:
                if step.program not in tasks:
                    tasks[step.program] = progress.add_task(
                        step.activity, total=None, program=step.program
                    )
                total = 1 if step.finished else (step.total or None)
                progress.update(
                    tasks[step.program],
                    description=f"{step.activity}{step.measure}",
                    total=total,
                    completed=1 if step.finished else step.done,
                )

        yield report
