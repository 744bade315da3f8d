"""How far the clock of a flood's worker is from that of its master, and how well that is known.

Each worker stamps its own requests and waits for the planned zero by its own clock. If the workers
disagree about the time, half of a flood is offered at another moment than ``requests.csv`` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MS = 1_000.0
EXCHANGES = 10
"""Questions to each worker. The one that was answered fastest counts: what delays an answer, a
processor or a network that is busy, delays some and not all.
"""
EXCHANGE_EVERY_S = 0.02
"""So that one burst of other work does not delay them all."""
EXCHANGE_S_MAX = 1.0
"""How long answers are waited for; a worker that gives none has no known clock."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A question to a worker and its answer.

    Attributes:
        asked: When the master asked, in seconds of its steady clock.
        answered: When the answer came, by the same clock.
        answered_at: The same moment in Unix seconds, by the master's clock.
        told: What the worker's clock said in between, in Unix seconds.
    """

    asked: float
    answered: float
    answered_at: float
    told: float

    @property
    def round_trip_s(self) -> float:
        """From the question to the answer."""
        return self.answered - self.asked


@dataclass(frozen=True, kw_only=True)
class Offset:
    """By how much a worker's clock is ahead of the master's, in milliseconds.

    It is within ``uncertainty_ms`` of the truth: the worker read its clock at some moment of the
    round trip, and the middle is taken for it.
    """

    offset_ms: float
    uncertainty_ms: float

    def to_json(self) -> dict[str, float]:
        """As ``flood.json`` has it."""
        return {
            "offset_ms": round(self.offset_ms, 3),
            "uncertainty_ms": round(self.uncertainty_ms, 3),
        }


def offset_of(exchanges: Iterable[Exchange]) -> Offset | None:
    """What the exchange with the shortest round trip says; None if there was none."""
    best = min(exchanges, key=lambda each: each.round_trip_s, default=None)
    if best is None:
        return None
    half_s = best.round_trip_s / 2
    return Offset(
        offset_ms=(best.told - (best.answered_at - half_s)) * MS, uncertainty_ms=half_s * MS
    )


@dataclass(kw_only=True)
class WorkerClock:
    """What the master learned of one worker's clock; None where the worker did not answer.

    ``worker`` is its name in ``requests.csv``.
    """

    worker: str
    before: Offset | None = None
    after: Offset | None = None

    def to_json(self) -> dict[str, Any]:
        """As ``flood.json`` has it."""
        return {
            "worker": self.worker,
            "before": None if self.before is None else self.before.to_json(),
            "after": None if self.after is None else self.after.to_json(),
        }


def question(moment: str, *, asked: float) -> dict[str, Any]:
    """The message that asks a worker for its time; ``moment`` is ``before`` or ``after``."""
    return {"moment": moment, "asked": asked}


def answer(message: Mapping[str, Any], *, told: float, worker: str) -> dict[str, Any]:
    """A worker's answer to a question: its time and name, and what it was asked."""
    return {**message, "told": told, "worker": worker}
