"""Memory and processor time of processes and their children, looked at ten times a second while
something runs.
"""

from __future__ import annotations

import threading
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


@dataclass(kw_only=True)
class Use:
    """``peak_bytes``: resident, at its highest; pages that processes share count in each.

    ``cpu_s``: user and system.
    """

    peak_bytes: int = 0
    cpu_s: float = 0.0


@dataclass(kw_only=True)
class Meter:
    """Looks at the trees below ``roots`` (pid by part) until it is left.

    Of a process that ends, what was seen last counts.

    ``parts`` by name, ``total`` of all at the same moment.
    """

    roots: Mapping[str, int]
    parts: dict[str, Use] = field(default_factory=dict)
    total: Use = field(default_factory=Use)
    _cpu: dict[tuple[str, int], tuple[float, float]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._look()
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
        self._look()

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
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
            use = self.parts.setdefault(part, Use())
            use.peak_bytes = max(use.peak_bytes, used)
        self.total.peak_bytes = max(self.total.peak_bytes, sum(resident.values()))
        for part, use in self.parts.items():
            use.cpu_s = sum(
                now - first for (owner, _), (first, now) in self._cpu.items() if owner == part
            )
        self.total.cpu_s = sum(use.cpu_s for use in self.parts.values())


def _tree(root: str, pid: int) -> Iterator[tuple[str, psutil.Process]]:
    """``pid`` and what lies below it.

    The engine's language host with its program is a part of its own.
    """
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
    """A process may end while it is looked at."""
    try:
        yield
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return
