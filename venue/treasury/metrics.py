"""The metrics of the treasury: queue, hot balances, ledger sums, deficits, surpluses, top-ups."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from seawall.controls.admission import guaranteed_sizes
from seawall.conventions import metrics
from seawall.errors import InternalError
from venue.chain.transaction import fees
from venue.contracts.calls import ITEMS_MAX, pay_gas_limit
from venue.ledger.chart import payout_routes
from venue.treasury.settled import sums_between

if TYPE_CHECKING:
    from collections.abc import Mapping

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
LEDGER_SUM = Gauge(
    metrics.LEDGER_SUM, "Sum of all entries; anything but zero is a fault.", ("network", "asset")
)
TOP_UPS = Counter(metrics.TOP_UPS, "Top-ups requested.", ("network", "asset"))


def initialise(policy: Policy) -> None:
    """Create every label set, so that Prometheus sees the first event as an increase."""
    for network in payout_routes(policy):
        for asset in policy.networks[network].assets:
            TOP_UPS.labels(network, asset)


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
                 (network, asset) not in (select network, asset from asset_pauses) as moves
          from withdrawals where state in ('reserved', 'slotted')) as queue"""
_FLOATS = "select network, asset, available from floats"
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
_RESTING = "select network, asset from asset_pauses"


async def expose_queue(connection: Connection, policy: Policy) -> None:
    """Show depth and age of the queue and what hot wallets may still pay.

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
