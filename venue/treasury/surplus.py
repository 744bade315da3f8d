"""Surpluses: money that came from outside is booked as unidentified, so that the ledger is right.

Anyone may send money in, so more than expected is no fault. It is owed to whoever will be found to
have sent it, and until then it is the wallet's money like all the rest (decision 0026).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seawall.conventions import database
from seawall.errors import ServiceError
from venue.ledger.journal import append
from venue.treasury.reconcile import UNPOSTED, compare
from venue.treasury.settled import NOTHING, Settled
from venue.treasury.topups import WRITER

if TYPE_CHECKING:
    from venue.database import Connection
    from venue.ledger.chart import Book
    from venue.treasury.reconcile import ChainCut, Holding

_LOCK = "select pg_advisory_xact_lock($1)"
_OVERTAKEN = "select exists (select 1 from surpluses where network = $1 and block_number > $2)"
_BEHIND = """
    select exists (
        select 1 from lanes l
        join unnest($1::text[], $2::bigint[]) as cut (wallet, nonce) on cut.wallet = l.wallet
        where l.next_nonce < cut.nonce)"""
# One that was not sent has moved only if the ledger was restored since and has forgotten it.
_MAY_HAVE_COME = """
    select c.to_wallet as wallet, c.asset from cold_transfers c
    where c.network = $1
      and (c.state in ('sent', 'held')
           or c.state in ('requested', 'approved')
              and exists (select 1 from generations g where g.opened_at > c.requested_at))
    union
    select b.to_wallet, b.asset from rebalances b
    where b.to_network = $1
      and (b.state in ('released', 'held')
           or b.state = 'requested'
              and exists (select 1 from generations g where g.opened_at > b.requested_at))"""
_BOOK = """
    with found as (
        insert into surpluses (bucket, network, wallet, asset, amount, block_number)
        values ($1, $2, $3, $4, $5, $6) returning id, asset, amount
    ), posted as (
        insert into postings (kind, surplus_id) select 'surplus', id from found returning id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select p.id, a.id, case a.kind when 'unidentified' then -f.amount else f.amount end
        from posted p cross join found f
        join accounts a on (a.bucket, a.network, a.asset) = ($1, $2, f.asset)
                       and a.kind in ('unidentified', $7)
        returning 1
    ), raised as (
        update floats set available = available + $5 where (wallet, asset) = ($3, $4)
    )
    select count(*) from entered"""
_ENTRIES = 2
"""Of a posting: the wallet's account and the one of what is unidentified."""


async def book_surpluses(
    connection: Connection, book: Book, cut: ChainCut, settled: Settled = NOTHING
) -> dict[Holding, int]:
    """Book what the chain holds at ``cut`` beyond the ledger, in one transaction.

    What counts is the ledger now, not when ``cut`` was compared with it, and nothing is booked if a
    later block was booked meanwhile: no money is booked twice, even if a second treasury runs.
    Nor is it if a lane has sent what is on no record, as after a restore: the venue's own top-up
    would be taken for money from outside. Nor what comes to a reserve while a cold transfer to it,
    or a rebalance, may have moved: its event would be posted as well.

    Args:
        connection: Not in a transaction.
        book: Whose wallets ``cut`` shows.
        cut: A finalized block, every slot of which is posted.
        settled: Older entries of the ledger, which are not read again.

    Returns:
        Base units by holding that were booked.
    """
    async with connection.transaction():
        await connection.execute(_LOCK, database.SURPLUS_LOCK)
        if await connection.fetchval(_OVERTAKEN, book.network, cut.block):
            return {}
        if await connection.fetchval(_BEHIND, list(cut.nonces), list(cut.nonces.values())):
            return {}
        # A slot that was claimed since may be a lost one that the chain has had for long.
        if await connection.fetchval(UNPOSTED, list(cut.nonces), list(cut.nonces.values())):
            return {}
        # What a cold transfer or a rebalance brought is the venue's own, also where its event was
        # not seen yet.
        coming = {
            (row["wallet"], row["asset"])
            for row in await connection.fetch(_MAY_HAVE_COME, book.network)
        }
        more = (await compare(connection, book, cut, settled)).surpluses
        found = {holding: more[holding] for holding in sorted(more) if holding not in coming}
        kinds = {wallet: kind for kind, wallet in book.wallets.items()}
        for (wallet, asset), amount in found.items():
            why = (
                f"{wallet} holds {amount} base units of {asset} more than the ledger says at"
                f" block {cut.block} of {book.network}; who sent them is not known"
            )
            body: dict[str, str | int | None] = {
                "network": book.network,
                "wallet": wallet,
                "asset": asset,
                "amount": str(amount),
                "block": cut.block,
            }
            await append(connection, writer=WRITER, kind="surplus", justification=why, body=body)
            entries = await connection.fetchval(
                _BOOK, book.bucket, book.network, wallet, asset, amount, cut.block, kinds[wallet]
            )
            if entries != _ENTRIES:
                raise ServiceError(
                    f"{wallet} has no accounts of {asset} to book a surplus to: the policy has a"
                    " holding that genesis did not know"
                )
    return found
