"""What a wallet may still pay after a restore: neither more than it holds, nor less than it must.

A float is the ledger's idea of a wallet less what its slots will pay. After a restore the wallet
may hold less than the ledger says, for ever (what was paid and is on no record), or more, until the
settler has posted what the lost ledger did. Only the first may lower the float, so both are counted
from the chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from venue.database import Connection

_READ = """
    select f.asset,
           (select coalesce(sum(e.amount), 0) from entries e join accounts a on a.id = e.account_id
            where (a.bucket, a.network, a.asset, a.kind) = ($2, f.network, f.asset, 'hot'))
               as booked,
           (select coalesce(sum(w.amount), 0)
            from withdrawals w
            join slots s on s.id = w.slot_id
            join lanes l on (l.chain_id, l.address) = (s.chain_id, s.address)
            where (l.wallet, w.asset) = (f.wallet, f.asset)
              and (w.state = 'slotted' or w.held_because = 'disputed'))
           + (select coalesce(sum(t.amount), 0) from topups t
              where (t.from_wallet, t.asset, t.state) = (f.wallet, f.asset, 'slotted'))
               as set_aside
    from floats f where f.wallet = $1 order by f.asset"""
_SET = "update floats set available = $3 where (wallet, asset) = ($1, $2)"


def still_payable(*, booked: int, set_aside: int, paid: int, refilled: int, held: int) -> int:
    """Base units that a wallet may still pay; below zero until its refills are posted.

    Args:
        booked: What the wallet holds by the ledger.
        set_aside: What of it slots will pay or have paid, or may have.
        paid: What the chain has paid of that by now, and the ledger has not posted.
        refilled: What has come in by top-ups that the ledger has not posted.
        held: What the wallet holds on the chain.
    """
    lacks = max(booked - paid + refilled - held, 0)
    return booked - set_aside - lacks


async def set_floats(
    connection: Connection,
    wallet: str,
    *,
    bucket: str,
    paid: Mapping[str, int],
    refilled: Mapping[str, int],
    held: Mapping[str, int],
) -> None:
    """Set each float of ``wallet``, as its owner, from amounts by asset (:func:`still_payable`)."""
    for row in await connection.fetch(_READ, wallet, bucket):
        asset = row["asset"]
        available = still_payable(
            booked=row["booked"],
            set_aside=row["set_aside"],
            paid=paid.get(asset, 0),
            refilled=refilled.get(asset, 0),
            held=held[asset],
        )
        await connection.execute(_SET, wallet, asset, available)
