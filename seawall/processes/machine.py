"""How busy a machine is, and how fast, while something runs on it.

A target that was missed on a machine that had nothing left may have been missed by the machine.
The count of idle time tells half of it: a processor that a hypervisor shares among its guests, or
that runs at a lower frequency, may be three times slower than on another day without being busier.
So the processor time of a fixed piece of work is measured, too.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from statistics import median
from types import TracebackType
from typing import Self

import psutil

ADDITIONS = 100_000
SLOW_MS = 40.0
"""Processor time of a million additions, in milliseconds, above which a sandbox is late.

On two cores of an AMD EPYC with Python 3.11 it is 38 to 53 idle and 53 to 66 in a flood on days on
which game days fail for logins and balances. On days on which they pass a like loop takes 2.3 times
less, which makes 17 to 27 idle and at most 35 in a flood.
"""
BUSY_MAX = 0.97
"""Share of all processors' time above which whoever becomes ready waits for one."""
_EVERY_S = 1.0


def addition_ms() -> float:
    """Processor time of a million additions by this thread, in milliseconds."""
    began_s = time.thread_time()
    total = 0
    for number in range(ADDITIONS):
        total += number
    return (time.thread_time() - began_s) * 1_000 * 1_000_000 / ADDITIONS


@dataclass(frozen=True, kw_only=True)
class MachineLoad:
    """What a machine had to give while it was watched: middle values of a second each.

    Attributes:
        processors: how many the programs of this account may use.
        addition_ms: processor time of a million additions, in milliseconds.
        busy: share of all processors' time that was in use or taken by other guests of the same
            hardware; None if it was not watched for a second.
    """

    processors: int
    addition_ms: float
    busy: float | None


@dataclass(kw_only=True)
class MachineWatch:
    """Looks at the machine once a second for as long as the block lasts."""

    _addition_ms: list[float] = field(default_factory=list)
    _busy: list[float] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look, name="machine", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def load(self) -> MachineLoad | None:
        """What was seen so far; None if nothing was."""
        if not self._addition_ms:
            return None
        return MachineLoad(
            processors=len(os.sched_getaffinity(0)),
            addition_ms=round(median(self._addition_ms), 1),
            busy=round(median(self._busy), 3) if self._busy else None,
        )

    def _look(self) -> None:
        psutil.cpu_percent()  # each call says how busy they were since the one before, by thread
        while True:
            self._addition_ms.append(addition_ms())
            if self._ended.wait(_EVERY_S):
                return
            self._busy.append(psutil.cpu_percent() / 100)
