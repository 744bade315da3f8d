"""The marketplace: an item is listed, a bid is taken into escrow, and settled or given back.

Each is one transaction under the mode lock. Bids are locked before balances, and balances in order
of their ids, as everywhere; the constraints of ``venue/schema.sql`` say what may move at all.

All bids in one asset queue for one row. So what will be refused is refused before any lock, by a
look without one; the queue is in the process, where who waits holds no connection; and connections
are the marketplace's own, so that its customers keep nobody waiting but each other.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal
from uuid import UUID, uuid4

from seawall.controls.admission import admit, functions_of_settlement
from seawall.controls.steady import SteadyClock
from seawall.errors import InternalError
from seawall.formats.drill_contract import Refusal
from venue.api.directory import EscrowAccounts
from venue.api.market_messages import Bid, BidRequest, Listing, ListingRequest
from venue.api.market_trust import alone, counterparties, together_micro
from venue.api.mode import confirm, holding_mode, read_mode

if TYPE_CHECKING:
    import asyncpg

    from seawall.policy import Function, Policy, Tier
    from venue.api.directory import Directory
    from venue.database import Connection, Pool

BROWSED_MAX = 100
"""Listings of one answer."""

_REUSED = Refusal(code="id_reused", reason="This id was used for something else; make a new one.")
_NO_LISTING = Refusal(code="not_found", reason="There is no listing with this id.")
_NO_BID = Refusal(
    code="not_found", reason="There is no bid of yours, or for an item of yours, here."
)
_OWN = Refusal(code="own_listing", reason="This item is yours; nobody bids for what is his own.")
_TAKEN = Refusal(
    code="too_late", reason="Another bid has this item; nothing was taken from your balance."
)
_OVERDRAFT = Refusal(code="insufficient_balance", reason="The balance does not cover the amount.")

# Of a bid $1 is told the id where it is a party: nobody else can do anything with it.
_LISTING = """
    select l.id, l.n, l.network, l.asset, l.price::text as price, l.title, l.seller_id,
           case when b.id is null then 'open' when b.state = 'open' then 'taken' else 'sold' end
               as state, case when $1 in (b.seller_id, b.bidder_id) then b.id end as bid_id
    from listings l
    left join bids b on b.listing_id = l.id and b.state in ('open', 'settled')"""
_BROWSE = _LISTING + " where l.n < $2 order by l.n desc limit $3"
_LISTED = _LISTING + " where l.id = $2"
_LIST = """
    insert into listings (id, seller_id, network, asset, price, title, mode_epoch)
    values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing"""
_BID = """
    select b.id, b.listing_id, b.network, b.asset, b.amount, b.state, b.seller_id, b.bidder_id
    from bids b where b.id = $1"""
_BID_LOCKED = _BID + " for no key update"
_FOR = "select seller_id, network, asset, price from listings where id = $1"
_LOOK = """
    select exists (
               select 1 from bids where listing_id = $1 and state in ('open', 'settled')) as taken,
           (select available from balances where account_id = $2) as available,
           (select available from balances where account_id = $3) as backing,
           coalesce((select sum(amount) from bids where (bidder_id, network, asset) = ($4, $5, $6)
                     and state = 'open'), 0) as bidden"""
_BIDDEN = """
    select coalesce(sum(amount), 0) from bids
    where (bidder_id, network, asset) = ($1, $2, $3) and state = 'open'"""
_LOCK = """
    select account_id, available from balances
    where account_id = any($1::bigint[]) order by account_id for update"""
# A bid that has the listing already is waited for, and then this inserts nothing.
_TAKE = """
    insert into bids (id, listing_id, seller_id, bidder_id, network, asset, amount, mode_epoch)
    values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing returning true"""
_END = """
    update bids set state = $2, settled_epoch = $3, ended_at = clock_timestamp() where id = $1"""
# By the posting that took it into escrow, whatever the policy says by now; $2 is who gets it.
_WAY_OUT = """
    with booked as (
        select a.* from postings p
        join entries e on e.posting_id = p.id join accounts a on a.id = e.account_id
        where (p.bid_id, p.kind) = ($1, 'bid')
    )
    select receiver.id as customer, own.bucket, own.id as own, owed.bucket as escrow_bucket,
           owed.id as escrow, backing.id as backing
    from booked own
    join booked owed on owed.kind = 'escrow'
    join booked backing on backing.kind = 'own' and backing.of_escrow
    join accounts receiver
         on (receiver.bucket, receiver.network, receiver.asset, receiver.kind, receiver.customer_id)
          = (own.bucket, own.network, own.asset, 'customer', $2)
    where own.kind = 'own' and not own.of_escrow"""
# The four entries are those of every posting of a bid; the balances are their opposites.
_MOVE = """
    with approved as (
        insert into approvals (id, actor, justification) values ($1, 'api', $2) returning id
    ), posted as (
        insert into postings (kind, bid_id, approval_id) select $3, $4, id from approved
        returning id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select p.id, t.account_id, t.amount
        from posted p cross join unnest($5::bigint[], $6::numeric[]) as t (account_id, amount)
        returning account_id, amount
    )
    update balances b set available = b.available - e.amount
    from entered e where b.account_id = e.account_id"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A bid that a customer asks for, with the amount in base units."""

    request: BidRequest
    bidder_id: int

    @property
    def amount(self) -> int:
        """In base units of the listing's asset."""
        return int(self.request.amount)


