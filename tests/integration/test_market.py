"""The marketplace on a real database: what each operation moves, two at once, and a flip."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from fractions import Fraction

import pytest

from seawall.formats.drill_contract import Refusal
from tests.testing.market_bench import (
    BIDDER,
    OTHER,
    PRICE,
    SELLER,
    MarketBench,
    changed,
    code,
    market_bench,
    market_of,
)
from tests.testing.venue_harness import Founded, connected
from venue.api.market import Asked
from venue.api.market_messages import BidRequest

pytestmark = pytest.mark.integration
_MARKET_WAITS = """
    select count(*) from pg_stat_activity where datname = current_database()
    and application_name = 'api-market' and wait_event_type = 'Lock'"""


@pytest.fixture
async def bench(founded: Founded) -> AsyncIterator[MarketBench]:
    """A founded venue with a marketplace."""
    async with market_bench(founded) as made:
        yield made


@pytest.fixture
async def roomy(founded: Founded) -> AsyncIterator[MarketBench]:
    """One in which a customer may bid all that it has."""
    async with market_bench(founded, changed(founded.policy, share_max=Fraction(9, 10))) as made:
        yield made


async def test_a_bid_goes_into_escrow_and_to_its_seller(bench: MarketBench) -> None:
    """Each bucket holds what it owes before, in between and after."""
    before = await bench.available(BIDDER), await bench.available(SELLER)
    bid = await bench.open_bid()
    assert await bench.booked() == {
        "customer customers": PRICE,
        "customer own": -PRICE,
        "escrow own": PRICE,
        "escrow escrow": -PRICE,
    }
    assert await bench.available(BIDDER) == before[0] - PRICE
    assert await bench.faults() == []
    assert code(await bench.settle(bid)) == "settled"
    assert await bench.booked() == {}
    assert (await bench.available(BIDDER), await bench.available(SELLER)) == (
        before[0] - PRICE,
        before[1] + PRICE,
    )
    assert await bench.faults() == []


@pytest.mark.parametrize("who", [BIDDER, SELLER])
async def test_a_bid_is_given_back_as_its_bidder_or_the_seller_asks(
    bench: MarketBench, who: int
) -> None:
    """To the bidder, whoever asks; the item may be bid for again."""
    before = await bench.available(BIDDER)
    listing = await bench.listing()
    identity = uuid.uuid4()
    assert code(await bench.bid(listing, identity=identity)) == "open"
    assert code(await bench.refund(identity, who)) == "refunded"
    assert await bench.available(BIDDER) == before
    assert code(await bench.bid(listing, OTHER)) == "open"
    assert await bench.faults() == []


async def test_what_no_bid_can_be_is_refused_and_takes_nothing(bench: MarketBench) -> None:
    """By the right reason each."""
    listing, held = await bench.listing(), await bench.available(BIDDER)
    assert code(await bench.bid(listing, SELLER)) == "own_listing"
    assert code(await bench.bid(listing, amount=PRICE - 1)) == "below_minimum"
    assert code(await bench.bid(listing, amount=held + 1)) == "insufficient_balance"
    assert code(await bench.bid(uuid.uuid4())) == "not_found"
    await bench.owner.execute(
        "update balances b set available = $1 from accounts a"
        " where a.id = b.account_id and (a.kind, a.of_escrow, a.network, a.asset)"
        " = ('own', true, 'aster', 'USDX')",
        PRICE - 1,
    )
    assert code(await bench.bid(listing)) == "escrow_full"
    assert await bench.booked() == {}


async def test_a_bid_that_is_refused_waits_for_nobody(bench: MarketBench) -> None:
    """Who has no money can send as many as it likes: none of them takes a lock, or waits for one.

    All balances and all bids are locked meanwhile by somebody else.
    """
    listing, taken, held = await bench.listing(), uuid.uuid4(), await bench.available(BIDDER)
    assert code(await bench.list_item(identity=taken)) == "open"
    first = uuid.uuid4()
    assert code(await bench.bid(taken, OTHER, identity=first)) == "open"
    async with bench.held("select 1 from balances, bids for update"), asyncio.timeout(2):
        assert code(await bench.bid(listing, SELLER)) == "own_listing"
        assert code(await bench.bid(listing, amount=PRICE - 1)) == "below_minimum"
        assert code(await bench.bid(listing, amount=held + 1)) == "insufficient_balance"
        assert code(await bench.bid(taken)) == "too_late"
        assert code(await bench.bid(taken, OTHER, identity=first)) == "open"
        assert code(await bench.bid(listing, OTHER, identity=first)) == "id_reused"
        await bench.flip("protected")
        assert code(await bench.bid(listing)) == "suspended"
        assert code(await bench.settle(first)) == "suspended"


async def test_who_waits_for_escrow_holds_no_connection(bench: MarketBench) -> None:
    """Bids queue in the process: others use the marketplace meanwhile, and none is lost."""
    items = [await bench.listing() for _ in range(8)]
    market = bench.market
    async with bench.held("select 1 from balances for update"), asyncio.timeout(4):
        asked = [
            Asked(
                request=BidRequest(id=uuid.uuid4(), listing_id=item, amount=str(PRICE)),
                bidder_id=BIDDER + number,
            )
            for number, item in enumerate(items)
        ]
        bidding = [asyncio.create_task(market.bid(each)) for each in asked]
        await bench.somebody_waits()
        assert isinstance(await market.browse(OTHER, 10**9), list)
        assert await bench.owner.fetchval(_MARKET_WAITS) == 1
    assert {code(each) for each in await asyncio.gather(*bidding)} == {"open"}
    assert await bench.faults() == []


async def test_strangers_neither_see_nor_end_a_bid(bench: MarketBench) -> None:
    """Nor does a bidder settle: that would be the seller's word given by another."""
    bid = await bench.open_bid()
    assert code(await bench.market.follow(OTHER, bid)) == "not_found"
    assert code(await bench.market.follow(BIDDER, bid)) == "open"
    assert code(await bench.settle(bid, OTHER)) == "not_found"
    assert code(await bench.refund(bid, OTHER)) == "not_found"
    assert code(await bench.settle(bid, BIDDER)) == "not_found"
    assert await bench.state(bid) == "open"


