"""What a restored ledger has forgotten of what customers were told, kind by kind."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from seawall.conventions.promises import PROMISE_KINDS, PromiseKind
from tests.testing.market_bench import ASSET, BIDDER, NETWORK, MarketBench, code, market_bench
from tests.testing.venue_harness import Founded
from venue.restore.acknowledged import Promise, forgotten

pytestmark = pytest.mark.integration

_SWAP = """
    insert into swaps (id, customer_id, network, sell_asset, sell_amount, buy_asset, buy_amount,
                       mode_epoch)
    values ($1, $2, $3, $4, 1, 'AST', 1, 1)"""
_TICKET = """
    insert into tickets (customer_id, kind, text) values ($1, 'question', 'where is it?')
    returning id"""
_WITHDRAWAL = """
    insert into withdrawals (id, customer_id, bucket, source_network, network, asset, amount,
                             value_micro, size, destination, state, reason)
    values ($1, $2, 'customer', $3, $3, $4, 1000000, 1000000, 'small', '0x' || repeat('ab', 20),
            $5, $6)"""


@pytest.fixture
async def bench(founded: Founded) -> AsyncIterator[MarketBench]:
    """A founded venue with a marketplace."""
    async with market_bench(founded) as made:
        yield made


async def withdrawal(bench: MarketBench, state: str) -> uuid.UUID:
    """The id of one in ``state``."""
    identity, reason = uuid.uuid4(), "cancelled by its customer" if state == "voided" else None
    await bench.owner.execute(_WITHDRAWAL, identity, BIDDER, NETWORK, ASSET, state, reason)
    return identity


async def told(bench: MarketBench) -> dict[PromiseKind, uuid.UUID | int]:
    """Have one of each kind on record; of the marketplace's, by what the api calls."""
    settled, refunded = await bench.open_bid(), await bench.open_bid()
    assert code(await bench.settle(settled)) == "settled"
    assert code(await bench.refund(refunded)) == "refunded"
    swap = uuid.uuid4()
    await bench.owner.execute(_SWAP, swap, BIDDER, NETWORK, ASSET)
    return {
        "withdrawal": await withdrawal(bench, "reserved"),
        "cancellation": await withdrawal(bench, "voided"),
        "swap": swap,
        "listing": await bench.listing(),
        "bid": await bench.open_bid(),
        "settlement": settled,
        "refund": refunded,
        "ticket": int(await bench.owner.fetchval(_TICKET, BIDDER)),
    }


async def test_what_was_acknowledged_and_is_not_on_record_is_found_whatever_it_was(
    bench: MarketBench,
) -> None:
    """An end that is lost is named also where what it ended is on record."""
    made = await told(bench)
    assert made.keys() == {*PROMISE_KINDS}
    kept = {Promise(kind=kind, id=identity) for kind, identity in made.items()}
    assert await forgotten(bench.owner, kept) == ()

    waits, bid = await withdrawal(bench, "reserved"), await bench.open_bid()
    unended = {
        Promise(kind="cancellation", id=waits),
        Promise(kind="settlement", id=bid),
        Promise(kind="refund", id=made["settlement"]),
        Promise(kind="settlement", id=made["refund"]),
    }
    gone = {
        Promise(kind=kind, id=int(made["ticket"]) + 1 if kind == "ticket" else uuid.uuid4())
        for kind in PROMISE_KINDS
    }
    found = await forgotten(bench.owner, kept | unended | gone)

    assert {*found} == unended | gone
    assert [each.kind for each in found] == sorted(
        (each.kind for each in found), key=PROMISE_KINDS.index
    )
