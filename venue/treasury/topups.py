"""Top-ups: when a hot wallet is low and the checks pass, request more from its reserve wallet.

The settler carries the request out.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from seawall.controls.heartbeat import stale
from seawall.controls.sizing import top_up
from venue.ledger.chart import PayoutRoute, payout_routes
from venue.ledger.journal import append
from venue.treasury import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seawall.policy import Policy
    from venue.database import Connection
    from venue.treasury.reconcile import Holding

WRITER = "treasury"
_LEASE_AGE_MS = """
    select (extract(epoch from clock_timestamp() - renewed_at) * 1000)::bigint
    from mode_controller_lease"""
_HELD = """
    select f.available,
           (select coalesce(sum(t.amount), 0) from topups t
            where (t.to_wallet, t.asset) = (f.wallet, f.asset)
              and t.state <> 'posted') as in_flight,
           (select coalesce(sum(e.amount), 0) from entries e join accounts a on a.id = e.account_id
            where (a.bucket, a.network, a.asset, a.kind)
                = ($3, f.network, f.asset, 'reserve')) as reserve
    from floats f where (f.wallet, f.asset) = ($1, $2)"""
_REQUEST = """
    insert into topups (id, network, asset, from_wallet, to_wallet, amount, state, justification)
    values ($1, $2, $3, $4, $5, $6, 'requested', $7)"""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Health:
    """What is checked before the top-ups of a network are requested.

    ``lease_age_ms``: age of the mode controller's lease, None without one. ``deficits``: base units
    that the chain lacks, by wallet and asset of the book that pays there; None unless it was
    compared recently.
    """

    lease_age_ms: int | None
    deficits: Mapping[Holding, int] | None

    def obstacle(self, route: PayoutRoute, asset: str) -> str | None:
        """Why no ``asset`` may move on ``route``, or None.

        A top-up must not refill what is being emptied, nor count on what the reserve has lost. What
        other wallets lack, or other assets, is another's alarm; customers must not wait for it.
        """
        if stale(self.lease_age_ms):
            return "the mode controller is silent"
        for wallet in (route.hot, route.reserve):
            lacks = None if self.deficits is None else self.deficits.get((wallet, asset))
            if lacks is None:
                return f"{wallet} has not been compared with the chain lately"
            if lacks:
                return f"{wallet} lacks {lacks} base units of what the ledger says"
        return None


async def request_topups(
    connection: Connection, policy: Policy, *, deficits: Mapping[str, Mapping[Holding, int] | None]
) -> dict[tuple[str, str], str]:
    """Request the top-ups that are due, of each network and asset by itself.

    Args:
        connection: Not in a transaction.
        policy: The policy in force.
        deficits: By network, as :class:`Health` has them.

    Returns:
        Why there are none, by network and asset.
    """
    lease_age_ms = await connection.fetchval(_LEASE_AGE_MS)
    obstacles = {}
    for network, route in payout_routes(policy).items():
        health = Health(lease_age_ms=lease_age_ms, deficits=deficits[network])
        for asset in policy.wallets[route.hot].holdings:
            obstacle = health.obstacle(route, asset)
            if obstacle is None:
                await _consider(connection, policy, route, asset)
            else:
                obstacles[network, asset] = obstacle
    return obstacles


async def _consider(connection: Connection, policy: Policy, route: PayoutRoute, asset: str) -> None:
    held = await connection.fetchrow(_HELD, route.hot, asset, route.bucket)
    if held is None or held["in_flight"]:
        return  # one at a time: the size of the next depends on what this one leaves
    amount = top_up(
        policy,
        route.hot,
        asset,
        available=held["available"],
        in_flight=held["in_flight"],
        reserve=held["reserve"],
    )
    if amount is None:
        return
    topup = uuid4()
    why = (
        f"{route.hot} may still pay {held['available']} {asset}, "
        f"below {policy.treasury.top_up_below} of its target; "
        f"refilled to its {policy.treasury.top_up_to} from {held['reserve']} in {route.reserve}"
    )
    async with connection.transaction():
        body = {
            "topup": str(topup),
            "from": route.reserve,
            "to": route.hot,
            "asset": asset,
            "amount": str(amount),
        }
        await append(connection, writer=WRITER, kind="topup", justification=why, body=body)
        await connection.execute(
            _REQUEST, topup, route.network, asset, route.reserve, route.hot, amount, why
        )
    metrics.TOP_UPS.labels(route.network, asset).inc()
    _log.info("top-up of %d %s: %s", amount, asset, why)