@dataclass(frozen=True, kw_only=True)
class Market:
    """The marketplace that ``policy`` declares, over the accounts of ``directory``.

    Without one nothing is listed or bid any more; what is open ends as before.

    Made once per process. ``pool`` is its own: nobody else waits for its connections. ``queues``
    are those for what is in escrow, by network and asset. ``clock`` is the database's.
    """

    policy: Policy
    directory: Directory
    pool: Pool
    queues: defaultdict[tuple[str, str], asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )
    clock: SteadyClock = field(default_factory=SteadyClock)

    async def browse(self, customer: int, before: int) -> list[Listing] | Refusal:
        """What ``customer`` is told of the newest listings with an ``n`` below ``before``."""
        refusal = await self._withheld_now("market_browsing")
        if refusal is not None:
            return refusal
        rows = await self.pool.fetch(_BROWSE, customer, before, BROWSED_MAX)
        return [_listing(row) for row in rows]

    async def list_item(self, seller: int, ask: ListingRequest) -> Listing | Refusal:
        """Offer an item; a replay returns the first outcome."""
        if self.directory.escrow(ask.network, ask.asset) is None:
            return _nothing_bid(ask.network, ask.asset)
        refusal = await self._withheld_now("market_bids")
        if refusal is not None:
            row = await self.pool.fetchrow(_LISTED, seller, ask.id)
            return refusal if row is None else await _listed_again(self.pool, row, seller, ask)
        async with self.pool.acquire() as connection, holding_mode(connection):
            mode = await read_mode(connection)
            row = await connection.fetchrow(_LISTED, seller, ask.id)
            if row is not None:
                return await _listed_again(connection, row, seller, ask)
            refusal = _withheld(self.policy, mode.tier, "market_bids")
            if refusal is not None:
                return refusal
            content = (ask.network, ask.asset, int(ask.price), ask.title)
            await connection.execute(_LIST, ask.id, seller, *content, mode.epoch)
            row = await connection.fetchrow(_LISTED, seller, ask.id)
            assert row is not None
            return _listing(row) if _is_of(row, seller, ask) else _REUSED

    async def bid(self, asked: Asked) -> Bid | Refusal:
        """Take the amount of a bid out of its bidder's balance into escrow, or refuse it.

        A replay returns what has become of the first one.
        """
        request = asked.request
        offer = await self.pool.fetchrow(_FOR, request.listing_id)
        if offer is None:
            return await _first_bid(self.pool, asked) or _NO_LISTING
        place = (offer["network"], offer["asset"])
        accounts = self.directory.escrow(*place)
        account = (await self.directory.accounts_of(asked.bidder_id)).get(place)
        if accounts is None or account is None:
            return await _first_bid(self.pool, asked) or _nothing_bid(*place)
        refusal = await self._looked(asked, offer, account, accounts)
        # After that look: if the same request was committed before it, this sees it.
        answer = await _first_bid(self.pool, asked) or refusal
        if answer is not None:
            return answer
        async with self.queues[place], self.pool.acquire() as connection, holding_mode(connection):
            mode = await read_mode(connection)
            available = await _locked(connection, account, accounts.backing)
            # After the lock, which may have waited for the same request: only a later statement
            # sees what that committed.
            known = await _first_bid(connection, asked)
            if known is not None:
                return known
            # After the lock of the backing, for which every bid in this asset waits.
            bidden = int(await connection.fetchval(_BIDDEN, asked.bidder_id, *place))
            refusal = _withheld(self.policy, mode.tier, "market_bids") or _not_for(
                asked,
                offer,
                available[account],
                available[accounts.backing],
                share=self.directory.bids_max(*place) - bidden,
            )
            if refusal is not None:
                return refusal
            content = (request.id, request.listing_id, offer["seller_id"], asked.bidder_id, *place)
            if not await connection.fetchval(_TAKE, *content, asked.amount, mode.epoch):
                return await _first_bid(connection, asked) or _TAKEN
            await _move(
                connection,
                "bid",
                request.id,
                amount=asked.amount,
                account=account,
                accounts=accounts,
            )
        return Bid(
            id=request.id,
            listing_id=request.listing_id,
            network=offer["network"],
            asset=offer["asset"],
            amount=request.amount,
            state="open",
        )

    async def follow(self, customer: int, bid_id: UUID) -> Bid | Refusal:
        """The state of a bid, for its bidder and its seller."""
        row = await self.pool.fetchrow(_BID, bid_id)
        return _bid(row) if row is not None and _concerns(row, customer) else _NO_BID

    async def settle(self, seller: int, bid_id: UUID) -> Bid | Refusal:
        """Give what was bid to the seller, who asks for it; a repetition changes nothing."""
        return await self._end(seller, bid_id, "settled")

    async def refund(self, customer: int, bid_id: UUID) -> Bid | Refusal:
        """Give what was bid back, as its bidder or the seller asks; a repetition changes nothing.

        Whatever the tier: it is the bidder's money.
        """
        return await self._end(customer, bid_id, "refunded")

    async def _end(
        self, customer: int, bid_id: UUID, outcome: Literal["settled", "refunded"]
    ) -> Bid | Refusal:
        settling = outcome == "settled"
        row = await self.pool.fetchrow(_BID, bid_id)
        if row is None or not _concerns(row, customer):
            return _NO_BID
        if settling and customer != row["seller_id"]:
            return _NO_BID
        answer = await self._ended_or_withheld(row, outcome)
        if answer is not None:
            return answer
        way = await self.pool.fetchrow(
            _WAY_OUT, bid_id, row["seller_id" if settling else "bidder_id"]
        )
        if way is None:
            raise InternalError(f"the ledger has no accounts through which bid {bid_id} could end")
        accounts = EscrowAccounts(**{each.name: way[each.name] for each in fields(EscrowAccounts)})
        place = (row["network"], row["asset"])
        async with self.queues[place], self.pool.acquire() as connection, holding_mode(connection):
            # Locked, so that of a settlement and a refund at once the second one sees the first.
            row = await connection.fetchrow(_BID_LOCKED, bid_id)
            assert row is not None, "no bid is ever deleted"
            answer = await self._ended_or_withheld(row, outcome, holding=connection)
            if answer is not None:
                return answer
            epoch = (await read_mode(connection)).epoch if settling else None
            await _locked(connection, way["customer"], accounts.backing)
            await connection.execute(_END, bid_id, outcome, epoch)
            kind: Literal["settle", "refund"] = "settle" if settling else "refund"
            await _move(
                connection,
                kind,
                bid_id,
                amount=-int(row["amount"]),
                account=way["customer"],
                accounts=accounts,
            )
        return _bid(row, state=outcome)

    async def _ended_or_withheld(
        self,
        row: asyncpg.Record,
        outcome: Literal["settled", "refunded"],
        *,
        holding: Connection | None = None,
    ) -> Bid | Refusal | None:
        """What is said to who wants a bid to end, other than that it does.

        It is decided within the transaction of ``holding``; without one, as it looks at present.
        """
        connection = holding or self.pool
        if row["state"] != "open":
            await confirm(connection)
            return _bid(row) if row["state"] == outcome else _ended(row["state"])
        if outcome == "refunded":
            return None
        mode, market = await read_mode(connection), self.policy.marketplace
        refusal = _withheld(self.policy, mode.tier, "market_settlements")
        if refusal is None or market is None:
            return refusal
        if holding is not None:
            await alone(holding, row)
        parties = await counterparties(connection, self.policy, market, row, clock=self.clock)
        needed = functions_of_settlement(
            self.policy,
            *parties,
            together_micro=await together_micro(connection, self.policy, row, epoch=mode.epoch),
        )
        return _withheld(self.policy, mode.tier, *needed)

    async def _withheld_now(self, *functions: Function) -> Refusal | None:
        return _withheld(self.policy, (await read_mode(self.pool)).tier, *functions)

    async def _looked(
        self, asked: Asked, offer: asyncpg.Record, account: int, accounts: EscrowAccounts
    ) -> Refusal | None:
        """Why a bid will be refused, as it looks without a lock: what is refused holds up nobody.

        What passes is decided under the locks.
        """
        refusal = await self._withheld_now("market_bids")
        if refusal is not None:
            return refusal
        place = (offer["network"], offer["asset"])
        look = await self.pool.fetchrow(
            *(_LOOK, asked.request.listing_id, account, accounts.backing, asked.bidder_id), *place
        )
        assert look is not None
        refusal = _not_for(
            asked,
            offer,
            look["available"],
            look["backing"],
            share=self.directory.bids_max(*place) - int(look["bidden"]),
        )
        return _TAKEN if refusal is None and look["taken"] else refusal