async def test_a_duplicate_gets_the_first_outcome_and_moves_nothing(bench: MarketBench) -> None:
    """One after the other; another content under the same id is refused."""
    listing, identity = await bench.listing(), uuid.uuid4()
    for _ in range(2):
        assert code(await bench.bid(listing, identity=identity)) == "open"
    assert code(await bench.bid(listing, amount=PRICE + 1, identity=identity)) == "id_reused"
    assert code(await bench.bid(listing, OTHER, identity=identity)) == "id_reused"
    for _ in range(2):
        assert code(await bench.settle(identity)) == "settled"
    assert code(await bench.bid(listing, identity=identity)) == "settled"
    assert code(await bench.refund(identity)) == "too_late"
    item = uuid.uuid4()
    assert {code(await bench.list_item(identity=item)) for _ in range(2)} == {"open"}
    assert code(await bench.list_item(price=PRICE + 1, identity=item)) == "id_reused"
    assert await bench.owner.fetchval("select count(*) from postings where bid_id is not null") == 2
    assert await bench.faults() == []


async def test_duplicates_at_once_are_one(bench: MarketBench) -> None:
    """Listings, bids and settlements, each sent four times side by side."""
    item, identity = uuid.uuid4(), uuid.uuid4()
    listed = await asyncio.gather(*(bench.list_item(identity=item) for _ in range(4)))
    assert {code(each) for each in listed} == {"open"}
    before = await bench.available(BIDDER)
    made = await asyncio.gather(*(bench.bid(item, identity=identity) for _ in range(4)))
    assert {code(each) for each in made} == {"open"}
    assert await bench.available(BIDDER) == before - PRICE
    ended = await asyncio.gather(*(bench.settle(identity) for _ in range(4)))
    assert {code(each) for each in ended} == {"settled"}
    assert await bench.booked() == {}
    assert await bench.faults() == []


async def test_of_two_bids_at_once_one_has_the_item(bench: MarketBench) -> None:
    """Both wait at the same place; the other bidder's balance is as it was."""
    listing, bidders = await bench.listing(), (BIDDER, OTHER)
    before = {each: await bench.available(each) for each in bidders}
    async with bench.held("select 1 from balances for update"):
        bidding = [asyncio.create_task(bench.bid(listing, each)) for each in bidders]
        await bench.somebody_waits()
    said = dict(zip(bidders, map(code, await asyncio.gather(*bidding)), strict=True))
    assert sorted(said.values()) == ["open", "too_late"]
    for each, outcome in said.items():
        paid = PRICE if outcome == "open" else 0
        assert await bench.available(each) == before[each] - paid
    assert await bench.faults() == []


