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
    from seawall.policy import Policy
    from venue.database import Connection

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
    """What is checked before a top-up is requested.

    ``lease_age_ms``: age of the mode controller's lease, None without one. ``drift``: base units
    between ledger and chain, None unless they were compared recently.
    """

    lease_age_ms: int | None
    drift: int | None

    @property
    def obstacle(self) -> str | None:
        """Why no money may move, or None."""
        if stale(self.lease_age_ms):
            return "the mode controller is silent"
        if self.drift is None:
            return "ledger and chain have not been compared lately"
        return f"ledger and chain differ by {self.drift} base units" if self.drift else None


async def request_topups(
    connection: Connection, policy: Policy, *, drift: int | None
) -> str | None:
    """Request the top-ups that are due; returns the reason if the checks forbid all of them."""
    health = Health(lease_age_ms=await connection.fetchval(_LEASE_AGE_MS), drift=drift)
    if health.obstacle is not None:
        return health.obstacle
    for route in payout_routes(policy).values():
        for asset in policy.wallets[route.hot].holdings:
            await _consider(connection, policy, route, asset)
    return None


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
