"""The treasury against real chains.

Refills what runs low, and is not fooled about what the chain holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from seawall.conventions.components import TREASURY_PROCESS
from seawall.conventions.metrics import LEDGER_DRIFT
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.journal import chain_breaks
from tests.testing.settler_harness import Venue, Wanted, venue_bench
from tests.testing.venue_harness import (
    HANGS_AFTER_S,
    Founded,
    connected,
    record_withdrawal,
    venue_process,
)
from venue.treasury import metrics
from venue.treasury.metrics import expose_queue

pytestmark = pytest.mark.integration

USDX = 10**6


@pytest.fixture
async def venue(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[Venue]:
    """Everything but settlers and treasury; the mode controller's lease is valid for a day."""
    async with venue_bench(database_url, tmp_path, start_anvil) as bench:
        yield bench


async def _drift(venue: Venue, network: str, asset: str, bucket: str = "customer") -> float | None:
    async with httpx.AsyncClient() as http:
        text = (
            await http.get(
                f"http://127.0.0.1:{venue.config.metrics_ports[TREASURY_PROCESS]}/metrics"
            )
        ).text
    wanted = f'{LEDGER_DRIFT}{{asset="{asset}",bucket="{bucket}",network="{network}"}} '
    return next(
        (float(line.removeprefix(wanted)) for line in text.splitlines() if line.startswith(wanted)),
        None,
    )


async def test_a_wallet_that_runs_low_is_refilled_while_ledger_and_chain_agree(
    venue: Venue,
) -> None:
    """One top-up to the maximum, journalled with its reason, carried out.

    The comparison under way stays at zero throughout.
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
            seen.add(await _drift(venue, "aster", "USDX"))
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
    assert await venue.ledger_sum() == 0


async def test_money_that_the_chain_lacks_is_noticed_and_stops_top_ups(venue: Venue) -> None:
    """One wei less than the ledger says is a drift of one; nothing moves until it is explained."""
    site = venue.config.networks["aster"]
    held = 210 * 10**18 - 1
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        await rpc.call("anvil_setBalance", site.payout_contracts["customer-aster-hot"], hex(held))
    await _changes_final(site.rpc.primary)
    await venue.owner.execute("update floats set available = 0 where asset = 'USDX'")
    async with venue_process("treasury", venue.config_path, venue.database):
        await venue.until("select exists (select 1 from journal where kind = 'drift')")
        assert await _drift(venue, "aster", "AST") == 1.0
        assert await venue.owner.fetchval("select body->>'drift' from journal") == "1"
        await venue.until(
            "select (select max(at) from journal) < clock_timestamp() - interval '1.2 seconds'"
        )
    assert await venue.owner.fetchval("select count(*) from topups") == 0


async def test_a_bucket_that_pays_nobody_is_compared_too_and_its_difference_stops_no_customer(
    venue: Venue,
) -> None:
    """Every bucket's book meets the chain.

    What escrow lacks is its own alarm, and customers' wallets are refilled all the same.
    """
    holder = venue.config.holder_of(venue.policy, "escrow-aster-hot")
    async with AsyncRpcClient("aster", (venue.config.networks["aster"].rpc.primary,)) as rpc:
        await rpc.call("anvil_setBalance", holder, hex(50 * 10**18 - 3))
    await _changes_final(venue.config.networks["aster"].rpc.primary)
    await venue.owner.execute("update floats set available = 0 where asset = 'USDX'")
    async with venue_process("treasury", venue.config_path, venue.database):
        await venue.until("select exists (select 1 from journal where kind = 'drift')")
        await venue.until("select count(*) = 2 from topups")
        books = {
            (wallet.network, wallet.bucket): wallet for wallet in venue.policy.wallets.values()
        }
        async with asyncio.timeout(HANGS_AFTER_S):
            while None in [await _drift(venue, at, "USDX", of) for at, of in books]:  # noqa: ASYNC110
                await asyncio.sleep(0.25)
        assert await _drift(venue, "aster", "AST", "escrow") == 3.0
        others = {
            (network, bucket)
            for network, bucket in books
            if (network, bucket) != ("aster", "escrow")
        }
        assert {await _drift(venue, network, "USDX", bucket) for network, bucket in others} == {0.0}
    journal = await venue.owner.fetch(
        "select body->>'bucket' as bucket, body->>'drift' as drift from journal where kind = 'drift'"
    )
    assert [tuple(row) for row in journal] == [("escrow", "3")]


async def test_without_a_heartbeat_nothing_is_topped_up(venue: Venue) -> None:
    """A silent mode controller stops the treasury too."""
    await venue.owner.execute(
        "update mode_controller_lease set renewed_at = now() - interval '2 seconds'"
    )
    await venue.owner.execute("update floats set available = 0")
    async with venue_process("treasury", venue.config_path, venue.database):
        async for _ in _polls(
            venue,
            "select clock_timestamp() < $1",
            await venue.owner.fetchval("select clock_timestamp() + interval '2 seconds'"),
        ):
            pass
        assert await venue.owner.fetchval("select count(*) from topups") == 0
        await venue.owner.execute(
            "update mode_controller_lease set renewed_at = now() + interval '1 day'"
        )
        await venue.until("select count(*) = 4 from topups")


async def test_the_queue_is_what_payouts_can_shorten(founded: Founded) -> None:
    """Age and depth count what is reserved; what is held for a person is neither old nor deep."""
    async with connected(founded.database.owner) as owner:
        await record_withdrawal(owner, "unknown", age_s=3_600)
        await record_withdrawal(owner, "reserved", age_s=10)
        await expose_queue(owner, founded.policy)
    ages = {
        sample.labels["scope"]: sample.value
        for metric in metrics.QUEUE_AGE.collect()
        for sample in metric.samples
    }
    depths = {
        each.labels["scope"]: each.value
        for metric in metrics.QUEUE_DEPTH.collect()
        for each in metric.samples
    }
    assert depths == {"all": 1, "guaranteed": 1}
    assert all(10 <= age < 60 for age in ages.values())


async def _changes_final(url: str) -> None:
    """Wait until the finalized block is later than now's.

    Before that a comparison would rightly find the old balance.
    """
    async with AsyncRpcClient("aster", (url,)) as rpc, asyncio.timeout(HANGS_AFTER_S):
        head = (await rpc.head()).number
        while (await rpc.head("finalized")).number <= head:  # noqa: ASYNC110  (a node is polled)
            await asyncio.sleep(0.1)


async def _polls(venue: Venue, condition: str, *arguments: object) -> AsyncIterator[None]:
    """Once per quarter second while ``condition`` holds."""
    while await venue.owner.fetchval(condition, *arguments):
        yield
        await venue.owner.execute("select pg_sleep(0.25)")
