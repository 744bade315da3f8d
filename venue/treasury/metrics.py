"""The metrics of the treasury: queue, balances, ledger sums, and what moves between wallets."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from seawall.controls.admission import guaranteed_sizes
from seawall.controls.rebalancing import CHECKS
from seawall.controls.sizing import excess
from seawall.conventions import metrics
from seawall.errors import InternalError
from venue.chain.transaction import fees
from venue.contracts.calls import ITEMS_MAX, pay_gas_limit
from venue.ledger.chart import cold_routes, payout_routes
from venue.treasury.settled import sums_between

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from seawall.ethereum.rpc import AsyncRpcClient
    from seawall.policy import Policy
    from venue.database import Connection
    from venue.treasury.settled import Settled


QUEUE_AGE = Gauge(metrics.QUEUE_AGE, "Age of the oldest open withdrawal.", ("scope",))
QUEUE_DEPTH = Gauge(metrics.QUEUE_DEPTH, "Open withdrawals.", ("scope",))
HOT_BALANCE = Gauge(
    metrics.HOT_BALANCE,
    "Value that hot wallets may still pay out, in millionths.",
    ("network", "asset"),
)
HOT_EXCESS = Gauge(
    metrics.HOT_EXCESS,
    "Value that hot wallets hold above what is swept from, in millionths.",
    ("network", "asset"),
)
LEDGER_DEFICIT = Gauge(
    metrics.LEDGER_DEFICIT,
    "What the chain lacks of what the ledger says a wallet holds.",
    ("network", "bucket", "wallet", "asset"),
)
UNIDENTIFIED = Gauge(
    metrics.UNIDENTIFIED,
    "What came from outside and is owed to senders who are not known.",
    ("network", "bucket", "asset"),
)
HELD = Gauge(metrics.HELD, "Held withdrawals that nobody has decided about.", ("network", "asset"))
ASSET_RESTS = Gauge(
    metrics.ASSET_RESTS, "1 while no payment of the asset moves.", ("network", "asset")
)
GAS_LEFT = Gauge(
    metrics.GAS_LEFT,
    "Full payouts for which the key of a lane has gas money, at the fees of the newest block.",
    ("network", "wallet"),
)
REVIEWS_OVERDUE = Gauge(
    metrics.REVIEWS_OVERDUE,
    "Movements of the fast lane that were not reviewed in time.",
    ("network", "wallet"),
)
LEDGER_SUM = Gauge(
    metrics.LEDGER_SUM, "Sum of all entries; anything but zero is a fault.", ("network", "asset")
)
TOP_UPS = Counter(metrics.TOP_UPS, "Top-ups requested.", ("network", "asset"))
COLD_AGE = Gauge(
    metrics.COLD_AGE,
    "Age of the cold transfer that is wanted and has not arrived.",
    ("network", "asset"),
)
COLD_HELD = Gauge(
    metrics.COLD_HELD, "Cold transfers held until people have looked.", ("network", "asset")
)
COLD_REFUSED = Gauge(
    metrics.COLD_REFUSED,
    "1 while the last cold transfer was refused or has expired.",
    ("network", "asset"),
)
COLD_BLOCKED = Gauge(
    metrics.COLD_BLOCKED,
    "1 for what keeps the cold transfer that is wanted from going on.",
    ("network", "asset", "why"),
)
REBALANCE_AGE = Gauge(
    metrics.REBALANCE_AGE,
    "Age of the movement between networks that is wanted and has not arrived.",
    ("asset",),
)
REBALANCE_HELD = Gauge(
    metrics.REBALANCE_HELD, "Movements between networks held until people have looked.", ("asset",)
)
REBALANCE_REFUSED = Gauge(
    metrics.REBALANCE_REFUSED,
    "1 while the last movement between networks was refused or has expired.",
    ("asset",),
)
REBALANCE_BLOCKED = Gauge(
    metrics.REBALANCE_BLOCKED,
    "1 for each health check that keeps the movement that is wanted from going on.",
    ("asset", "check"),
)
IN_TRANSIT = Gauge(
    metrics.IN_TRANSIT, "What left a network and is not in another one yet.", ("asset",)
)
COLD_WHYS = ("window", "incident", "paused", "silent", "venue")


def initialise(policy: Policy) -> None:
    """Create every label set, so that Prometheus sees the first event as an increase."""
    for network in payout_routes(policy):
        for asset in policy.networks[network].assets:
            TOP_UPS.labels(network, asset)
    for route in cold_routes(policy):
        for asset in route.assets:
            show_blocked(route.network, asset, None)
    for asset in _rebalanced(policy):
        show_unhealthy(asset, ())


def _rebalanced(policy: Policy) -> list[str]:
    return [] if policy.rebalancing is None else [*policy.rebalancing.assets]


def show_unhealthy(asset: str, checks: Collection[str]) -> None:
    """Show which ``checks`` keep the movement of ``asset`` between networks from going on."""
    for each in CHECKS:
        REBALANCE_BLOCKED.labels(asset, each).set(each in checks)


def show_blocked(network: str, asset: str, why: str | None) -> None:
    """Show that ``why`` keeps the cold transfer of ``asset`` from going on; None: nothing does."""
    for each in COLD_WHYS:
        COLD_BLOCKED.labels(network, asset, each).set(each == why)


# Held (`unknown`) withdrawals are not in the queue: they wait for a person, not for payouts. Those
# of an asset that rests do not age: they wait for its issuer, which `ASSET_RESTS` shows.
_QUEUE = """
    select count(*) as depth,
           count(*) filter (where guaranteed) as depth_guaranteed,
           coalesce(extract(epoch from clock_timestamp() - min(queued_at)
                filter (where moves)), 0)::float8 as age_s,
           coalesce(extract(epoch from clock_timestamp() - min(queued_at)
                filter (where moves and guaranteed)), 0)::float8 as age_guaranteed_s
    from (select queued_at, size = any($1::text[]) as guaranteed,
                 (network, asset) not in (select network, asset from asset_pauses)
                 and network not in (select rail from rail_providers) as moves
          from withdrawals where state in ('reserved', 'slotted')) as queue"""
_FLOATS = "select wallet, network, asset, available from floats"
_UNIDENTIFIED = """
    select a.network, a.bucket, a.asset, -coalesce(sum(e.amount), 0) as owed
    from accounts a left join entries e on e.account_id = a.id
    where a.kind = 'unidentified' group by a.network, a.bucket, a.asset"""
_HELD = """
    select network, asset, count(*) as count from withdrawals w
    where state = 'unknown' and not exists (
        select 1 from resolutions r
        where r.withdrawal_id = w.id and r.state in ('requested', 'slotted'))
    group by network, asset"""
_OVERDUE = """
    select r.network, r.from_wallet as wallet, count(*) as count
    from approval_requests r join approval_standing s on s.request_id = r.id
    where r.kind = 'fast_transfer' and s.executed and not s.reviewed
      and s.executed_at < clock_timestamp() - $1 * interval '1 ms'
    group by r.network, r.from_wallet"""
# One at a time: what is under way is the newest one.
_COLD = """
    select distinct on (network, asset) network, asset, state,
           extract(epoch from clock_timestamp() - requested_at)::float8 as age_s,
           ended_at > clock_timestamp() - $1 * interval '1 ms' as lately
    from cold_transfers order by network, asset, requested_at desc"""
_REBALANCES = """
    select distinct on (asset) asset, state,
           extract(epoch from clock_timestamp() - requested_at)::float8 as age_s,
           ended_at > clock_timestamp() - $1 * interval '1 ms' as lately
    from rebalances order by asset, requested_at desc"""
_IN_TRANSIT = """
    select a.asset, coalesce(sum(e.amount), 0) as amount
    from accounts a left join entries e on e.account_id = a.id
    where a.kind = 'in_transit' group by a.asset"""
_RESTING = "select network, asset from asset_pauses"


async def expose_queue(connection: Connection, policy: Policy) -> None:
    """Show depth and age of the queue, what hot wallets may still pay, and what they have too much.

    Depth and age are of all open withdrawals, and of those that the present tier guarantees.
    """
    tier = await connection.fetchval("select tier from mode")
    row = await connection.fetchrow(_QUEUE, guaranteed_sizes(policy, tier))
    if row is None:
        raise InternalError("an aggregate gave no row")
    QUEUE_AGE.labels("all").set(row["age_s"])
    QUEUE_AGE.labels("guaranteed").set(row["age_guaranteed_s"])
    QUEUE_DEPTH.labels("all").set(row["depth"])
    QUEUE_DEPTH.labels("guaranteed").set(row["depth_guaranteed"])
    for held in await connection.fetch(_FLOATS):
        HOT_BALANCE.labels(held["network"], held["asset"]).set(
            policy.value_micro(held["asset"], held["available"])
        )
        above = excess(policy, held["wallet"], held["asset"], available=held["available"])
        HOT_EXCESS.labels(held["network"], held["asset"]).set(
            policy.value_micro(held["asset"], above)
        )


async def expose_unidentified(connection: Connection) -> None:
    """Show what is owed to senders who are not known, by network, bucket and asset."""
    for row in await connection.fetch(_UNIDENTIFIED):
        UNIDENTIFIED.labels(row["network"], row["bucket"], row["asset"]).set(row["owed"])


async def expose_held(connection: Connection, policy: Policy) -> None:
    """Show by network and asset how many withdrawals are held, and whether the asset rests."""
    held = {(row["network"], row["asset"]): row["count"] for row in await connection.fetch(_HELD)}
    resting = {(row["network"], row["asset"]) for row in await connection.fetch(_RESTING)}
    for network, declared in policy.networks.items():
        for asset in declared.assets:
            HELD.labels(network, asset).set(held.get((network, asset), 0))
            ASSET_RESTS.labels(network, asset).set((network, asset) in resting)


async def expose_reviews(connection: Connection, policy: Policy) -> None:
    """Show by network and reserve what the fast lane moved and nobody reviewed in time."""
    rows = await connection.fetch(_OVERDUE, policy.approvals.emergency.review_within)
    overdue = {(row["network"], row["wallet"]): row["count"] for row in rows}
    for network, route in payout_routes(policy).items():
        REVIEWS_OVERDUE.labels(network, route.reserve).set(overdue.get((network, route.reserve), 0))


async def expose_cold(connection: Connection, policy: Policy) -> None:
    """Show by network and asset how far the newest cold transfer has come."""
    custody = policy.custody
    if custody is None:
        return
    rows = await connection.fetch(_COLD, custody.lead_time)
    newest = {(row["network"], row["asset"]): row for row in rows}
    for route in cold_routes(policy):
        for asset in route.assets:
            place = (route.network, asset)
            row = newest.get(place)
            state = None if row is None else row["state"]
            under_way = state in ("requested", "approved", "sent", "held")
            COLD_AGE.labels(*place).set(row["age_s"] if row is not None and under_way else 0)
            COLD_HELD.labels(*place).set(state == "held")
            ended = state in ("refused", "expired")
            COLD_REFUSED.labels(*place).set(row is not None and ended and bool(row["lately"]))


async def expose_rebalances(connection: Connection, policy: Policy) -> None:
    """Show by asset how far the newest movement between networks has come, and what is between."""
    if policy.rebalancing is None:
        return
    rows = await connection.fetch(_REBALANCES, policy.rebalancing.lead_time)
    newest = {row["asset"]: row for row in rows}
    for asset in _rebalanced(policy):
        row = newest.get(asset)
        state = None if row is None else row["state"]
        under_way = state in ("requested", "released", "held")
        REBALANCE_AGE.labels(asset).set(row["age_s"] if row is not None and under_way else 0)
        REBALANCE_HELD.labels(asset).set(state == "held")
        ended = state in ("refused", "expired")
        REBALANCE_REFUSED.labels(asset).set(row is not None and ended and bool(row["lately"]))
    for row in await connection.fetch(_IN_TRANSIT):
        IN_TRANSIT.labels(row["asset"]).set(row["amount"])


async def expose_gas(rpc: AsyncRpcClient, keys: Mapping[str, str]) -> None:
    """Show how many full payouts each of ``keys`` (address by wallet) could pay for now.

    A node takes a transaction only if its sender has the highest price that it allows.
    """
    base_fee_wei = (await rpc.head()).base_fee_wei
    cost = fees(base_fee_wei=base_fee_wei, gas_limit=pay_gas_limit(ITEMS_MAX))
    for wallet, address in keys.items():
        balance = await rpc.balance(address)
        GAS_LEFT.labels(rpc.network, wallet).set(balance // (cost.gas_limit * cost.max_fee_wei))


async def expose_sums(connection: Connection, settled: Settled) -> None:
    """Show the sum of all entries by network and asset; anything but zero is a fault.

    Those that are ``settled`` are not read again.
    """
    totals: collections.Counter[tuple[str, str]] = collections.Counter()
    for sums in (settled.sums, await sums_between(connection, settled.up_to)):
        for (_, network, asset, _), amount in sums.items():
            totals[network, asset] += amount
    for (network, asset), total in totals.items():
        LEDGER_SUM.labels(network, asset).set(total)
