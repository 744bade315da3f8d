"""A process of the venue that dies where a test orders it to.

``python -m tests.testing.dying_process ORDER MODULE ARGUMENT...`` runs the main of ``MODULE``
(``venue.settler`` or ``venue.signer``) with its arguments. At each crash point it reads the file
ORDER, and where that names the point the process sends SIGKILL to itself: nothing of it runs any
more, as after ``kill -9`` or a loss of power. An order may be given while the process runs.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn

from venue import crash_points
from venue.crash_points import Moment, Step


@dataclass(frozen=True, kw_only=True)
class Order:
    """Where processes are to die; the file of an order is written whole, or not at all.

    Attributes:
        step: What is done around the crash point.
        moment: On which side of it.
        arrival: A process dies when it arrives there for so manieth time since the order was given.
        deaths: How many processes are to die; each takes one off before it dies.
        died: Their process ids, in order.
    """

    step: Step
    moment: Moment
    arrival: int = 1
    deaths: int = 1
    died: tuple[int, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Order | None:
        """The order at ``path``; None if none was given."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(**found | {"died": tuple(found["died"])})

    def write(self, path: Path) -> None:
        """Give the order."""
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        part.replace(path)


@dataclass(kw_only=True)
class Executioner:
    """The hook of a process: carries out what is ordered in the file at ``path``."""

    path: Path
    arrivals: int = 0

    def __call__(self, step: Step, moment: Moment) -> None:
        """The process is at a crash point."""
        order = Order.read(self.path)
        if order is None or not order.deaths or (order.step, order.moment) != (step, moment):
            return
        self.arrivals += 1
        if self.arrivals >= order.arrival:
            died = (*order.died, os.getpid())
            replace(order, deaths=order.deaths - 1, died=died).write(self.path)
            os.kill(os.getpid(), signal.SIGKILL)


def main(arguments: list[str]) -> NoReturn:
    """Run the module, which ends the process."""
    order, module, *own = arguments
    crash_points.install(Executioner(path=Path(order)))
    sys.argv = [module, *own]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    raise AssertionError(f"{module} has returned, and mains of the venue exit")


if __name__ == "__main__":
    main(sys.argv[1:])
