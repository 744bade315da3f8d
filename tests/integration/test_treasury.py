"""The treasury against real chains: it refills hot wallets and compares ledger and chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from pathlib import Path

import pytest

from seawall.controls.sizing import signer_caps
from seawall.conventions.metrics import LEDGER_DEFICIT
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.journal import chain_breaks
from tests.testing.settler_harness import Venue, Wanted, until_final, venue_bench
from tests.testing.venue_harness import (
    HANGS_AFTER_S,
    Founded,
    connected,
    record_withdrawal,
    venue_process,
)
from venue.treasury import metrics
from venue.treasury.metrics import expose_queue
from venue.treasury.topups import request_topups

pytestmark = pytest.mark.integration

USDX = 10**6
PAYING = ("customer-aster-hot", "customer-aster-reserve")


@pytest.fixture
async def venue(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[Venue]:
    """Everything but settlers and treasury; the mode controller's lease is valid for a day."""
    async with venue_bench(database_url, tmp_path, start_anvil) as bench:
        yield bench


async def test_a_wallet_that_runs_low_is_refilled_while_ledger_and_chain_agree(
    venue: Venue,
) -> None:
    """One top-up to the maximum, journalled with its reason, carried out.

    Payments under way are never taken for money that is missing or that came from outside.
    """
    async with venue_process("treasury", venue.config_path, venue.database):
        await venue.settler("aster")
        await venue.reserve(
            [Wanted(network="aster", asset="USDX", amount=1_000 * USDX) for _ in range(200)]
        )
        await venue.until("select exists (select 1 from topups where state = 'posted')")
        seen: set[float | None] = set()
        await venue.reserve(
            [Wanted(network="aster", asset="USDX", amount=1 * USDX) for _ in range(300)]
        )
        async for _ in _polls(
            venue, "select exists (select 1 from withdrawals where state <> 'posted')"
        ):
            seen |= {await _deficit(venue, wallet, "USDX") for wallet in PAYING}
        assert seen <= {None, 0.0}
        assert 0.0 in seen
    topups = await venue.owner.fetch(
        "select network, asset, amount, from_wallet, to_wallet from topups"
    )
    assert [tuple(row) for row in topups] == [
        ("aster", "USDX", 620_000 * USDX, "customer-aster-reserve", "customer-aster-hot")
    ]
    journal = [
        dict(row) for row in await venue.owner.fetch("select * from journal order by writer, n")
    ]
    assert [row["kind"] for row in journal] == ["topup"]
    assert chain_breaks(journal) == []
    assert await venue.owner.fetchval("select count(*) from surpluses") == 0
    assert await venue.ledger_sum() == 0


async def test_money_that_the_chain_lacks_is_recorded_and_stops_its_own_top_ups_alone(
    venue: Venue,
) -> None:
    """One wei less than the ledger says; no AST moves on aster until it is explained.

    The other asset there and both on birch are topped up.
    """
    site = venue.config.networks["aster"]
    held = 210 * 10**18 - 1
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        await rpc.call("anvil_setBalance", site.payout_contracts["customer-aster-hot"], hex(held))
    await until_final(site.rpc.primary)
    await venue.owner.execute("update floats set available = 0")
    async with venue_process("treasury", venue.config_path, venue.database):
        await venue.until("select exists (select 1 from journal where kind = 'deficit')")
        assert await _deficit(venue, "customer-aster-hot", "AST") == 1.0
        assert await _deficit(venue, "customer-aster-reserve", "AST") == 0.0
        assert (
            await venue.owner.fetchval(
                "select body->>'wallet' || ' lacks ' || (body->>'deficit') from journal"
                " where kind = 'deficit'"
            )
            == "customer-aster-hot lacks 1"
        )
        await venue.until("select count(*) = 3 from topups")
        await venue.until(
            "select (select max(at) from journal) < clock_timestamp() - interval '1.2 seconds'"
        )
    topups = await venue.owner.fetch("select network, asset from topups order by 1, 2")
    assert [tuple(row) for row in topups] == [
        ("aster", "USDX"),
        ("birch", "BIR"),
        ("birch", "USDX"),
    ]