async def test_one_balance_is_not_bid_twice(roomy: MarketBench) -> None:
    """Two bids of one customer for all that it has, for two items, at once."""
    held = await roomy.available(BIDDER)
    items = [await roomy.listing() for _ in range(2)]
    said = await asyncio.gather(*(roomy.bid(item, amount=held) for item in items))
    assert sorted(map(code, said)) == ["insufficient_balance", "open"]
    assert await roomy.available(BIDDER) == 0
    assert await roomy.faults() == []


async def test_of_a_settlement_and_a_refund_at_once_one_ends_it(bench: MarketBench) -> None:
    """Many at once, in no fixed order: each answer is what was committed."""
    bids = [await bench.open_bid(BIDDER) for _ in range(12)]
    settled = asyncio.gather(*(bench.settle(bid) for bid in bids))
    refunded = asyncio.gather(*(bench.refund(bid) for bid in reversed(bids)))
    answers = zip(bids, await settled, reversed(await refunded), strict=True)
    for bid, first, second in answers:
        state = await bench.state(bid)
        expected = {"settled": ("settled", "too_late"), "refunded": ("too_late", "refunded")}
        assert (code(first), code(second)) == expected[state]
    assert await bench.booked() == {}
    assert await bench.faults() == []


@pytest.mark.parametrize("first", ["settle", "refund"])
async def test_the_second_of_a_settlement_and_a_refund_waits_and_is_too_late(
    bench: MarketBench, first: str
) -> None:
    """The first one has the bid's row and has not committed."""
    bid = await bench.open_bid()
    async with bench.held("select 1 from balances for update"):
        ending = asyncio.create_task(getattr(bench, first)(bid))
        await bench.somebody_waits()
        other = bench.refund if first == "settle" else bench.settle
        late = asyncio.create_task(other(bid))
        done, _ = await asyncio.wait([ending, late], timeout=0.1)
        assert not done
    assert code(await ending) == {"settle": "settled", "refund": "refunded"}[first]
    assert code(await late) == "too_late"
    assert await bench.faults() == []


async def test_in_protected_mode_trusted_counterparties_go_on(bench: MarketBench) -> None:
    """Browsing and refunds stay, bids stop, and who has settled with too few others waits."""
    trusted_after = bench.founded.policy.marketplace.trusted_after  # type: ignore[union-attr]
    await bench.trust(SELLER, BIDDER)
    await bench.trust(OTHER, others=trusted_after - 1)
    among_trusted, with_other = await bench.open_bid(BIDDER), await bench.open_bid(OTHER)
    of_other = await bench.open_bid(BIDDER, seller=OTHER)
    listing = await bench.listing()
    await bench.flip("protected")
    assert not isinstance(await bench.market.browse(OTHER, 10**9), Refusal)
    assert code(await bench.bid(listing)) == "suspended"
    assert code(await bench.list_item()) == "suspended"
    refused = await bench.settle(with_other)
    assert isinstance(refused, Refusal)
    assert (refused.code, "not trusted yet" in refused.reason) == ("suspended", True)
    assert code(await bench.settle(of_other, OTHER)) == "suspended"
    assert code(await bench.settle(among_trusted)) == "settled"
    assert code(await bench.refund(with_other, OTHER)) == "refunded"
    await bench.flip("normal")
    assert code(await bench.settle(of_other, OTHER)) == "settled"
    assert await bench.faults() == []


async def test_many_bids_of_one_friend_make_nobody_trusted(bench: MarketBench) -> None:
    """Different counterparties count, not settlements."""
    for _ in range(4):
        assert code(await bench.settle(await bench.open_bid())) == "settled"
    bid = await bench.open_bid()
    await bench.flip("protected")
    assert code(await bench.settle(bid)) == "suspended"


async def test_a_settlement_that_meets_a_flip_is_of_one_side_of_it(bench: MarketBench) -> None:
    """What has the mode lock commits before the flip does; what comes behind reads the new mode.

    So no settlement between strangers commits under the epoch of protected mode.
    """
    before, behind = await bench.open_bid(), await bench.open_bid(OTHER)
    async with bench.held("select 1 from balances for update"):
        settling = asyncio.create_task(bench.settle(before))
        await bench.somebody_waits()
        flipping = asyncio.create_task(bench.flip("protected"))
        async with connected(bench.founded.database.owner) as watcher:
            waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
            while not await watcher.fetchval(waits):  # noqa: ASYNC110 - another server process
                await asyncio.sleep(0.002)
        late = asyncio.create_task(bench.settle(behind))
        done, _ = await asyncio.wait([settling, flipping, late], timeout=0.1)
        assert not done
    assert code(await settling) == "settled"
    await flipping
    assert code(await late) == "suspended"
    rows = await bench.owner.fetch("select state, settled_epoch from bids order by state")
    assert [tuple(row) for row in rows] == [("open", None), ("settled", 1)]
    assert await bench.owner.fetchval("select epoch from mode") == 2


