"""The mode controller's heartbeat: how old it may be, and what the venue does after that."""

from __future__ import annotations

from seawall.policy import TIERS, Tier

BEAT_EVERY_MS = 200
"""How often the mode controller renews its lease row."""
STALE_AFTER_MS = 1_500
"""A lease older than this counts as silence.

Payouts stop, intake goes on (an engineering goal, not a policy target).
"""


def stale(age_ms: int | None) -> bool:
    """Whether a lease of this age is no longer a heartbeat; None: there has never been one."""
    return age_ms is None or age_ms > STALE_AFTER_MS


def tier_without_heartbeat(committed: Tier) -> Tier:
    """The tier that customers are told while the mode controller is silent: never calmer than stressed."""
    return max(committed, "stressed", key=TIERS.index)
