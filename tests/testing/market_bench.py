"""The marketplace of a founded venue, in this process, under the api's own role."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from seawall.conventions.database import MODE_LOCK
from seawall.formats.drill_contract import Refusal
from seawall.policy import Policy, Tier
from tests.testing.books import faults
from tests.testing.venue_harness import HANGS_AFTER_S, Founded, connected, heartbeat
from venue.api.directory import Directory
from venue.api.market import Asked, Market
from venue.api.market_messages import Bid, BidRequest, Listing, ListingRequest
from venue.database import Connection, Pool, open_pool

NETWORK, ASSET, PRICE = "aster", "USDX", 5_000_000
WEIGHT = 100_000_000
"""Base units of a settlement that counts for trust."""
SELLER, BIDDER, OTHER = 1, 2, 3
PROCESSES = 2
_WAITING = """
    select exists (select 1 from pg_stat_activity where datname = current_database()
                   and wait_event_type = 'Lock')"""
_AVAILABLE = """
    select b.available from balances b join accounts a on a.id = b.account_id
    where (a.network, a.asset) = ($2, $3) and a.customer_id = $1"""
_NEWCOMER = """
    with customer as (
        insert into customers (id, api_key_sha256)
        select id, sha256(id::text::bytea) from (select $1::bigint as id) given
        returning id
    ), opened as (
        insert into accounts (bucket, network, asset, kind, customer_id)
        select a.bucket, a.network, a.asset, a.kind, c.id
        from accounts a cross join customer c where a.customer_id = 1 returning id
    )
    insert into balances (account_id, available) select id, 0 from opened"""
_ROOM = """
    select b.available from balances b join accounts a on a.id = b.account_id
    where (a.kind, a.of_escrow, a.network, a.asset) = ('own', true, $1, $2)"""
_BOOKED = """
    select a.bucket || ' ' || a.kind as account, sum(e.amount) as amount
    from entries e join accounts a on a.id = e.account_id join postings p on p.id = e.posting_id
    where p.bid_id is not null group by 1 having sum(e.amount) <> 0"""


@dataclass(frozen=True, kw_only=True)
class MarketBench:
    """A marketplace and its database, as owner and as the api.

    ``processes`` are those of the api, which know nothing of each other; what customers ask for
    goes to one after the other.
    """

    founded: Founded
    owner: Connection
    api: Pool
    processes: tuple[Market, ...]
    _turns: Iterator[Market] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the first process."""
        object.__setattr__(self, "_turns", itertools.cycle(self.processes))

    @property
    def market(self) -> Market:
        """The process whose turn it is."""
        return next(self._turns)

    async def list_item(
        self, seller: int = SELLER, *, price: int = PRICE, identity: uuid.UUID | None = None
    ) -> Listing | Refusal:
        """An item of ``seller`` for ``price`` base units or more."""
        ask = ListingRequest(
            id=identity or uuid.uuid4(),
            network=NETWORK,
            asset=ASSET,
            price=str(price),
            title="a thing",
        )
        return await self.market.list_item(seller, ask)

    async def listing(self, seller: int = SELLER) -> uuid.UUID:
        """The id of a new listing that was accepted."""
        made = await self.list_item(seller)
        assert isinstance(made, Listing), made
        return made.id

    async def bid(
        self,
        listing: uuid.UUID,
        bidder: int = BIDDER,
        amount: int = PRICE,
        *,
        identity: uuid.UUID | None = None,
    ) -> Bid | Refusal:
        """Bid ``amount`` base units."""
        request = BidRequest(id=identity or uuid.uuid4(), listing_id=listing, amount=str(amount))
        return await self.market.bid(Asked(request=request, bidder_id=bidder))

    async def open_bid(
        self, bidder: int = BIDDER, amount: int = PRICE, *, seller: int = SELLER
    ) -> uuid.UUID:
        """The id of a bid that was accepted, for a new listing of ``seller``."""
        made = await self.bid(await self.listing(seller), bidder, amount)
        assert isinstance(made, Bid), made
        return made.id

    async def settle(self, bid: uuid.UUID, seller: int = SELLER) -> Bid | Refusal:
        """As the seller asks."""
        return await self.market.settle(seller, bid)

    async def refund(self, bid: uuid.UUID, customer: int = BIDDER) -> Bid | Refusal:
        """As its bidder asks, or the seller."""
        return await self.market.refund(customer, bid)

    async def trust(self, *customers: int, others: int | None = None, amount: int = WEIGHT) -> None:
        """Have each of ``customers`` settle with so many others, from customer 100 on.

        None: with as many as make it trusted.
        """
        market = self.market.policy.marketplace
        assert market is not None
        for customer in customers:
            for other in range(100, 100 + (market.trusted_after if others is None else others)):
                bid = await self.open_bid(other, amount, seller=customer)
                assert code(await self.settle(bid, customer)) == "settled"

    async def newcomer(self, customer: int = 9_001) -> int:
        """A customer who comes after the start, so that no process has read its accounts."""
        await self.owner.execute(_NEWCOMER, customer)
        return customer

    async def available(self, customer: int) -> int:
        """What the customer may still spend, in base units."""
        return int(await self.owner.fetchval(_AVAILABLE, customer, NETWORK, ASSET))

    async def room(self) -> int:
        """How much more may be in escrow, in base units."""
        return int(await self.owner.fetchval(_ROOM, NETWORK, ASSET))

    async def booked(self) -> dict[str, int]:
        """What all postings of bids have moved, by bucket and account, where that is not zero."""
        found: dict[str, int] = {}
        for row in await self.owner.fetch(_BOOKED):
            kind = "customer customers" if row["account"] == "customer customer" else row["account"]
            found[kind] = int(row["amount"])
        return found

    async def state(self, bid: uuid.UUID) -> str:
        """Its committed state."""
        return str(await self.owner.fetchval("select state from bids where id = $1", bid))

    async def flip(self, tier: Tier) -> None:
        """As the mode controller does, under its own role."""
        async with (
            connected(self.founded.database.mode_controller) as controller,
            controller.transaction(),
        ):
            await controller.execute("select pg_advisory_xact_lock($1)", MODE_LOCK)
            await controller.execute("update mode set epoch = epoch + 1, tier = $1", tier)

    async def let_windows_pass(self) -> None:
        """Every settlement so far was two hours earlier, by the database."""
        await self.owner.execute(
            "alter table bids disable trigger user;"
            "update bids set ended_at = ended_at - interval '2 hours' where state = 'settled';"
            "alter table bids enable trigger user"
        )

    async def somebody_waits(self) -> None:
        """Until a transaction of this database waits for a lock."""
        async with asyncio.timeout(HANGS_AFTER_S):
            while not await self.owner.fetchval(_WAITING):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.002)

    @asynccontextmanager
    async def held(self, statement: str) -> AsyncIterator[None]:
        """What ``statement`` locks is locked by a third party for the length of the block."""
        async with connected(self.founded.database.owner) as third, third.transaction():
            await third.execute(statement)
            yield

    async def faults(self) -> list[str]:
        """What is wrong with the books."""
        return await faults(self.owner)


