"""The trace of a run: what happened at which virtual time, as a digest and a tail to read.

Two runs of one seed have one digest. What was reached (edges, crash points, faults) is counted
beside it: a campaign that never reached something says nothing about it.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

_TAIL = 400
"""Events kept for the reader of a failed run."""


@dataclass(kw_only=True)
class Trace:
    """Notes of one run; ``now`` gives virtual seconds."""

    now: Callable[[], float]
    reached: Counter[str] = field(default_factory=Counter)
    events: int = 0
    listen: Callable[[str], object] = lambda _: None
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))
    _sum: hashlib.blake2b = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def note(self, *what: object) -> None:
        """Add an event; ``what`` must not hold an address of memory or a set."""
        line = f"{self.now():.6f} {' '.join(map(str, what))}"
        self.events += 1
        self.tail.append(line)
        self.listen(line)
        self._sum.update(line.encode())

    def reach(self, what: str) -> None:
        """Count that ``what`` has happened, and note it."""
        self.reached[what] += 1
        self.note(what)

    @property
    def digest(self) -> str:
        """Of all events so far."""
        return self._sum.hexdigest()
