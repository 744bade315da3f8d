"""When each network's ledger and chain were last compared, and what came of it: an old answer is no answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MISSED_MAX = 3
"""Periods of reconciliation without a result after which the last one counts no longer."""


@dataclass(kw_only=True)
class Comparisons:
    """Last results by network; ``every_s`` is how often each is due. Times are seconds of one monotonic clock."""

    every_s: Mapping[str, float]
    _drift: dict[str, dict[str, int]] = field(default_factory=dict)
    _at_s: dict[str, float] = field(default_factory=dict)

    def note(self, network: str, drift: Mapping[str, int], *, now_s: float) -> dict[str, int]:
        """Keep a result, in base units by asset; what has changed since the one before (nothing counts as level)."""
        before = self._drift.get(network, {})
        self._drift[network], self._at_s[network] = dict(drift), now_s
        return {asset: amount for asset, amount in drift.items() if amount != before.get(asset, 0)}

    def stale(self, now_s: float) -> list[str]:
        """Networks without a result that still counts."""
        return [
            network
            for network, every_s in self.every_s.items()
            if now_s - self._at_s.get(network, float("-inf")) > MISSED_MAX * every_s
        ]

    def assets(self, network: str) -> list[str]:
        """Assets of the last result of ``network``, however old."""
        return list(self._drift.get(network, {}))

    def drift(self, now_s: float) -> int | None:
        """The distance over all networks, in base units of whatever asset; None unless every network has a result that counts."""
        return None if self.stale(now_s) else sum(sum(drift.values()) for drift in self._drift.values())
