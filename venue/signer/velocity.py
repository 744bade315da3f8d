"""Velocity caps: how much a signer signs away of a wallet, even if everything else is wrong.

Whoever could write slots, or fool the settler, would still get no more than a cap within a window.
Amounts are read from the calldata that is signed and counted in the sign log's own database, in the
transaction that records the digest: neither a restart nor the other region forgets. What was
recorded counts whether or not it was signed and sent; a repeated request counts once.

The window is a time of the database's clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from seawall.controls.sizing import Caps, signer_caps
from seawall.formats.venue_config import VenueConfig
from seawall.policy import Policy
from venue.contracts.calls import NATIVE, outflow
from venue.database import Connection
from venue.signer.protocol import SigningRefusedError, SignRequest

# The lock is taken in a statement of its own: a later one sees what its last holder committed.
_LOCK = (
    "select pg_advisory_xact_lock(hashtextextended('velocity ' || $1::text || ' ' || $2::text, 0))"
)
_MOVES = """
    insert into signed_amounts (chain_id, address, nonce, token, amount)
    select $1, $2, $3, * from unnest($4::text[], $5::numeric[])"""
_TRANSACTIONS = """
    select count(*) from sign_log
    where (chain_id, address) = ($1, $2)
      and requested_at > clock_timestamp() - $3 * interval '1 ms'"""
_AMOUNTS = """
    select a.token, sum(a.amount) as amount
    from sign_log l join signed_amounts a using (chain_id, address, nonce)
    where (l.chain_id, l.address) = ($1, $2)
      and l.requested_at > clock_timestamp() - $3 * interval '1 ms'
    group by a.token"""


def caps_of(config: VenueConfig, policy: Policy, wallets: Iterable[str]) -> dict[str, Caps]:
    """The caps of each of ``wallets``; amounts by token address, as calls name them."""
    found = {}
    for wallet in wallets:
        network = policy.wallets[wallet].network
        native, tokens = policy.networks[network].native, config.networks[network].tokens
        caps = signer_caps(policy, wallet)
        found[wallet] = replace(
            caps,
            amounts={
                NATIVE if asset == native else tokens[asset].lower(): amount
                for asset, amount in caps.amounts.items()
            },
        )
    return found


async def hold(connection: Connection, request: SignRequest) -> None:
    """Let no other transaction, of either region, count for the request's key until this one ends.

    ``connection`` is in a transaction.
    """
    await connection.execute(_LOCK, str(request.chain_id), request.address)


async def count(connection: Connection, request: SignRequest, caps: Caps) -> None:
    """Count what ``request`` moves, once it is recorded, in the transaction that recorded it.

    Raises :class:`SigningRefusedError` (``over_cap``), which undoes that transaction.
    """
    key = (request.chain_id, request.address)
    moved = outflow(request.data)
    await connection.execute(_MOVES, *key, request.nonce, list(moved), list(moved.values()))
    window = f"within {caps.window_ms / 1_000:g} s"
    transactions = await connection.fetchval(_TRANSACTIONS, *key, caps.window_ms)
    if transactions > caps.transactions:
        raise SigningRefusedError(
            "over_cap",
            f"{request.wallet} has {caps.transactions} transactions {window}, which is all that its"
            " signer signs",
        )
    for row in await connection.fetch(_AMOUNTS, *key, caps.window_ms):
        cap = caps.amounts.get(row["token"], 0)
        if row["token"] in moved and row["amount"] > cap:
            raise SigningRefusedError(
                "over_cap",
                f"{request.wallet} would have {row['amount']} base units of {row['token']} signed"
                f" away {window}, and its signer signs {cap}",
            )
