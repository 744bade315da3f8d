"""Reconciliation: the ledger against the chain, exactly and also under load.

Both sides are cut at the same place. On the chain that is a finalized block; there, each lane's nonce says which of its slots the
block contains. In the ledger it is every posting except those of later slots. As long as a slot that the block contains is not
posted yet, the sides cannot be compared and the pass waits.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from venue.contracts.calls import balance_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seawall.policy import Policy
    from venue.chain.rpc import Rpc
    from venue.config import NetworkSite
    from venue.database import Connection
    from venue.ledger.chart import Rail

WAITS = 20
WAIT_S = 0.25
"""A settler posts within a poll of finality; five seconds of patience, then the pass is given up and the next one tries."""

_LANES = "select wallet, address from lanes where network = $1"
_UNPOSTED = """
    select exists (
        select 1 from slots s join lanes l on (l.chain_id, l.address) = (s.chain_id, s.address)
        join unnest($1::text[], $2::bigint[]) as cut (wallet, nonce) on cut.wallet = l.wallet
        where s.nonce < cut.nonce and s.state <> 'final')"""
_BOOKED = """
    with later as (
        select s.id from slots s join lanes l on (l.chain_id, l.address) = (s.chain_id, s.address)
        join unnest($1::text[], $2::bigint[]) as cut (wallet, nonce) on cut.wallet = l.wallet
        where s.nonce >= cut.nonce and s.state = 'final'
    ), postings_later as (
        select p.id from later join withdrawals w on w.slot_id = later.id join postings p on p.withdrawal_id = w.id and p.kind = 'post'
        union all
        select p.id from later join topups t on t.slot_id = later.id join postings p on p.topup_id = t.id
    )
    select a.asset, a.kind, coalesce(sum(e.amount), 0) - coalesce((
               select sum(x.amount) from postings_later q join entries x on x.posting_id = q.id where x.account_id = a.id), 0) as booked
    from accounts a left join entries e on e.account_id = a.id
    where (a.bucket, a.network) = ($3, $4) and a.kind in ('hot', 'reserve')
    group by a.id, a.asset, a.kind"""


@dataclass(frozen=True, kw_only=True)
class ChainCut:
    """A finalized block: each lane's next nonce there, and what each (kind, asset) held, in base units."""

    block: int
    nonces: Mapping[str, int]
    held: Mapping[tuple[str, str], int]


async def cut_chain(policy: Policy, rail: Rail, site: NetworkSite, rpc: Rpc, addresses: Mapping[str, str]) -> ChainCut:
    """Read one finalized block; ``addresses`` are the lanes' by wallet. Raises :class:`ServiceError`."""
    block = (await rpc.head("finalized")).number
    tag = hex(block)
    nonces = {wallet: await rpc.nonce(address, tag) for wallet, address in addresses.items()}
    held: dict[tuple[str, str], int] = {}
    native = policy.networks[rail.network].native
    for kind, wallet in (("hot", rail.hot), ("reserve", rail.reserve)):
        holder = (site.contract_of(wallet) or addresses[wallet]).lower()
        for asset in policy.wallets[wallet].holdings:
            if asset == native:
                held[kind, asset] = await rpc.balance(holder, tag)
            else:
                held[kind, asset] = int.from_bytes(await rpc.read(site.tokens[asset], balance_of(holder), tag), "big")
    return ChainCut(block=block, nonces=nonces, held=held)


async def reconcile(
    connection: Connection, policy: Policy, rail: Rail, site: NetworkSite, rpc: Rpc
) -> dict[str, int] | None:
    """Asset -> distance between ledger and chain, summed over hot and reserve without their signs (so none hides another).

    None: the ledger had not caught up with the chain in time; nothing can be said.
    """
    addresses = {row["wallet"]: row["address"] for row in await connection.fetch(_LANES, rail.network)}
    cut = await cut_chain(policy, rail, site, rpc, addresses)
    for _ in range(WAITS):
        booked = await _booked_at(connection, rail, cut)
        if booked is not None:
            drift: dict[str, int] = {}
            for (kind, asset), amount in cut.held.items():
                drift[asset] = drift.get(asset, 0) + abs(amount - booked.get((kind, asset), 0))
            return drift
        await asyncio.sleep(WAIT_S)
    return None


async def _booked_at(connection: Connection, rail: Rail, cut: ChainCut) -> dict[tuple[str, str], int] | None:
    """What the ledger says of hot and reserve at ``cut``; None while it lacks a slot that the block contains."""
    wallets, nonces = list(cut.nonces), list(cut.nonces.values())
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        if await connection.fetchval(_UNPOSTED, wallets, nonces):
            return None
        rows = await connection.fetch(_BOOKED, wallets, nonces, rail.bucket, rail.network)
    return {(row["kind"], row["asset"]): row["booked"] for row in rows}