@asynccontextmanager
async def market_bench(
    founded: Founded, policy: Policy | None = None
) -> AsyncIterator[MarketBench]:
    """A marketplace whose mode controller is alive; under ``policy``, if it is another one."""
    policy = policy or founded.policy
    async with connected(founded.database.owner) as owner, heartbeat(founded.database.owner):
        api = await open_pool(founded.database.api, name="api", size=6)
        directory = await _directory(policy, api)
        pools = [
            await open_pool(founded.database.api, name="api-market", size=2)
            for _ in range(PROCESSES)
        ]
        processes = [Market(policy=policy, directory=directory, pool=pool) for pool in pools]
        yield MarketBench(founded=founded, owner=owner, api=api, processes=tuple(processes))
        for pool in (api, *pools):
            pool.terminate()


def changed(policy: Policy, **changes: object) -> Policy:
    """``policy`` with another marketplace."""
    assert policy.marketplace is not None
    market = policy.marketplace.model_copy(update=changes)
    return policy.model_copy(update={"marketplace": market})


async def market_of(policy: Policy, pool: Pool) -> Market:
    """The marketplace of a process that has started under ``policy``."""
    return Market(policy=policy, directory=await _directory(policy, pool), pool=pool)


async def _directory(policy: Policy, pool: Pool) -> Directory:
    directory = Directory(policy, pool)
    await directory.load()
    return directory


def code(answer: Bid | Listing | Refusal) -> str:
    """The state of what was done, or the code of a refusal."""
    return answer.code if isinstance(answer, Refusal) else answer.state
