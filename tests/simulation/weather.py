"""The weather on the ways to the simulated database: how long they take, and what they lose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(kw_only=True)
class Weather:
    """What may go wrong on the way to the database, as chances per use; and how long a way takes.

    ``draw`` gives a number between 0 and 1.
    """

    draw: Callable[[], float]
    latency_s: tuple[float, float] = (0.0002, 0.0015)
    slow: float = 0.0
    slow_s: float = 0.3
    cut: float = 0.0
    commit_lost: float = 0.0
    answer_lost: float = 0.0

    def way_s(self) -> float:
        """Seconds of one way."""
        low, high = self.latency_s
        base = low + (high - low) * self.draw()
        return base + self.slow_s * self.draw() if self.slow and self.draw() < self.slow else base

    def happens(self, chance: float) -> bool:
        """Whether something with this chance happens now."""
        return chance > 0 and self.draw() < chance