async def test_settlements_during_flips_are_of_the_mode_that_was_in_force(
    bench: MarketBench,
) -> None:
    """A swarm of strangers' settlements beside flips: each commits in an epoch that allows it."""
    bids = [await bench.open_bid(10 + number) for number in range(24)]
    settling = [asyncio.create_task(bench.settle(bid)) for bid in bids]
    for tier in ("protected", "normal", "protected"):
        await asyncio.sleep(0)
        await bench.flip(tier)
    said = Counter(map(code, await asyncio.gather(*settling)))
    assert set(said) <= {"settled", "suspended"}, said
    wrong = await bench.owner.fetchval(
        "select count(*) from bids where state = 'settled' and settled_epoch in (2, 4)"
    )
    assert wrong == 0
    assert (
        await bench.owner.fetchval("select count(*) from bids where state = 'open'")
        == said["suspended"]
    )
    assert await bench.faults() == []


async def test_listings_are_browsed_newest_first(bench: MarketBench) -> None:
    """Page by page; a listing says whether it can still be had."""
    items = [await bench.listing() for _ in range(3)]
    assert code(await bench.bid(items[1])) == "open"
    found = await bench.market.browse(OTHER, 10**9)
    assert not isinstance(found, Refusal)
    assert [(each.id, each.state) for each in found] == [
        (items[2], "open"),
        (items[1], "taken"),
        (items[0], "open"),
    ]
    rest = await bench.market.browse(OTHER, found[1].n)
    assert not isinstance(rest, Refusal)
    assert [each.id for each in rest] == items[:1]


@pytest.mark.parametrize("end", ["settle", "refund"])
async def test_who_browses_is_told_the_ids_of_its_own_bids_alone(
    bench: MarketBench, end: str
) -> None:
    """Of an item that is taken or sold, its seller and its bidder know by which bid."""
    bid = await bench.open_bid()
    for customer, told in ((SELLER, bid), (BIDDER, bid), (OTHER, None)):
        found = await bench.market.browse(customer, 10**9)
        assert not isinstance(found, Refusal)
        assert [(each.state, each.bid_id) for each in found] == [("taken", told)]
    assert code(await getattr(bench, end)(bid)) != "not_found"
    found = await bench.market.browse(OTHER, 10**9)
    assert not isinstance(found, Refusal)
    assert [each.bid_id for each in found] == [None]


async def test_a_settlement_needs_one_connection(bench: MarketBench) -> None:
    """Whoever has all others: the seller is new, and no process has read its accounts."""
    seller = await bench.newcomer()
    bid = await bench.open_bid(seller=seller)
    async with AsyncExitStack() as others:
        for _ in range(bench.api.get_max_size()):
            await others.enter_async_context(bench.api.acquire())
        async with asyncio.timeout(4):
            assert code(await bench.settle(bid, seller)) == "settled"
    assert await bench.available(seller) == PRICE
    assert await bench.faults() == []


@pytest.mark.parametrize("moved", [False, True], ids=["no marketplace", "another bucket"])
async def test_what_is_open_ends_under_a_policy_that_takes_no_bids(
    bench: MarketBench, *, moved: bool
) -> None:
    """Nothing new begins, and the money of a bid finds the way by which it came."""
    policy = bench.founded.policy
    listing, to_settle, to_refund = (
        await bench.listing(),
        await bench.open_bid(),
        await bench.open_bid(OTHER),
    )
    # The ledger knows nothing of bids in the other bucket.
    elsewhere = changed(policy, escrow="contingency")
    without = policy.model_copy(update={"marketplace": None})
    market = await market_of(elsewhere if moved else without, bench.api)
    request = BidRequest(id=uuid.uuid4(), listing_id=listing, amount=str(PRICE))
    assert code(await market.bid(Asked(request=request, bidder_id=BIDDER))) == "unknown_asset"
    replayed = BidRequest(id=to_settle, listing_id=listing, amount=str(PRICE))
    assert code(await market.bid(Asked(request=replayed, bidder_id=BIDDER))) == "id_reused"
    assert code(await market.settle(SELLER, to_settle)) == "settled"
    assert code(await market.refund(OTHER, to_refund)) == "refunded"
    assert await bench.booked() == {}
    assert await bench.faults() == []
