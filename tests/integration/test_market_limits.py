"""What one customer may have in escrow, and what who is trusted settles in protected mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.testing.market_bench import (
    ASSET,
    BIDDER,
    NETWORK,
    OTHER,
    PRICE,
    SELLER,
    WEIGHT,
    MarketBench,
    code,
    market_bench,
)
from tests.testing.venue_harness import Founded

pytestmark = pytest.mark.integration
HOUR_MS = 3_600_000
MUCH = 6 * WEIGHT
"""With what makes trusted it is below the limit of the window, and twice it is above."""


@pytest.fixture
async def bench(founded: Founded) -> AsyncIterator[MarketBench]:
    """A founded venue with a marketplace, in which an hour is one window."""
    limits = founded.policy.limits.model_copy(update={"window": HOUR_MS})
    async with market_bench(founded, founded.policy.model_copy(update={"limits": limits})) as made:
        yield made


async def test_one_customer_does_not_fill_the_escrow(bench: MarketBench) -> None:
    """Its open bids have their share; others bid meanwhile, and what it has back it may bid."""
    share = bench.market.directory.bids_max(NETWORK, ASSET)
    assert 0 < 2 * share < await bench.room()
    first, listing = await bench.open_bid(BIDDER, share - PRICE), await bench.listing()
    assert code(await bench.bid(listing, amount=PRICE + 1)) == "over_limit"
    assert code(await bench.bid(listing)) == "open"
    listing = await bench.listing()
    assert code(await bench.bid(listing)) == "over_limit"
    assert code(await bench.refund(first)) == "refunded"
    assert code(await bench.bid(listing)) == "open"
    await bench.open_bid(OTHER, share)
    assert await bench.faults() == []


async def test_two_bids_at_once_have_one_share(bench: MarketBench) -> None:
    """In two processes, each of which sees room for its own."""
    share = bench.market.directory.bids_max(NETWORK, ASSET)
    items = [await bench.listing() for _ in range(2)]
    async with bench.held("select 1 from balances for update"):
        bidding = [asyncio.create_task(bench.bid(each, amount=share // 2 + 1)) for each in items]
        await bench.somebody_waits()
        done, _ = await asyncio.wait(bidding, timeout=0.1)
        assert not done
    assert sorted(map(code, await asyncio.gather(*bidding))) == ["open", "over_limit"]
    assert await bench.faults() == []


async def test_settlements_of_next_to_nothing_make_nobody_trusted(bench: MarketBench) -> None:
    """As many as one likes; one that counts fewer than it takes is not enough either."""
    await bench.trust(SELLER, BIDDER, amount=WEIGHT - 1)
    bid = await bench.open_bid()
    await bench.flip("protected")
    assert code(await bench.settle(bid)) == "suspended"
    await bench.flip("normal")
    await bench.trust(SELLER, BIDDER)
    await bench.flip("protected")
    assert code(await bench.settle(bid)) == "settled"


async def test_trusted_counterparties_settle_little_in_protected_mode(bench: MarketBench) -> None:
    """Within one window, on either side; later, or after the mode, they settle the rest."""
    await bench.trust(SELLER, BIDDER, OTHER)
    first, second, third = [await bench.open_bid(BIDDER, MUCH) for _ in range(3)]
    of_seller = await bench.open_bid(SELLER, MUCH, seller=OTHER)
    await bench.flip("protected")
    assert code(await bench.settle(first)) == "settled"
    assert code(await bench.settle(second)) == "suspended"
    assert code(await bench.settle(of_seller, OTHER)) == "suspended", "the other side counts too"
    assert code(await bench.refund(third)) == "refunded"
    await bench.let_windows_pass()
    assert code(await bench.settle(of_seller, OTHER)) == "settled"
    await bench.let_windows_pass()
    assert code(await bench.settle(second)) == "suspended", "the same two"
    await bench.flip("normal")
    assert code(await bench.settle(second)) == "settled"
    assert await bench.faults() == []


async def test_two_do_not_go_on_settling_with_each_other_in_protected_mode(
    bench: MarketBench,
) -> None:
    """Whoever of them sells, and whatever window has passed; others go on, and so do they later."""
    await bench.trust(SELLER, BIDDER, OTHER)
    first, again = [await bench.open_bid(BIDDER, MUCH) for _ in range(2)]
    back = await bench.open_bid(SELLER, MUCH, seller=BIDDER)
    elsewhere = await bench.open_bid(OTHER, MUCH)
    await bench.flip("protected")
    assert code(await bench.settle(first)) == "settled"
    await bench.let_windows_pass()
    assert code(await bench.settle(again)) == "suspended"
    assert code(await bench.settle(back, BIDDER)) == "suspended"
    assert code(await bench.settle(elsewhere)) == "settled", "with another one, it has its window"
    await bench.let_windows_pass()
    await bench.flip("normal")
    assert code(await bench.settle(again)) == "settled"
    await bench.let_windows_pass()
    await bench.flip("protected")
    assert code(await bench.settle(back, BIDDER)) == "settled"
    assert await bench.faults() == []


async def test_of_two_settlements_at_once_one_has_the_window(bench: MarketBench) -> None:
    """In two processes: neither has committed when the other is decided about."""
    await bench.trust(SELLER, BIDDER, OTHER)
    bids = {
        await bench.open_bid(BIDDER, MUCH): SELLER,
        await bench.open_bid(BIDDER, MUCH, seller=OTHER): OTHER,
    }
    await bench.flip("protected")
    async with bench.held("select 1 from balances for update"):
        settling = [asyncio.create_task(bench.settle(*each)) for each in bids.items()]
        await bench.somebody_waits()
        done, _ = await asyncio.wait(settling, timeout=0.1)
        assert not done
    assert sorted(map(code, await asyncio.gather(*settling))) == ["settled", "suspended"]
    assert await bench.faults() == []