async def _listed_again(
    connection: Connection | Pool, row: asyncpg.Record, seller: int, ask: ListingRequest
) -> Listing | Refusal:
    """What is said to who lists under an id that has a listing."""
    await confirm(connection)
    return _listing(row) if _is_of(row, seller, ask) else _REUSED


def _is_of(row: asyncpg.Record, seller: int, ask: ListingRequest) -> bool:
    known = (row["seller_id"], row["network"], row["asset"], row["price"], row["title"])
    return known == (seller, ask.network, ask.asset, ask.price, ask.title)


def _nothing_bid(network: str, asset: str) -> Refusal:
    return Refusal(code="unknown_asset", reason=f"Nothing is bid in {asset} on {network} here.")


def _withheld(policy: Policy, tier: Tier, *functions: Function) -> Refusal | None:
    admission = admit(policy, tier, *functions)
    if admission.outcome == "allowed":
        return None
    return Refusal(code="suspended", reason=admission.reason or "")


def _not_for(
    asked: Asked, offer: asyncpg.Record, available: int, backing: int, *, share: int
) -> Refusal | None:
    """Why this is no bid for ``offer``.

    ``backing`` is what may be in escrow beside what is, and ``share`` what may be of this customer.
    """
    if offer["seller_id"] == asked.bidder_id:
        return _OWN
    if asked.amount < offer["price"]:
        return Refusal(
            code="below_minimum", reason=f"The least bid for this item is {offer['price']}."
        )
    if available < asked.amount:
        return _OVERDRAFT
    if share < asked.amount:
        return Refusal(
            code="over_limit",
            reason=(
                f"Your open bids in {offer['asset']} on {offer['network']} may be {max(share, 0)} "
                "more; bid less, or have one back."
            ),
        )
    if backing < asked.amount:
        return Refusal(
            code="escrow_full",
            reason=(
                f"The venue can hold no more {offer['asset']} in escrow at present; nothing was "
                "taken. Try a smaller bid, or later."
            ),
        )
    return None


