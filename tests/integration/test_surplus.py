"""Money that anyone sends in, on real chains: it is booked once, and stops nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from seawall.conventions import metrics
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.journal import chain_breaks
from tests.testing.anvil import mined
from tests.testing.nightly import repetitions
from tests.testing.settler_harness import STRANGER, Venue, until_final, venue_bench
from tests.testing.venue_harness import Founded, connected, venue_process
from venue.contracts.calls import mint
from venue.database import Connection
from venue.ledger.chart import Book, books
from venue.treasury.reconcile import ChainCut, Comparison, compare, reconcile
from venue.treasury.surplus import book_surpluses

pytestmark = pytest.mark.integration

HOT, RESERVE, COLD = "customer-aster-hot", "customer-aster-reserve", "customer-aster-cold"
RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "runbooks" / "unidentified-money.md"
_BALANCES = """
    select a.kind, sum(e.amount) as balance from entries e join accounts a on a.id = e.account_id
    where (a.bucket, a.network, a.asset) = ('customer', 'aster', $1) group by a.kind"""


@pytest.fixture
async def venue(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[Venue]:
    """Everything but settlers and treasury; a stranger holds one unit of each token, too."""
    async with venue_bench(database_url, tmp_path, start_anvil) as bench:
        site = bench.config.networks["aster"]
        async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
            call = {"to": site.tokens["USDX"], "data": "0x" + mint(STRANGER, 1).hex()}
            await mined(rpc, {"from": STRANGER, **call})
        yield bench


@pytest.mark.parametrize("asset", repetitions(["USDX", "AST"], keep=1))
async def test_one_unit_from_anybody_is_booked_and_stops_no_top_up(
    venue: Venue, asset: str
) -> None:
    """Every wallet of every network is refilled, and what came is owed to whoever sent it.

    It may be paid out like the rest, so the wallet's float rises with it.
    """
    await venue.send("aster", asset, 1, to=HOT)
    await venue.owner.execute("update floats set available = 0")
    before = await _balances(venue.owner, asset)
    async with venue_process("treasury", venue.config_path, venue.database):
        await venue.until("select count(*) = 4 from topups")
        await venue.until("select exists (select 1 from surpluses)")
        await venue.until("select count(*) > 4 from journal")
        place = {"network": "aster", "bucket": "customer", "asset": asset}
        await venue.until_served(1.0, metrics.UNIDENTIFIED, **place)
        assert await venue.served(metrics.LEDGER_DEFICIT, **place, wallet=HOT) == 0.0

    after = await _balances(venue.owner, asset)
    assert after == {**before, "hot": before["hot"] + 1, "unidentified": -1}
    assert await venue.ledger_sum() == 0
    assert (
        await venue.owner.fetchval(
            "select available from floats where (wallet, asset) = ($1, $2)", HOT, asset
        )
        == 1
    )
    found = await venue.owner.fetch("select network, wallet, asset, amount from surpluses")
    assert [tuple(row) for row in found] == [("aster", HOT, asset, 1)]
    journal = [
        dict(row) for row in await venue.owner.fetch("select * from journal order by writer, n")
    ]
    assert sorted(row["kind"] for row in journal) == ["surplus", *["topup"] * 4]
    assert chain_breaks(journal) == []


async def test_a_surplus_is_booked_once(venue: Venue) -> None:
    """Not again by a later pass, nor by one that compared earlier and was overtaken."""
    async with _comparing(venue) as compared, connected(venue.database.treasury) as treasury:
        book = _book(venue)
        early = await compared()
        await venue.send("aster", "AST", 5, to=HOT)
        first = await compared()
        assert (early.surpluses, first.surpluses) == ({}, {(HOT, "AST"): 5})

        assert await book_surpluses(treasury, book, first.cut) == {(HOT, "AST"): 5}
        assert await book_surpluses(treasury, book, first.cut) == {}
        await venue.send("aster", "AST", 2, to=HOT)
        second = await compared()
        assert second.surpluses == {(HOT, "AST"): 2}
        assert await book_surpluses(treasury, book, second.cut) == {(HOT, "AST"): 2}

        # A node that is behind shows the old blocks again: nothing is missing, nothing is new.
        for cut in (early.cut, first.cut):
            assert await book_surpluses(treasury, book, cut) == {}
        assert set((await compared()).differences.values()) == {0}
    assert await venue.owner.fetchval("select sum(amount) from surpluses") == 7
    assert await venue.ledger_sum() == 0


async def test_what_a_forgotten_top_up_brought_is_not_taken_for_money_from_outside(
    founded: Founded,
) -> None:
    """After a restore the chain has counted transactions of which the ledger has no slot."""
    book = next(book for book in books(founded.policy) if book.key == ("aster", "customer"))
    expected = founded.policy.base_units("AST", founded.policy.wallets[HOT].holdings["AST"].target)
    cut = ChainCut(block=9, nonces={HOT: 0, RESERVE: 1}, held={(HOT, "AST"): expected + 7})
    async with connected(founded.database.treasury) as treasury:
        assert (await compare(treasury, book, cut)).surpluses == {(HOT, "AST"): 7}
        assert await book_surpluses(treasury, book, cut) == {}
        known = replace(cut, nonces={HOT: 0, RESERVE: 0})
        assert await book_surpluses(treasury, book, known) == {(HOT, "AST"): 7}


@pytest.mark.nightly
async def test_two_wallets_of_a_book_do_not_hide_each_other(venue: Venue) -> None:
    """As much more in hot as the reserve lacks is both a surplus and a deficit."""
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        for holder, held in (
            (site.payout_contracts[HOT], 210 * 10**18 + 7),
            (site.reserve_contracts[RESERVE], 1260 * 10**18 - 7),
        ):
            await rpc.call("anvil_setBalance", holder, hex(held))
    await until_final(site.rpc.primary)
    async with _comparing(venue) as compared, connected(venue.database.treasury) as treasury:
        found = await compared()
        assert found.surpluses == {(HOT, "AST"): 7}
        assert {each: lacks for each, lacks in found.deficits.items() if lacks} == {
            (RESERVE, "AST"): 7
        }
        await book_surpluses(treasury, _book(venue), found.cut)
        assert (await compared()).deficits == found.deficits


@pytest.mark.nightly  # a unit from anybody stays
async def test_a_governed_transfer_from_cold_is_of_use_at_once_and_identified_by_people(
    venue: Venue,
) -> None:
    """What comes to the reserve in a run is topped up from; what cold lacks stops nothing.

    Both alarms end when people post whose the money was, as the runbook has it.
    """
    asset = "USDX"
    await venue.owner.execute("update floats set available = 0")
    sender = venue.config.holder_of(venue.policy, COLD)
    amount = 1_000_000 * 10**6
    await venue.send("aster", asset, amount, to=RESERVE, sender=sender)
    before = await _balances(venue.owner, asset)
    async with venue_process("treasury", venue.config_path, venue.database):
        await venue.until("select count(*) = 4 from topups")
        await venue.until("select exists (select 1 from journal where kind = 'deficit')")
        await venue.until("select exists (select 1 from surpluses where asset = $1)", asset)
        await identify(venue.owner, asset, kind="cold")
        place = {"network": "aster", "bucket": "customer", "asset": asset}
        await venue.until_served(0.0, metrics.LEDGER_DEFICIT, **place, wallet=COLD)
        await venue.until_served(0.0, metrics.UNIDENTIFIED, **place)
    after = await _balances(venue.owner, asset)
    assert after == {
        **before,
        "reserve": before["reserve"] + amount,
        "cold": before["cold"] - amount,
        "unidentified": 0,
    }
    assert await venue.ledger_sum() == 0


async def _balances(owner: Connection, asset: str) -> Mapping[str, int]:
    return {row["kind"]: row["balance"] for row in await owner.fetch(_BALANCES, asset)}


async def identify(owner: Connection, asset: str, *, kind: str) -> None:
    """Post that the only surplus of ``asset`` was of the account ``kind``, as the runbook says."""
    statements = RUNBOOK.read_text(encoding="utf-8").partition("```sql\n")[2].partition("```")[0]
    surplus = await owner.fetchval("select id from surpluses where asset = $1", asset)
    account = await owner.fetchval(
        "select id from accounts"
        " where (bucket, network, asset, kind) = ('customer', 'aster', $1, $2)",
        asset,
        kind,
    )
    await owner.execute(
        statements.replace(":surplus", str(surplus)).replace(":account", str(account))
    )


def _book(venue: Venue) -> Book:
    return next(book for book in books(venue.policy) if book.key == ("aster", "customer"))


@asynccontextmanager
async def _comparing(venue: Venue) -> AsyncIterator[Callable[[], Awaitable[Comparison]]]:
    """Compares the book of customers on aster, with the rights of the treasury."""
    url = venue.config.networks["aster"].rpc.primary
    async with (
        connected(venue.database.treasury) as connection,
        AsyncRpcClient("aster", (url,)) as rpc,
    ):

        async def compared() -> Comparison:
            view = await rpc.view()
            book = _book(venue)
            found = await reconcile(connection, venue.config, venue.policy, book, rpc, view=view)
            assert found is not None
            return found

        yield compared
