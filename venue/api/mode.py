"""The mode as the api reads it: the committed row, with a silent guard counting as stressed. Never cached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seawall.controls.heartbeat import stale, tier_without_heartbeat
from seawall.errors import InternalError

if TYPE_CHECKING:
    from seawall.policy import Tier
    from venue.database import Connection, Pool

READ_MODE = """
    select epoch, tier, reason, extract(epoch from since)::float8 as since_s,
           (select (extract(epoch from clock_timestamp() - beat_at) * 1000)::bigint from guard_lease) as beat_age_ms
    from mode"""
SHARE_MODE = "select pg_advisory_xact_lock_shared($1)"
"""Must be a statement of its own before :data:`READ_MODE`, else a flip in between would go unseen (design, ring 0)."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """The tier that customers are served under; ``epoch`` is that of the committed row."""

    tier: Tier
    epoch: int
    since_s: float
    reason: str


async def read_mode(connection: Connection | Pool) -> Mode:
    """The mode in force, as of this statement."""
    row = await connection.fetchrow(READ_MODE)
    if row is None:
        raise InternalError("the venue has no mode row: genesis has not run")
    tier, reason = row["tier"], row["reason"]
    if stale(row["beat_age_ms"]):
        told = tier_without_heartbeat(tier)
        if told != tier:
            tier, reason = told, "The guard is silent; until it answers, payouts wait and the venue counts as stressed."
    return Mode(tier=tier, epoch=row["epoch"], since_s=row["since_s"], reason=reason)
