"""The mode controller's heartbeat: after how long it counts as missing, and what follows."""

from __future__ import annotations

from seawall.policy import TIERS, Tier

BEAT_EVERY_MS = 200
"""How often the mode controller renews its lease row."""
TAKEN_AFTER_MS = 1_000
"""Another mode controller takes a lease that is older than this.

Longer than a flip may wait for claims in flight, and less than :data:`STALE_AFTER_MS`: payouts do
not stop where a standby waits.
"""
STALE_AFTER_MS = 1_500
"""A lease older than this counts as no heartbeat: payouts stop and intake goes on.

This is an engineering goal, not a policy target.
"""


def stale(age_ms: int | None) -> bool:
    """Whether a lease of this age is no heartbeat any more; None means that there never was one.

    One from the future is as little of a heartbeat: it was written before the database's clock was
    set back, and would count as alive until that clock has caught up.
    """
    return age_ms is None or abs(age_ms) > STALE_AFTER_MS


def tier_without_heartbeat(committed: Tier) -> Tier:
    """The tier to show customers without a heartbeat: the committed one, but at least stressed."""
    return max(committed, "stressed", key=TIERS.index)
