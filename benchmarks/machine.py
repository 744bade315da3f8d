"""How much of the machine is ours.

A fixed piece of work, timed by the wall and by the processor.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

_ROUNDS = 1_500_000


@dataclass(frozen=True, kw_only=True)
class Speed:
    """One look at the machine.

    ``wall_s`` and ``cpu_s`` of the fixed work; ``load``: processes that wanted to run, averaged
    over a minute.
    """

    wall_s: float
    cpu_s: float
    load: float

    @property
    def crowding(self) -> float:
        """Wall over processor time of the one thread.

        1 on a machine of our own, 3 where two neighbours want every core, too.
        """
        return self.wall_s / self.cpu_s


def speed() -> Speed:
    """Do the work once; about a fifth of a second of one core."""
    wall, cpu = time.perf_counter(), time.process_time()
    state = 1
    for _ in range(_ROUNDS):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFFFFFF
    return Speed(
        wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu, load=os.getloadavg()[0]
    )
