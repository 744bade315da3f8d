"""Reconciliation: compare the ledger with the chain, exactly, also while payouts go on.

Both sides are cut at the same place. On the chain that is a finalized block; the nonce of each lane
at that block says which of its slots the block contains. In the ledger it is every posting except
those of later slots. While a slot that the block contains is not posted yet, the sides cannot be
compared, and the pass waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seawall.ethereum.rpc import AsyncRpcClient
    from seawall.formats.venue_config import VenueConfig
    from seawall.policy import Policy
    from venue.database import Connection
    from venue.ledger.chart import Book


BookKey = tuple[str, str]
"""(network, bucket)."""
MISSED_MAX = 3
"""Periods of reconciliation without a result after which the last one counts no longer."""


@dataclass(kw_only=True)
class Comparisons:
    """Last results by key; ``every_s`` is how often each is due.

    Times are seconds of one monotonic clock.
    """

    every_s: Mapping[BookKey, float]
    _drift: dict[BookKey, dict[str, int]] = field(default_factory=dict)
    _at_s: dict[BookKey, float] = field(default_factory=dict)

    def note(self, key: BookKey, drift: Mapping[str, int], *, now_s: float) -> dict[str, int]:
        """Keep a result, in base units by asset.

        What has changed since the one before (nothing counts as level).
        """
        before = self._drift.get(key, {})
        self._drift[key], self._at_s[key] = dict(drift), now_s
        return {asset: amount for asset, amount in drift.items() if amount != before.get(asset, 0)}

    def stale(self, now_s: float) -> list[BookKey]:
        """Sites without a result that still counts."""
        return [
            key
            for key, every_s in self.every_s.items()
            if now_s - self._at_s.get(key, float("-inf")) > MISSED_MAX * every_s
        ]

    def assets(self, key: BookKey) -> list[str]:
        """Assets of the last result of ``key``, however old."""
        return list(self._drift.get(key, {}))

    def drift(self, now_s: float, keys: Iterable[BookKey]) -> int | None:
        """The distance over ``keys``, in base units of whatever asset.

        None unless each of them has a result that counts.
        """
        wanted, stale = list(keys), self.stale(now_s)
        if any(key in stale for key in wanted):
            return None
        return sum(sum(self._drift[key].values()) for key in wanted)


WAITS = 20
WAIT_S = 0.25
"""A settler posts within a poll of finality.

Five seconds of patience, then the pass is given up and the next one tries.
"""

_LANES = "select wallet, address from lanes where wallet = any($1::text[])"
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
    where (a.bucket, a.network) = ($3, $4) and a.kind in ('hot', 'reserve', 'cold')
    group by a.id, a.asset, a.kind"""


@dataclass(frozen=True, kw_only=True)
class ChainCut:
    """A finalized block: each lane's next nonce there, and what each (kind, asset) held, in base
    units.
    """

    block: int
    nonces: Mapping[str, int]
    held: Mapping[tuple[str, str], int]


async def cut_chain(
    config: VenueConfig,
    policy: Policy,
    book: Book,
    rpc: AsyncRpcClient,
    *,
    lanes: Mapping[str, str],
) -> ChainCut:
    """Read one finalized block; ``lanes`` are signing addresses by wallet.

    Raises :class:`ServiceError`.
    """
    block = (await rpc.head("finalized")).number
    tag = hex(block)
    nonces = {wallet: await rpc.nonce(address, tag) for wallet, address in lanes.items()}
    held: dict[tuple[str, str], int] = {}
    native, tokens = policy.networks[book.network].native, config.networks[book.network].tokens
    for kind, wallet in book.wallets.items():
        holder = config.holder_of(policy, wallet)
        for asset in policy.wallets[wallet].holdings:
            token = None if asset == native else tokens[asset]
            held[kind, asset] = await rpc.balance(holder, token=token, tag=tag)
    return ChainCut(block=block, nonces=nonces, held=held)


async def reconcile(
    connection: Connection, config: VenueConfig, policy: Policy, book: Book, rpc: AsyncRpcClient
) -> dict[str, int] | None:
    """Asset -> distance between ledger and chain, summed over the book's wallets without their
    signs (so none hides another).

    None: the ledger had not caught up with the chain in time; nothing can be said.
    """
    rows = await connection.fetch(_LANES, list(book.wallets.values()))
    cut = await cut_chain(
        config, policy, book, rpc, lanes={row["wallet"]: row["address"] for row in rows}
    )
    for _ in range(WAITS):
        booked = await _booked_at(connection, book, cut)
        if booked is not None:
            drift: dict[str, int] = {}
            for (kind, asset), amount in cut.held.items():
                drift[asset] = drift.get(asset, 0) + abs(amount - booked.get((kind, asset), 0))
            return drift
        await asyncio.sleep(WAIT_S)
    return None


async def _booked_at(
    connection: Connection, book: Book, cut: ChainCut
) -> dict[tuple[str, str], int] | None:
    """What the ledger says of the book's wallets at ``cut``.

    None while it lacks a slot that the block contains.
    """
    wallets, nonces = list(cut.nonces), list(cut.nonces.values())
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        if await connection.fetchval(_UNPOSTED, wallets, nonces):
            return None
        rows = await connection.fetch(_BOOKED, wallets, nonces, book.bucket, book.network)
    return {(row["kind"], row["asset"]): row["booked"] for row in rows}
