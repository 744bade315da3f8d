"""Memory and processor time of processes and their children, and how busy the machine is.

Processes are sampled ten times a second; the machine is judged by the time of a fixed task.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import psutil

LANGUAGE_HOST = "language host"
"""The part that the engine starts for the program.

Pulumi's host for Python and the interpreter in it.
"""
_EVERY_S = 0.1
_HOST_NAME = "pulumi-language"
_ROUNDS = 1_500_000
"""Of the fixed piece of work."""


@dataclass(kw_only=True)
class Usage:
    """Memory and processor time of one part.

    Args:
        peak_bytes: the highest resident memory; pages that processes share count in each.
        cpu_s: user and system time.
    """

    peak_bytes: int = 0
    cpu_s: float = 0.0


@dataclass(kw_only=True)
class Meter:
    """Samples the process trees below ``roots`` (pid by part) until its ``with`` block ends.

    Of a process that ends, the last sample counts.

    Attributes:
        parts: usage by part.
        total: usage of all parts at the same moment.
    """

    roots: Mapping[str, int]
    parts: dict[str, Usage] = field(default_factory=dict)
    total: Usage = field(default_factory=Usage)
    _cpu: dict[tuple[str, int], tuple[float, float]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._sample()
        self._thread = threading.Thread(target=self._watch, name="meter", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._sample()

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._sample()

    def _sample(self) -> None:
        resident: dict[str, int] = {}
        for root, pid in self.roots.items():
            for part, process in _tree(root, pid):
                with _gone():
                    with process.oneshot():
                        used, times = process.memory_info().rss, process.cpu_times()
                    resident[part] = resident.get(part, 0) + used
                    now = times.user + times.system
                    first, _ = self._cpu.get(
                        (part, process.pid),
                        (now if root == part and self._thread is None else 0.0, now),
                    )
                    self._cpu[part, process.pid] = (first, now)
        for part, used in resident.items():
            use = self.parts.setdefault(part, Usage())
            use.peak_bytes = max(use.peak_bytes, used)
        self.total.peak_bytes = max(self.total.peak_bytes, sum(resident.values()))
        for part, use in self.parts.items():
            use.cpu_s = sum(
                now - first for (owner, _), (first, now) in self._cpu.items() if owner == part
            )
        self.total.cpu_s = sum(use.cpu_s for use in self.parts.values())


def _tree(root: str, pid: int) -> Iterator[tuple[str, psutil.Process]]:
    """``pid`` and its descendants; the engine's language host with its program is its own part."""
    with _gone():
        top = psutil.Process(pid)
        waiting = [(root, top)]
        while waiting:
            part, process = waiting.pop()
            with _gone():
                inner = LANGUAGE_HOST if process.name().startswith(_HOST_NAME) else part
                waiting += [(inner, child) for child in process.children()]
                yield inner, process


@contextmanager
def _gone() -> Iterator[None]:
    """A process may end while it is sampled."""
    try:
        yield
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return


@dataclass(frozen=True, kw_only=True)
class Speed:
    """One measurement of the machine.

    Args:
        wall_s: wall time of the fixed piece of work.
        cpu_s: its processor time.
        load: processes that wanted to run, averaged over a minute.
    """

    wall_s: float
    cpu_s: float
    load: float

    @property
    def crowding(self) -> float:
        """Wall time over processor time: 1 on an idle machine, 3 if two others want every core."""
        return self.wall_s / self.cpu_s


def speed() -> Speed:
    """Do the fixed piece of work once; it takes one core about a fifth of a second."""
    wall, cpu = time.perf_counter(), time.process_time()
    state = 1
    for _ in range(_ROUNDS):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFFFFFF
    return Speed(
        wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu, load=os.getloadavg()[0]
    )
