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
"""How often plain lines repeat while a build goes on: often enough to see that it lives."""


@dataclass(frozen=True, kw_only=True)
class SetupProgress:
    """What the set-up of one program does now, and how much of it is done.

    ``total`` is 0 where it is not known beforehand.
    """

    program: str
    activity: str
    done: int = 0
    total: int = 0
    finished: bool = False

    @property
    def measure(self) -> str:
        """Return how much is done, for people: `` 3/900``, or `` 3`` without a total."""
        if self.total:
            return f" {min(self.done, self.total)}/{self.total}"
        return f" {self.done}" if self.done else ""


@contextmanager
def shown() -> Iterator[Callable[[SetupProgress], None]]:
    """Yield a callback that shows each `SetupProgress` on standard error, a terminal or not."""
    if sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        yield plain_lines(
            write=lambda line: print(line, file=sys.stderr, flush=True), clock=time.monotonic
        )


def plain_lines(
    *, write: Callable[[str], None], clock: Callable[[], float]
) -> Callable[[SetupProgress], None]:
    """Return a callback that writes a line per new activity, and one per `PLAIN_INTERVAL_S`."""
    lock = threading.Lock()
    last: dict[str, tuple[str, float]] = {}

    def report(step: SetupProgress) -> None:
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
def _bars() -> Iterator[Callable[[SetupProgress], None]]:
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

        def report(step: SetupProgress) -> None:
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
