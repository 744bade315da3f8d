"""Top-ups: when a hot wallet is low and the checks pass, request more from its reserve wallet.

The settler carries the request out.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from seawall.controls.heartbeat import stale
from seawall.controls.sizing import signer_caps, top_up
from venue.ledger.chart import PayoutRoute, payout_routes
from venue.ledger.journal import append
from venue.treasury import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Literal

    from seawall.policy import Policy
    from venue.database import Connection
    from venue.treasury.reconcile import Holding

WRITER = "treasury"
LEASE_AGE_MS = """
    select (extract(epoch from clock_timestamp() - renewed_at) * 1000)::bigint
    from mode_controller_lease"""
_HELD = """
    select f.available,
           (select coalesce(sum(t.amount), 0) from topups t
            where (t.to_wallet, t.asset) = (f.wallet, f.asset)
              and t.state in ('requested', 'slotted')) as in_flight,
           (select coalesce(sum(e.amount), 0) from entries e join accounts a on a.id = e.account_id
            where (a.bucket, a.network, a.asset, a.kind)
                = ($3, f.network, f.asset, 'reserve')) as reserve
    from floats f where (f.wallet, f.asset) = ($1, $2)"""
_REQUEST = """
    insert into topups (id, network, asset, from_wallet, to_wallet, amount, state, justification)
    values ($1, $2, $3, $4, $5, $6, 'requested', $7)"""
_TOO_LARGE = """
    select id, amount from topups
    where (to_wallet, asset) = ($1, $2) and state = 'requested' and amount > $3"""
TAKE_BACK = "select take_back_topup($1)"
_log = logging.getLogger(__name__)


class Movement(NamedTuple):
    """So many base units that are to go from a wallet to another one of its bucket and network."""

    network: str
    asset: str
    source: str
    target: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class Health:
    """What is checked before the top-ups of a network are requested.

    ``lease_age_ms``: age of the mode controller's lease, None without one. ``deficits``: base units
    that the chain lacks, by wallet and asset of the book that pays there; None unless it was
    compared recently.
    """

    lease_age_ms: int | None
    deficits: Mapping[Holding, int] | None

    def obstacle(self, wallets: Iterable[str], asset: str) -> str | None:
        """Why no ``asset`` may move between ``wallets``, or None.

        A top-up must not refill what is being emptied, nor count on what the reserve has lost. What
        other wallets lack, or other assets, is another's alarm; customers must not wait for it.
        """
        if stale(self.lease_age_ms):
            return "the mode controller is silent"
        for wallet in wallets:
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

    What was requested and could not be signed any more is taken back before.

    Args:
        connection: Not in a transaction.
        policy: The policy in force.
        deficits: By network, as :class:`Health` has them.

    Returns:
        Why there are none, by network and asset.
    """
    lease_age_ms = await connection.fetchval(LEASE_AGE_MS)
    obstacles = {}
    for network, route in payout_routes(policy).items():
        health = Health(lease_age_ms=lease_age_ms, deficits=deficits[network])
        for asset in policy.wallets[route.hot].holdings:
            obstacle = health.obstacle(route.lanes, asset)
            await _take_back(connection, policy, route, asset)
            if obstacle is None:
                await _consider(connection, policy, route, asset)
            else:
                obstacles[network, asset] = obstacle
    return obstacles


async def _take_back(
    connection: Connection, policy: Policy, route: PayoutRoute, asset: str
) -> None:
    """Take a requested top-up back that the reserve's signer would never sign.

    The caps of the policy may be lowered after it was requested. No settler claims it then, and
    while it stands no other is asked for.
    """
    cap = signer_caps(policy, route.reserve).amounts.get(asset, 0)
    row = await connection.fetchrow(_TOO_LARGE, route.hot, asset, cap)
    if row is None:
        return
    why = (
        f"{row['amount']} {asset} are more than the {cap} that may be signed away of"
        f" {route.reserve} in any window, so nobody would move them"
    )
    async with connection.transaction():
        if await connection.fetchval(TAKE_BACK, row["id"]) is None:
            return  # a settler that knows other caps has just claimed it
        body: dict[str, str | int | None] = {"topup": str(row["id"]), "cap": str(cap)}
        await append(
            connection, writer=WRITER, kind="topup taken back", justification=why, body=body
        )
    _log.warning("the top-up %s is taken back: %s", row["id"], why)


async def request(
    connection: Connection, kind: Literal["topup", "sweep"], movement: Movement, *, why: str
) -> None:
    """Ask for it, with its reason in the journal first, in one transaction."""
    number = uuid4()
    network, asset, source, target, amount = movement
    async with connection.transaction():
        body = {
            kind: str(number),
            "from": source,
            "to": target,
            "asset": asset,
            "amount": str(amount),
        }
        await append(connection, writer=WRITER, kind=kind, justification=why, body=body)
        await connection.execute(_REQUEST, number, network, asset, source, target, amount, why)


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
    why = (
        f"{route.hot} may still pay {held['available']} {asset}, "
        f"below {policy.treasury.top_up_below} of its target; "
        f"refilled to its {policy.treasury.top_up_to} from {held['reserve']} in {route.reserve}"
    )
    movement = Movement(route.network, asset, route.reserve, route.hot, amount)
    await request(connection, "topup", movement, why=why)
    metrics.TOP_UPS.labels(route.network, asset).inc()
    _log.info("top-up of %d %s: %s", amount, asset, why)
