"""How fast the processors are while a test runs: a whole venue is measured on two of them.

A processor that other machines share with this one may be three times slower than on another day,
and then the sandbox's venue rightly misses its targets. Nothing of this machine tells it: what is
taken away by a hypervisor's other guests, or by a lower frequency, is in no count of idle time.
"""

from __future__ import annotations

import threading
import time
from statistics import median
from types import TracebackType
from typing import Self

ADDITIONS = 100_000
SLOW_MS = 40.0
"""Processor time of a million additions, in milliseconds, above which nothing can be measured.

On two cores of an AMD EPYC with Python 3.11 it is 38 to 53 idle and 53 to 66 in a flood on days on
which game days fail for logins and balances. On days on which they pass a like loop takes 2.3 times
less, which makes 17 to 27 idle and at most 35 in a flood.
"""
_EVERY_S = 1.0


def addition_ms() -> float:
    """Processor time of a million additions by this thread, in milliseconds."""
    began_s = time.thread_time()
    total = 0
    for number in range(ADDITIONS):
        total += number
    return (time.thread_time() - began_s) * 1_000 * 1_000_000 / ADDITIONS


class ProcessorPace:
    """Looks once a second, for as long as the block lasts, what a million additions take."""

    def __init__(self) -> None:
        self.seen_ms: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def too_slow(self) -> str | None:
        """Why nothing could be measured meanwhile; None if the processors were fast enough."""
        middle_ms = median(self.seen_ms)
        if middle_ms <= SLOW_MS:
            return None
        return (
            f"the processors took {middle_ms:.0f} ms for a million additions, and a venue cannot be"
            f" measured on what takes more than {SLOW_MS:.0f} ms"
        )

    def _look(self) -> None:
        while True:
            self.seen_ms.append(addition_ms())
            if self._ended.wait(_EVERY_S):
                return
