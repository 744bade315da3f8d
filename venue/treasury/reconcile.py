"""Reconciliation: compare the ledger with the chain, exactly, also while payouts go on.

Both sides are cut at the same place. On the chain that is a finalized block; the nonce of each lane
at that block says which of its slots the block contains. In the ledger it is every posting except
those of later slots, and of money that was found at a later block. While a slot that the block
contains is not posted yet, the sides cannot be compared, and the pass waits.

So a difference is never a payment under way, whichever its sign: a payment is on both sides of a
cut or on neither. What the chain holds beyond the ledger came from outside, provided that the
ledger knows every slot that the block contains (:mod:`venue.treasury.surplus`), and every arrival
from a cold wallet or another network, which is in no slot: the treasury settles those of a view
before it compares the same view (:mod:`venue.treasury.cold`, :mod:`venue.treasury.rebalancing`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seawall.ethereum.rpc import RpcError
from venue.treasury.settled import NOTHING, Settled

if TYPE_CHECKING:
    from seawall.ethereum.rpc import AsyncRpcClient, ChainView
    from seawall.formats.venue_config import VenueConfig
    from seawall.policy import Policy
    from venue.database import Connection
    from venue.ledger.chart import Book


BookKey = tuple[str, str]
"""(network, bucket)."""
Holding = tuple[str, str]
"""(wallet, asset)."""
MISSED_MAX = 3
"""After so many reconciliation periods without a new result, the last one counts no longer."""


@dataclass(kw_only=True)
class Comparisons:
    """The deficits of the last comparison by book; ``every_s`` is how often each is due.

    Times are seconds of one monotonic clock. An old result counts as none.
    """

    every_s: Mapping[BookKey, float]
    _deficits: dict[BookKey, dict[Holding, int]] = field(default_factory=dict)
    _at_s: dict[BookKey, float] = field(default_factory=dict)
    _recorded: dict[BookKey, dict[Holding, int]] = field(default_factory=dict)

    def note(self, key: BookKey, deficits: Mapping[Holding, int], *, now_s: float) -> None:
        """Keep a result: ``deficits`` in base units, zero where the chain lacks nothing."""
        self._deficits[key], self._at_s[key] = dict(deficits), now_s

    def unrecorded(self, key: BookKey) -> dict[Holding, int]:
        """Deficits of the last result that are not in the journal yet; at first all were zero."""
        recorded = self._recorded.get(key, {})
        return {
            holding: amount
            for holding, amount in self._deficits.get(key, {}).items()
            if amount != recorded.get(holding, 0)
        }

    def record(self, key: BookKey, holding: Holding, amount: int) -> None:
        """Note that the journal has this deficit."""
        self._recorded.setdefault(key, {})[holding] = amount

    def stale(self, now_s: float) -> list[BookKey]:
        """Books without a result that still counts."""
        return [
            key
            for key, every_s in self.every_s.items()
            if now_s - self._at_s.get(key, float("-inf")) > MISSED_MAX * every_s
        ]

    def holdings(self, key: BookKey) -> list[Holding]:
        """What the last result of ``key`` compared, however old it is."""
        return list(self._deficits.get(key, {}))

    def deficits(self, key: BookKey, *, now_s: float) -> Mapping[Holding, int] | None:
        """The last result of ``key``, None unless it still counts."""
        return None if key in self.stale(now_s) else self._deficits[key]


WAITS = 20
WAIT_S = 0.25
"""A settler posts within one poll after finality.