@pytest.mark.nightly
async def test_a_bucket_that_pays_nobody_is_compared_too_and_its_difference_stops_no_customer(
    venue: Venue,
) -> None:
    """Every bucket's book is compared with the chain.

    What escrow lacks raises its own alarm, and customers' wallets are still refilled.
    """
    holder = venue.config.holder_of(venue.policy, "escrow-aster-hot")
    async with AsyncRpcClient("aster", (venue.config.networks["aster"].rpc.primary,)) as rpc:
        await rpc.call("anvil_setBalance", holder, hex(50 * 10**18 - 3))
    await until_final(venue.config.networks["aster"].rpc.primary)
    await venue.owner.execute("update floats set available = 0 where asset = 'USDX'")
    async with venue_process("treasury", venue.config_path, venue.database):
        await venue.until("select exists (select 1 from journal where kind = 'deficit')")
        await venue.until("select count(*) = 2 from topups")
        wallets = [
            name for name, wallet in venue.policy.wallets.items() if "USDX" in wallet.holdings
        ]
        async with asyncio.timeout(HANGS_AFTER_S):
            while None in [await _deficit(venue, wallet, "USDX") for wallet in wallets]:  # noqa: ASYNC110
                await asyncio.sleep(0.25)
        assert await _deficit(venue, "escrow-aster-hot", "AST") == 3.0
        assert {await _deficit(venue, wallet, "USDX") for wallet in wallets} == {0.0}
    journal = await venue.owner.fetch(
        "select body->>'bucket' as bucket, body->>'deficit' as deficit from journal "
        "where kind = 'deficit'"
    )
    assert [tuple(row) for row in journal] == [("escrow", "3")]


@pytest.mark.nightly  # without it nothing is claimed, which stays
async def test_without_a_heartbeat_nothing_is_topped_up(venue: Venue) -> None:
    """Without the mode controller's heartbeat the treasury stops, too."""
    await venue.heartbeat.silence()
    await venue.owner.execute("update floats set available = 0")
    async with venue_process("treasury", venue.config_path, venue.database):
        async for _ in _polls(
            venue,
            "select clock_timestamp() < $1",
            await venue.owner.fetchval("select clock_timestamp() + interval '2 seconds'"),
        ):
            pass
        assert await venue.owner.fetchval("select count(*) from topups") == 0
        await venue.heartbeat.resume()
        await venue.until("select count(*) = 4 from topups")


@pytest.mark.nightly  # money that lacks stays
async def test_a_network_that_cannot_be_compared_stops_its_own_top_ups_alone(
    founded: Founded,
) -> None:
    """What is not known of aster is no reason to let birch run dry."""
    even = {
        (wallet, asset): 0
        for wallet, declared in founded.policy.wallets.items()
        for asset in declared.holdings
    }
    async with connected(founded.database.owner) as owner:
        await owner.execute(
            "insert into mode_controller_lease (holder, renewed_at) values ('test', now())"
        )
        await owner.execute("update floats set available = 0")
        obstacles = await request_topups(
            owner, founded.policy, deficits={"aster": None, "birch": even}
        )
        topups = await owner.fetch("select network, asset from topups order by 1, 2")
    assert obstacles.keys() == {("aster", "AST"), ("aster", "USDX")}
    assert [tuple(row) for row in topups] == [("birch", "BIR"), ("birch", "USDX")]


