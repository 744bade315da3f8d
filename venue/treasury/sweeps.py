"""Sweeps: what a hot wallet holds above its maximum is asked to go back to its reserve.

It comes from outside, or from a top-up whose payments were then given back. What a hot wallet holds
is what a stolen key or a bug may take, so the policy bounds it. The settler carries the request out
(`venue/settler/topups.py`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from seawall.controls.sizing import signer_caps, sweep
from venue.ledger.chart import PayoutRoute, payout_routes
from venue.ledger.journal import append
from venue.ledger.outstanding import outstanding
from venue.treasury.topups import TAKE_BACK, WRITER, Movement, request

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from seawall.policy import Policy
    from venue.database import Connection

_HELD = """
    select f.available,
           (select tier from mode) as tier,
           t.id, t.state, t.amount
    from floats f
    left join topups t on (t.from_wallet, t.asset) = (f.wallet, f.asset)
                      and t.state in ('requested', 'slotted')
    where (f.wallet, f.asset) = ($1, $2)"""
_log = logging.getLogger(__name__)


async def request_sweeps(
    connection: Connection, policy: Policy, *, stopped: Collection[tuple[str, str]]
) -> None:
    """Request the sweeps that are due, of each network and asset by itself.

    One that would now leave the wallet less than its maximum beside what customers wait for, or
    that the signer would never sign beside it, is taken back.

    Args:
        connection: Not in a transaction.
        policy: The policy in force.
        stopped: Networks and assets of which nothing may move between the wallets.
    """
    for network, route in payout_routes(policy).items():
        waiting = await outstanding(connection, policy, route.hot, network=network)
        for asset in policy.wallets[route.hot].holdings:
            row = await connection.fetchrow(_HELD, route.hot, asset)
            if row is None:
                continue
            held = dict(row, waiting=waiting.get(asset, 0))
            if held["id"] is not None:
                await _take_back(connection, policy, route, asset, held)
            elif (network, asset) not in stopped and held["tier"] == "normal":
                await _consider(connection, policy, route, asset, held)


async def _take_back(
    connection: Connection, policy: Policy, route: PayoutRoute, asset: str, held: Mapping[str, Any]
) -> None:
    cap = signer_caps(policy, route.hot).amounts[asset]
    maximum = policy.base_units(asset, policy.wallets[route.hot].holdings[asset].maximum)
    left = held["available"] - held["waiting"] - held["amount"]
    room = cap - held["waiting"]
    if held["state"] != "requested" or (held["amount"] <= room and left >= maximum):
        return
    why = (
        f"{route.hot} may still pay {held['available']} {asset}, {held['waiting']} of them are"
        f" asked for; without the {held['amount']} of this sweep less than its maximum of {maximum}"
        f" would be left, or they are more than customers leave of the {cap} that may be signed"
        " away in any window"
    )
    async with connection.transaction():
        if await connection.fetchval(TAKE_BACK, held["id"]) is None:
            return  # a settler has just claimed it
        body: dict[str, str | int | None] = {"sweep": str(held["id"])}
        await append(
            connection, writer=WRITER, kind="sweep taken back", justification=why, body=body
        )
    _log.warning("the sweep %s is taken back: %s", held["id"], why)


async def _consider(
    connection: Connection, policy: Policy, route: PayoutRoute, asset: str, held: Mapping[str, Any]
) -> None:
    amount = sweep(policy, route.hot, asset, available=held["available"], waiting=held["waiting"])
    if amount is None:
        return
    why = (
        f"{route.hot} may still pay {held['available']} {asset}, {held['waiting']} of them are"
        f" asked for, and the rest is above {policy.treasury.sweep_above} of its maximum; what is"
        f" above the maximum goes back to {route.reserve}"
    )
    movement = Movement(route.network, asset, route.hot, route.reserve, amount)
    await request(connection, "sweep", movement, why=why)
    _log.info("sweep of %d %s: %s", amount, asset, why)
