"""How the venue stands: queue, hot balances, and whether the books sum to zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seawall.controls.admission import guaranteed_sizes
from seawall.errors import InternalError
from venue.treasury import metrics

if TYPE_CHECKING:
    from seawall.policy import Policy
    from venue.database import Connection

# Held (`unknown`) withdrawals are not in the queue: they wait for a person, however fast payouts
# are.
_QUEUE = """
    select count(*) as depth, count(*) filter (where size = any($1::text[])) as depth_guaranteed,
           coalesce(extract(epoch from clock_timestamp() - min(requested_at)), 0)::float8 as age_s,
           coalesce(extract(epoch from clock_timestamp() - min(requested_at) filter (where size = any($1::text[]))), 0)::float8 as age_guaranteed_s
    from withdrawals where state in ('reserved', 'slotted')"""
_FLOATS = "select network, asset, available from floats"
_SUMS = "select a.network, a.asset, sum(e.amount) as total from entries e join accounts a on a.id = e.account_id group by a.network, a.asset"


async def expose_queue(connection: Connection, policy: Policy) -> None:
    """Depth and age, of everything and of what the present tier guarantees.

    And what hot wallets may still pay.
    """
    tier = await connection.fetchval("select tier from mode")
    row = await connection.fetchrow(_QUEUE, guaranteed_sizes(policy, tier))
    if row is None:
        raise InternalError("an aggregate gave no row")
    metrics.QUEUE_AGE.labels("all").set(row["age_s"])
    metrics.QUEUE_AGE.labels("guaranteed").set(row["age_guaranteed_s"])
    metrics.QUEUE_DEPTH.labels("all").set(row["depth"])
    metrics.QUEUE_DEPTH.labels("guaranteed").set(row["depth_guaranteed"])
    for held in await connection.fetch(_FLOATS):
        metrics.HOT_BALANCE.labels(held["network"], held["asset"]).set(
            policy.value_micro(held["asset"], held["available"])
        )


async def expose_sums(connection: Connection) -> None:
    """The sum of all entries by network and asset."""
    for row in await connection.fetch(_SUMS):
        metrics.LEDGER_SUM.labels(row["network"], row["asset"]).set(row["total"])
