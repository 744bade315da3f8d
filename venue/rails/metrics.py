"""The metrics of who pays over rails; every label set exists from the start."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from seawall.controls.admission import guaranteed_sizes
from seawall.conventions import metrics
from seawall.conventions.components import SIDES
from seawall.policy import Policy
from venue.database import Pool

IN_FORCE = Gauge(
    metrics.RAIL_IN_FORCE, "1 for the provider that gets new instructions.", ("rail", "side")
)
REQUESTS = Counter(
    metrics.RAIL_REQUESTS, "Requests to providers by outcome.", ("rail", "side", "outcome")
)
FAILURES = Counter(
    metrics.RAIL_FAILURES, "Errors that ended the work of a rail, which then began anew.", ("rail",)
)
QUEUE_AGE = Gauge(
    metrics.RAIL_QUEUE_AGE,
    "Age of the oldest withdrawal that the tier guarantees and no provider has accepted.",
    ("rail",),
)
DOUBT_AGE = Gauge(
    metrics.RAIL_DOUBT_AGE,
    "Age of the oldest instruction that its provider may have or not.",
    ("rail", "side"),
)
UNEXPLAINED = Gauge(
    metrics.RAIL_UNEXPLAINED,
    "What a provider says and nothing on record explains: lines, and instructions in dispute.",
    ("rail", "side"),
)
SETTLE_AGE = Gauge(
    metrics.RAIL_SETTLE_AGE,
    "Age of the oldest instruction that its provider has accepted and not settled.",
    ("rail", "side"),
)
SHORTENED = Gauge(
    metrics.RAIL_SHORTENED,
    "1 while a provider's statement lacks what was read in it before.",
    ("rail", "side"),
)
NO_FUNDS = Gauge(
    metrics.RAIL_NO_FUNDS,
    "Instructions that a provider has refused for want of money, and has not taken since.",
    ("rail", "side"),
)
FUNDS = Gauge(
    metrics.RAIL_FUNDS,
    "Value that may still be instructed to a provider, in millionths.",
    ("rail", "side", "asset"),
)
_STANDING = """
    select p.side,
           coalesce((select extract(epoch from clock_timestamp() - min(i.recorded_at))
                     from rail_instructions i
                     where (i.rail, i.side, i.state) = (p.rail, p.side, 'recorded')), 0)::float8
               as doubt_s,
           coalesce((select extract(epoch from clock_timestamp() - i.recorded_at)
                     from rail_instructions i
                     where (i.rail, i.side, i.state) = (p.rail, p.side, 'accepted')
                     order by i.id limit 1), 0)::float8 as settle_s,
           (select count(*) from rail_unexplained l where (l.rail, l.side) = (p.rail, p.side))
           + (select count(*) from rail_instructions i
              where (i.rail, i.side, i.state) = (p.rail, p.side, 'disputed')) as unexplained
    from rail_providers p where p.rail = $1"""
_QUEUE_S = """
    select coalesce(extract(epoch from clock_timestamp() - min(w.queued_at)), 0)::float8
    from withdrawals w left join rail_instructions i on i.id = w.instruction_id
    where w.network = $1 and w.size = any($2::text[])
      and (w.state = 'reserved' or (w.state = 'instructed' and i.state = 'recorded'))"""
_TIER = "select tier from mode"
_FUNDS = "select side, asset, available from rail_funds where rail = $1"


def initialise(rail: str) -> None:
    """Show what is known before anything has happened."""
    FAILURES.labels(rail)
    for side in SIDES:
        IN_FORCE.labels(rail, side)
        NO_FUNDS.labels(rail, side)
        SHORTENED.labels(rail, side)
        for outcome in ("answered", "silent"):
            REQUESTS.labels(rail, side, outcome)


async def expose(pool: Pool, policy: Policy, rail: str, *, side: str) -> None:
    """Show how ``rail`` stands; ``side`` is the provider in force."""
    for each in SIDES:
        IN_FORCE.labels(rail, each).set(each == side)
    for row in await pool.fetch(_STANDING, rail):
        DOUBT_AGE.labels(rail, row["side"]).set(row["doubt_s"])
        SETTLE_AGE.labels(rail, row["side"]).set(row["settle_s"])
        UNEXPLAINED.labels(rail, row["side"]).set(row["unexplained"])
    sizes = guaranteed_sizes(policy, await pool.fetchval(_TIER))
    QUEUE_AGE.labels(rail).set(await pool.fetchval(_QUEUE_S, rail, sizes))
    for row in await pool.fetch(_FUNDS, rail):
        value = policy.value_micro(row["asset"], max(0, row["available"]))
        FUNDS.labels(rail, row["side"], row["asset"]).set(value)
