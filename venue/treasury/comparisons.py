"""When ledger and chain were last compared for each bucket on each network, and what came of it.

An old answer is no answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Site = tuple[str, str]
"""(network, bucket)."""
MISSED_MAX = 3
"""Periods of reconciliation without a result after which the last one counts no longer."""


@dataclass(kw_only=True)
class Comparisons:
    """Last results by site; ``every_s`` is how often each is due.

    Times are seconds of one monotonic clock.
    """

    every_s: Mapping[Site, float]
    _drift: dict[Site, dict[str, int]] = field(default_factory=dict)
    _at_s: dict[Site, float] = field(default_factory=dict)

    def note(self, site: Site, drift: Mapping[str, int], *, now_s: float) -> dict[str, int]:
        """Keep a result, in base units by asset.

        What has changed since the one before (nothing counts as level).
        """
        before = self._drift.get(site, {})
        self._drift[site], self._at_s[site] = dict(drift), now_s
        return {asset: amount for asset, amount in drift.items() if amount != before.get(asset, 0)}

    def stale(self, now_s: float) -> list[Site]:
        """Sites without a result that still counts."""
        return [
            site
            for site, every_s in self.every_s.items()
            if now_s - self._at_s.get(site, float("-inf")) > MISSED_MAX * every_s
        ]

    def assets(self, site: Site) -> list[str]:
        """Assets of the last result of ``site``, however old."""
        return list(self._drift.get(site, {}))

    def drift(self, now_s: float, sites: Iterable[Site]) -> int | None:
        """The distance over ``sites``, in base units of whatever asset.

        None unless each of them has a result that counts.
        """
        wanted, stale = list(sites), self.stale(now_s)
        if any(site in stale for site in wanted):
            return None
        return sum(sum(self._drift[site].values()) for site in wanted)