A pass waits ``WAITS`` times so long (5 s in all), then the next pass tries again.
"""

_LANES = "select wallet, address from lanes where network = $1"
"""All of a network: an approved transfer comes into a book by the lane of another one."""
UNPOSTED = """
    select exists (
        select 1 from slots s join lanes l on (l.chain_id, l.address) = (s.chain_id, s.address)
        join unnest($1::text[], $2::bigint[]) as cut (wallet, nonce) on cut.wallet = l.wallet
        where s.nonce < cut.nonce and s.state <> 'final')"""
# Entries of later postings are added up once for all accounts. Looked up by account, each of these
# postings would have every entry of a hot account read again; the server would do that by itself
# if the result were not kept (PostgreSQL 18, "WITH Queries", materialization).
_BOOKED = """
    with later as (
        select s.id from slots s join lanes l on (l.chain_id, l.address) = (s.chain_id, s.address)
        join unnest($1::text[], $2::bigint[]) as cut (wallet, nonce) on cut.wallet = l.wallet
        where s.nonce >= cut.nonce and s.state = 'final'
    ), postings_later as materialized (
        select p.id from later
        join withdrawals w on w.slot_id = later.id
        join postings p on p.withdrawal_id = w.id and p.kind = 'post'
        union all
        select p.id from later
        join topups t on t.slot_id = later.id
        join postings p on p.topup_id = t.id
        union all
        select p.id from later
        join approval_calls c on c.slot_id = later.id and c.call = 'execute'
        join postings p on p.request_id = c.request_id
        union all
        select p.id from surpluses f
        join postings p on p.surplus_id = f.id and p.kind = 'surplus'
        where f.network = $4 and f.block_number > $5
        union all
        select p.id from cold_transfers c
        join postings p on p.cold_id = c.id
        where c.network = $4 and c.block_number > $5
        union all
        select p.id from rebalances b
        join postings p on p.rebalance_id = b.id
        where b.to_network = $4 and b.block_number > $5
    ), entries_later as materialized (
        select x.account_id, sum(x.amount) as amount
        from postings_later q join entries x on x.posting_id = q.id group by x.account_id
    )
    select a.asset, a.kind,
           coalesce(sum(e.amount), 0)
               - coalesce((select x.amount from entries_later x where x.account_id = a.id), 0)
               as booked
    from accounts a left join entries e on e.account_id = a.id and e.id > $6
    where (a.bucket, a.network) = ($3, $4) and a.kind in ('hot', 'reserve', 'cold')
    group by a.id, a.asset, a.kind"""


@dataclass(frozen=True, kw_only=True)
class ChainCut:
    """The state of a book at a finalized block, all of it from one view of the chain.

    ``nonces`` are next nonces by wallet of the network's lanes, ``held`` base units by holding.
    """

    block: int
    nonces: Mapping[str, int]
    held: Mapping[Holding, int]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A book's wallets at ``cut``: by holding, base units on the chain less those in the ledger.

    Holdings are never added up: more in one wallet must not hide that another one lacks something.
    ``confirmed``: whether every endpoint of the network that could be asked shows the same block
    like this. What one of several says alone is enough to stop, and not to book money.
    """

    cut: ChainCut
    differences: Mapping[Holding, int]
    confirmed: bool = False

    @property
    def deficits(self) -> dict[Holding, int]:
        """What the chain lacks by holding, zero where it lacks nothing."""
        return {holding: max(0, -amount) for holding, amount in self.differences.items()}

    @property
    def surpluses(self) -> dict[Holding, int]:
        """What the chain holds beyond the ledger, where it does."""
        return {holding: amount for holding, amount in self.differences.items() if amount > 0}


async def cut_chain(
    config: VenueConfig, policy: Policy, book: Book, view: ChainView, *, lanes: Mapping[str, str]
) -> ChainCut:
    """Read the finalized block of ``view``; ``lanes`` are signing addresses by wallet.

    Nonces of one node and balances of another would show a drift that is none.

    Raises :class:`ServiceError`: then nothing is known, and the next pass reads again.
    """
    nonces = {wallet: await view.nonce(address) for wallet, address in lanes.items()}
    held: dict[Holding, int] = {}
    native, tokens = policy.networks[book.network].native, config.networks[book.network].tokens
    for wallet in book.wallets.values():
        holder = config.holder_of(policy, wallet)
        for asset in policy.wallets[wallet].holdings:
            token = None if asset == native else tokens[asset]
            held[wallet, asset] = await view.balance(holder, token=token)
    return ChainCut(block=view.finalized.number, nonces=nonces, held=held)


async def reconcile(
    connection: Connection,
    config: VenueConfig,
    policy: Policy,
    book: Book,
    rpc: AsyncRpcClient,
    *,
    view: ChainView,
    settled: Settled = NOTHING,
) -> Comparison | None:
    """Compare the wallets of ``book`` with ``view``, a view of ``rpc``.

    Entries that are ``settled`` are not read.

    None if the ledger had not caught up with the chain in time: then nothing is known.

    Raises :class:`ServiceError`.
    """
    rows = await connection.fetch(_LANES, book.network)
    lanes = {row["wallet"]: row["address"] for row in rows}
    cut = await cut_chain(config, policy, book, view, lanes=lanes)
    for _ in range(WAITS):
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            unposted = await connection.fetchval(
                UNPOSTED, list(cut.nonces), list(cut.nonces.values())
            )
            found = None if unposted else await compare(connection, book, cut, settled)
        if found is not None:
            if not found.surpluses:
                return found
            other = rpc.other_view(view)
            same = other is None or await _shows(other, config, policy, book, cut, lanes=lanes)
            return replace(found, confirmed=same)
        await asyncio.sleep(WAIT_S)
    return None


async def _shows(
    view: ChainView,
    config: VenueConfig,
    policy: Policy,
    book: Book,
    cut: ChainCut,
    *,
    lanes: Mapping[str, str],
) -> bool:
    """Whether ``view`` shows ``cut``; False if its endpoint has no such block, or is silent."""
    try:
        return await cut_chain(config, policy, book, view, lanes=lanes) == cut
    except RpcError:
        return False


async def compare(
    connection: Connection, book: Book, cut: ChainCut, settled: Settled = NOTHING
) -> Comparison:
    """Compare the ledger with ``cut``, every slot of which must have been found posted.

    Entries that are ``settled`` count with their sums and are not read.
    """
    rows = await connection.fetch(
        _BOOKED,
        list(cut.nonces),
        list(cut.nonces.values()),
        book.bucket,
        book.network,
        cut.block,
        settled.up_to,
    )
    booked: dict[Holding, int] = {}
    for row in rows:
        before = settled.sums.get((book.bucket, book.network, row["asset"], row["kind"]), 0)
        booked[book.wallets[row["kind"]], row["asset"]] = before + row["booked"]
    return Comparison(
        cut=cut,
        differences={
            holding: amount - booked.get(holding, 0) for holding, amount in cut.held.items()
        },
    )