async def test_a_top_up_above_lowered_caps_is_taken_back_and_asked_for_anew(
    founded: Founded,
) -> None:
    """Nobody would ever move it, and while it stands no other refills the wallet."""
    caps = founded.policy.caps
    lower = {"of_target": Fraction(1, 5)}
    lowered = founded.policy.model_copy(
        update={"caps": caps.model_copy(update={"signer": caps.signer.model_copy(update=lower)})}
    )
    even = {
        (wallet, asset): 0
        for wallet, declared in founded.policy.wallets.items()
        for asset in declared.holdings
    }
    deficits = dict.fromkeys(founded.policy.networks, even)
    async with connected(founded.database.owner) as owner:
        await owner.execute(
            "insert into mode_controller_lease (holder, renewed_at) values ('test', now())"
        )
        await owner.execute(
            "update floats set available = 0 where (wallet, asset) = ($1, 'USDX')", PAYING[0]
        )
    async with connected(founded.database.treasury) as treasury:
        await request_topups(treasury, founded.policy, deficits=deficits)
        await request_topups(treasury, founded.policy, deficits=deficits)
        [before] = await treasury.fetch("select * from topups")
        await request_topups(treasury, lowered, deficits=deficits)
        await request_topups(treasury, lowered, deficits=deficits)
        taken_back, asked = await treasury.fetch("select * from topups order by requested_at")
        kinds = await treasury.fetch("select kind, body->>'topup' from journal order by n")

    most = signer_caps(lowered, PAYING[1]).amounts["USDX"]
    assert before["amount"] > most
    assert (taken_back["id"], taken_back["state"]) == (before["id"], "taken_back")
    assert (asked["state"], asked["amount"]) == ("requested", most)
    assert [tuple(row) for row in kinds] == [
        ("topup", str(before["id"])),
        ("topup taken back", str(before["id"])),
        ("topup", str(asked["id"])),
    ]


@pytest.mark.nightly
async def test_the_queue_is_what_payouts_can_shorten(founded: Founded) -> None:
    """Age and depth count what is reserved; what is held for a person is neither old nor deep."""
    async with connected(founded.database.owner) as owner:
        await record_withdrawal(owner, "unknown", age_s=3_600)
        await record_withdrawal(owner, "reserved", age_s=10)
        await expose_queue(owner, founded.policy)
        ages = ages_shown()
        await owner.execute("insert into asset_pauses (network, asset) values ('aster', 'USDX')")
        await expose_queue(owner, founded.policy)
    depths = {
        each.labels["scope"]: each.value
        for metric in metrics.QUEUE_DEPTH.collect()
        for each in metric.samples
    }
    assert depths == {"all": 1, "guaranteed": 1}
    assert all(10 <= age < 60 for age in ages.values())
    assert ages_shown() == {"all": 0, "guaranteed": 0}  # it waits for the issuer


async def test_what_a_hot_wallet_holds_too_much_is_shown(founded: Founded) -> None:
    """In value; what is at or below the level of sweeps is nothing."""
    async with connected(founded.database.owner) as owner:
        await owner.execute(
            "update floats set available = 1000000000000 where (wallet, asset) = ($1, 'USDX')",
            PAYING[0],
        )
        await expose_queue(owner, founded.policy)
    shown = {
        (sample.labels["network"], sample.labels["asset"]): sample.value
        for metric in metrics.HOT_EXCESS.collect()
        for sample in metric.samples
    }
    assert shown.pop(("aster", "USDX")) == 118_000 * 10**6
    assert set(shown.values()) == {0}


def ages_shown() -> dict[str, float]:
    """The age of the queue by scope."""
    return {
        sample.labels["scope"]: sample.value
        for metric in metrics.QUEUE_AGE.collect()
        for sample in metric.samples
    }


async def _deficit(venue: Venue, wallet: str, asset: str) -> float | None:
    declared = venue.policy.wallets[wallet]
    return await venue.served(
        LEDGER_DEFICIT, network=declared.network, bucket=declared.bucket, wallet=wallet, asset=asset
    )


async def _polls(venue: Venue, condition: str, *arguments: object) -> AsyncIterator[None]:
    """Once per quarter second while ``condition`` holds."""
    while await venue.owner.fetchval(condition, *arguments):
        yield
        await venue.owner.execute("select pg_sleep(0.25)")