async def _first_bid(connection: Connection | Pool, asked: Asked) -> Bid | Refusal | None:
    """What has become of the bid with this id; None if there is none yet."""
    row = await connection.fetchrow(_BID, asked.request.id)
    if row is None:
        return None
    known = (row["bidder_id"], row["listing_id"], int(row["amount"]))
    if known != (asked.bidder_id, asked.request.listing_id, asked.amount):
        return _REUSED
    await confirm(connection)
    return _bid(row)


async def _locked(connection: Connection, *accounts: int) -> dict[int, int]:
    rows = await connection.fetch(_LOCK, sorted(accounts))
    return {row["account_id"]: int(row["available"]) for row in rows}


async def _move(
    connection: Connection,
    kind: Literal["bid", "settle", "refund"],
    bid_id: UUID,
    *,
    amount: int,
    account: int,
    accounts: EscrowAccounts,
) -> None:
    """Post ``amount`` from a customer's ``account`` into escrow; a negative one comes out of it."""
    why = (
        f"{kind} {bid_id}: each of {accounts.bucket} and {accounts.escrow_bucket} goes on to hold "
    )
    entries = {
        account: amount,
        accounts.own: -amount,
        accounts.escrow: -amount,
        accounts.backing: amount,
    }
    await connection.execute(
        _MOVE, uuid4(), why + "what it owes", kind, bid_id, list(entries), list(entries.values())
    )


def _concerns(row: asyncpg.Record, customer: int) -> bool:
    return customer in (row["seller_id"], row["bidder_id"])


def _ended(state: str) -> Refusal:
    return Refusal(code="too_late", reason=f"This bid is {state} already, and stays so.")


def _listing(row: asyncpg.Record) -> Listing:
    return Listing(**{name: row[name] for name in Listing.model_fields})


def _bid(row: asyncpg.Record, *, state: str | None = None) -> Bid:
    return Bid(
        id=row["id"],
        listing_id=row["listing_id"],
        network=row["network"],
        asset=row["asset"],
        amount=str(row["amount"]),
        state=state or row["state"],
    )
