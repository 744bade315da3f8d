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
"""After so many reconciliation periods without a new result, the last one counts no longer."""


@dataclass(kw_only=True)
class Comparisons:
    """The last comparison by book; ``every_s`` is how often each is due.

    Times are seconds of one monotonic clock. An old result counts as none.
    """

    every_s: Mapping[BookKey, float]
    _drift: dict[BookKey, dict[str, int]] = field(default_factory=dict)
    _at_s: dict[BookKey, float] = field(default_factory=dict)

    def note(self, key: BookKey, drift: Mapping[str, int], *, now_s: float) -> dict[str, int]:
        """Keep a result: ``drift`` in base units by asset.

        Returns:
            The assets whose drift has changed since the last result; before the first it was zero.
        """
        before = self._drift.get(key, {})
        self._drift[key], self._at_s[key] = dict(drift), now_s
        return {asset: amount for asset, amount in drift.items() if amount != before.get(asset, 0)}

    def stale(self, now_s: float) -> list[BookKey]:
        """Books without a result that still counts."""
        return [
            key
            for key, every_s in self.every_s.items()
            if now_s - self._at_s.get(key, float("-inf")) > MISSED_MAX * every_s
        ]

    def assets(self, key: BookKey) -> list[str]:
        """Assets of the last result of ``key``, however old."""
        return list(self._drift.get(key, {}))

    def drift(self, now_s: float, keys: Iterable[BookKey]) -> int | None:
        """The sum of all drift over ``keys``, in base units over all assets.

        None unless each of them has a result that still counts.
        """
        wanted, stale = list(keys), self.stale(now_s)
        if any(key in stale for key in wanted):
            return None
        return sum(sum(self._drift[key].values()) for key in wanted)


WAITS = 20
WAIT_S = 0.25
"""A settler posts within one poll after finality.

A pass waits ``WAITS`` times so long (5 s in all), then the next pass tries again.
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
        select p.id from later
        join withdrawals w on w.slot_id = later.id
        join postings p on p.withdrawal_id = w.id and p.kind = 'post'
        union all
        select p.id from later
        join topups t on t.slot_id = later.id
        join postings p on p.topup_id = t.id
    )
    select a.asset, a.kind,
           coalesce(sum(e.amount), 0) - coalesce((
               select sum(x.amount) from postings_later q
               join entries x on x.posting_id = q.id where x.account_id = a.id), 0) as booked
    from accounts a left join entries e on e.account_id = a.id
    where (a.bucket, a.network) = ($3, $4) and a.kind in ('hot', 'reserve', 'cold')
    group by a.id, a.asset, a.kind"""


@dataclass(frozen=True, kw_only=True)
class ChainCut:
    """The state of a book at a finalized block, all of it from one view of the chain.

    ``nonces`` are next nonces by wallet, ``held`` base units by (kind of wallet, asset).
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
    """Read one finalized block of one endpoint; ``lanes`` are signing addresses by wallet.

    Nonces of one node and balances of another would show a drift that is none.

    Raises :class:`ServiceError`: then nothing is known, and the next pass reads again.
    """
    view = await rpc.view()
    nonces = {wallet: await view.nonce(address) for wallet, address in lanes.items()}
    held: dict[tuple[str, str], int] = {}
    native, tokens = policy.networks[book.network].native, config.networks[book.network].tokens
    for kind, wallet in book.wallets.items():
        holder = config.holder_of(policy, wallet)
        for asset in policy.wallets[wallet].holdings:
            token = None if asset == native else tokens[asset]
            held[kind, asset] = await view.balance(holder, token=token)
    return ChainCut(block=view.finalized.number, nonces=nonces, held=held)


async def reconcile(
    connection: Connection, config: VenueConfig, policy: Policy, book: Book, rpc: AsyncRpcClient
) -> dict[str, int] | None:
    """Drift by asset: absolute differences of ledger and chain, summed over the book's wallets.

    None if the ledger had not caught up with the chain in time: then nothing is known.
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

    None while a slot that the block contains is not posted.
    """
    wallets, nonces = list(cut.nonces), list(cut.nonces.values())
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        if await connection.fetchval(_UNPOSTED, wallets, nonces):
            return None
        rows = await connection.fetch(_BOOKED, wallets, nonces, book.bucket, book.network)
    return {(row["kind"], row["asset"]): row["booked"] for row in rows}
