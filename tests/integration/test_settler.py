"""The settler against real chains and a real database: each accepted withdrawal is paid once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from seawall.conventions import metrics
from seawall.conventions.components import settler_process
from seawall.ethereum.keys import keccak256, to_bytes
from seawall.ethereum.rpc import AsyncRpcClient
from tests.testing.settler_harness import Venue, Wanted, chain_equals_ledger, venue_bench
from tests.testing.venue_harness import HANGS_AFTER_S, connected, free_port, venue_process
from venue.contracts.calls import cap

pytestmark = pytest.mark.integration

USDX = 10**6
AST = 10**18


@pytest.fixture
async def venue(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[Venue]:
    """Everything but the settlers."""
    async with venue_bench(database_url, tmp_path, start_anvil) as bench:
        yield bench


def small(count: int, *, network: str = "aster", destination: str = "") -> list[Wanted]:
    """Small withdrawals, half in each asset."""
    native = {"aster": "AST", "birch": "BIR"}[network]
    return [
        Wanted(
            network=network,
            asset=("USDX", native)[n % 2],
            amount=(USDX, AST // 10_000)[n % 2],
            destination=destination,
        )
        for n in range(count)
    ]


async def test_accepted_withdrawals_and_top_ups_are_posted_and_ledger_equals_chain(
    venue: Venue,
) -> None:
    """600 withdrawals on two networks, one to a contract that refuses, and a top-up."""
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        await rpc.call("anvil_setCode", "0x" + "de" * 20, "0x60006000fd")
    for network in ("aster", "birch"):
        await venue.settler(network)
    await venue.reserve(
        [
            *small(400),
            Wanted(
                network="aster", asset="AST", amount=AST, size="large", destination="0x" + "de" * 20
            ),
        ]
    )
    await venue.reserve(small(200, network="birch"))
    await venue.owner.execute(
        """insert into topups (id, network, asset, from_wallet, to_wallet, amount, state,
            justification)
           values (gen_random_uuid(), 'aster', 'USDX', 'customer-aster-reserve',
           'customer-aster-hot', 420000000000, 'requested', 'test'),
                  (gen_random_uuid(), 'aster', 'AST', 'customer-aster-reserve',
                  'customer-aster-hot', 1000000000000000000, 'requested', 'test')"""
    )
    await venue.all_posted()
    await venue.until("select not exists (select 1 from topups where state <> 'posted')")

    rows = await venue.owner.fetch(
        "select state, count(*)::int as count from withdrawals group by state"
    )
    assert {row["state"]: row["count"] for row in rows} == {"posted": 600, "unknown": 1}
    assert await venue.ledger_sum() == 0
    await chain_equals_ledger(venue)
    floats = await venue.owner.fetchval(
        "select available from floats where (wallet, asset) = ('customer-aster-hot', 'AST')"
    )
    assert floats == 211 * AST - 200 * (AST // 10_000)
    assert [await venue.stop(process) for process in venue.settlers] == [0, 0]


async def _lower_cap(rpc: AsyncRpcClient, contract: str, token: str, amount: int) -> None:
    """Let ``contract`` pay less of ``token`` in one window, wherever it stores that."""
    for place in range(8):
        slot = "0x" + keccak256(place.to_bytes(32, "big") + bytes(12) + to_bytes(token)).hex()
        before = await rpc.call("eth_getStorageAt", contract, slot, "latest")
        await rpc.call("anvil_setStorageAt", contract, slot, f"0x{amount:064x}")
        call = {"to": contract, "data": "0x" + cap(token).hex()}
        if int(await rpc.call("eth_call", call, "latest"), 16) == amount:
            return
        await rpc.call("anvil_setStorageAt", contract, slot, before)
    pytest.fail("the contract stores its caps elsewhere")


@pytest.mark.nightly  # a payment above the cap is tried in test_held.py
async def test_a_batch_over_the_contracts_cap_waits_for_a_later_window_and_is_paid_once(
    venue: Venue,
) -> None:
    """The contract reverts the whole batch, which the signer's cap would have let pass.

    Its withdrawals are reserved again, in their old places, and the float is whole.
    """
    hot, site = "customer-aster-hot", venue.config.networks["aster"]
    available = "select available from floats where (wallet, asset) = ($1, 'USDX')"
    before = await venue.owner.fetchval(available, hot)
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        contract, token = site.payout_contracts[hot], site.tokens["USDX"]
        await _lower_cap(rpc, contract, token, 150_000 * USDX)
        await venue.settler("aster")
        await venue.reserve(
            [Wanted(network="aster", asset="USDX", amount=100_000 * USDX, size="large")] * 2
        )
        await venue.until(
            """select (select array_agg(seq order by seq) from withdrawals where state = 'reserved'
                and slot_id is null and reason is null) = array[1, 2]::bigint[]
                  and exists (select 1 from slots where state = 'final')
                  and (select available from floats where (wallet, asset) = ($1, 'USDX')) = $2""",
            hot,
            before,
        )
        await venue.reserve(small(3))
        await venue.all_posted()
        held = await rpc.balance(contract, token=token)
    assert held == before - 200_002 * USDX
    assert (
        await venue.owner.fetchval("select count(*) from withdrawals where state = 'posted'") == 5
    )
    assert await venue.owner.fetchval(available, hot) == held
    assert await venue.ledger_sum() == 0


@pytest.mark.nightly  # the contract's cap is tried always
async def test_what_the_signer_has_no_room_for_waits_and_is_paid_with_the_same_nonce(
    venue: Venue,
) -> None:
    """It has signed away more than the settler knows of, as after a lost count.

    No nonce is used up, no lane moves to the other region, and the queue behind it goes on.
    """
    lane = await venue.owner.fetchrow(
        "select chain_id, address from lanes where wallet = 'customer-aster-hot'"
    )
    assert lane is not None
    other = (*lane, 10**6)
    await venue.sign_log.execute(
        "insert into sign_log (chain_id, address, nonce, digest, epoch, region, max_fee_wei,"
        " priority_fee_wei) values ($1, $2, $3, sha256('other'), 1, 'test', 1, 1)",
        *other,
    )
    await venue.sign_log.execute(
        "insert into signed_amounts values ($1, $2, $3, $4, $5)",
        *other,
        venue.config.networks["aster"].tokens["USDX"].lower(),
        300_000 * USDX,
    )
    await venue.sign_log.execute("update sign_log set requested_at = now() + interval '2 s'")
    await venue.settler("aster")
    await venue.reserve(
        [Wanted(network="aster", asset="USDX", amount=100_000 * USDX, size="large")]
    )
    await venue.until("select exists (select 1 from slots)")
    await venue.reserve(small(4))
    await asyncio.sleep(2)
    assert await venue.sign_log.fetchval("select count(*) from sign_log") == 1
    await venue.all_posted()

    nonces = await venue.owner.fetch("select nonce from slots order by nonce")
    assert [row["nonce"] for row in nonces] == list(range(len(nonces)))
    failed = "select count(*) from flow where kind = 'signing_failed'"
    assert await venue.owner.fetchval(failed) == 0
    await chain_equals_ledger(venue)


@pytest.mark.parametrize(
    "killed_after_s", [(0.1, 0.9), pytest.param((0.1, 0.5, 0.9, 1.3), marks=pytest.mark.nightly)]
)
async def test_a_settler_killed_anywhere_loses_nothing(
    venue: Venue, killed_after_s: tuple[float, ...]
) -> None:
    """Killed so long after its start, when slots are in every state.

    Each start resumes them with the same nonces and bytes.
    """
    await venue.reserve(small(300))
    for after_s in killed_after_s:
        process = await venue.settler("aster")
        await venue.reserve(small(20))
        await asyncio.sleep(after_s)
        process.kill()
        await process.wait()
    await venue.settler("aster")
    await venue.all_posted()

    assert await venue.owner.fetchval(
        "select count(*)::int from withdrawals where state = 'posted'"
    ) == 300 + 20 * len(killed_after_s)
    assert await venue.owner.fetchval("select count(distinct nonce) = max(nonce) + 1 from slots")
    stored = "select chain_id, address, nonce, digest, raw from {} order by 1, 2, 3"
    slots = await venue.owner.fetch(stored.format("slots"))
    logged = await venue.sign_log.fetch(stored.format("sign_log"))
    assert list(map(tuple, slots)) == list(map(tuple, logged))
    await chain_equals_ledger(venue)


@pytest.mark.nightly  # the game day darkens one
async def test_a_dark_primary_is_left_after_two_failures_and_returned_to(venue: Venue) -> None:
    """The standby signs the same nonces under a new epoch.

    The primary gets the route back when its probes have answered. How long the failover takes is
    what a game day measures.
    """
    await venue.settler("aster")
    await venue.reserve(small(10))
    await venue.until("select exists (select 1 from slots where state <> 'open')")
    primary, standby = (
        venue.providers[region]
        for region in (venue.policy.regions.primary, venue.policy.regions.standby)
    )
    primary.dark = True
    await venue.reserve(small(10))
    await venue.until(
        "select exists (select 1 from slots where signer_region = $1 and state = 'broadcast')",
        venue.policy.regions.standby,
    )
    await venue.all_posted()
    moved = await venue.owner.fetchrow(
        "select * from lane_log where detected_at is not null order by at limit 1"
    )
    failures = await venue.owner.fetchval(
        "select sum(count) from flow where kind = 'signing_failed'"
    )
    primary.dark = False
    await venue.until(
        "select signer_region = $1 from lanes where wallet = 'customer-aster-hot'",
        venue.policy.regions.primary,
    )
    asked = standby.asked
    await venue.reserve(small(5))
    await venue.all_posted()

    assert moved is not None
    assert moved["at"] >= moved["detected_at"]
    assert failures == 2
    assert standby.asked == asked
    assert await venue.owner.fetchval("select max(epoch) from lanes where network = 'aster'") == 4


@pytest.mark.nightly  # test_sign_log.py has it stand still, too
async def test_a_sign_log_that_stands_still_moves_no_signing_to_the_other_region(
    venue: Venue,
) -> None:
    """It is locked for two seconds: nothing is signed. The key service was well all the time."""
    await venue.settler("aster")
    await venue.reserve(small(2))
    await venue.all_posted()
    async with connected(venue.database.sign_log.owner) as holder, holder.transaction():
        await holder.execute("lock table sign_log in access exclusive mode")
        await venue.reserve(small(4))
        await asyncio.sleep(2)
        assert await venue.owner.fetchval("select count(*) from slots where state = 'open'") == 1
    await venue.all_posted()
    failed = "select count(*) from flow where kind = 'signing_failed'"
    assert await venue.owner.fetchval(failed) == 0
    moved = "select count(*) from lane_log where detected_at is not null"
    assert await venue.owner.fetchval(moved) == 0


@pytest.mark.nightly  # the game day's sabotage shows the same
async def test_with_failover_sabotaged_a_dark_primary_stops_payouts(venue: Venue) -> None:
    """The sabotage switches off only the breaker.

    Failures are still counted, no lane moves, and payouts resume when the region is back.
    """
    await venue.settler("aster", SEAWALL_SABOTAGE="failover")
    venue.providers[venue.policy.regions.primary].dark = True
    await venue.reserve(small(10))
    await venue.until("select count(*) >= 4 from flow where kind = 'signing_failed'")

    assert await venue.owner.fetchval("select count(*) from slots where state <> 'open'") == 0
    venue.providers[venue.policy.regions.primary].dark = False
    await venue.all_posted()
    assert (
        await venue.owner.fetchval(
            "select count(*) from lane_log where signer_region <> $1", venue.policy.regions.primary
        )
        == 0
    )


async def test_protected_mode_defers_large_ones_and_a_silent_mode_controller_stops_claims(
    venue: Venue,
) -> None:
    """Large ones wait for the tier to end; without a heartbeat nothing at all is claimed."""
    await venue.set_mode("protected")
    await venue.settler("aster")
    await venue.reserve(
        [Wanted(network="aster", asset="USDX", amount=5_000 * USDX, size="large"), *small(4)]
    )
    await venue.until("select count(*) = 4 from withdrawals where state = 'posted'")
    assert (
        await venue.owner.fetchval("select state from withdrawals where size = 'large'")
        == "reserved"
    )

    for silent_for_s in (2, -86_400):  # and one from before the clock was set back
        await venue.heartbeat.silence(for_s=silent_for_s)
        await venue.set_mode("normal")
        await asyncio.sleep(1)
        assert (
            await venue.owner.fetchval("select state from withdrawals where size = 'large'")
            == "reserved"
        )

    await venue.heartbeat.resume()
    await venue.all_posted()


@pytest.mark.nightly  # the simulation does it in every campaign
async def test_what_was_claimed_before_a_flip_and_not_yet_recorded_is_looked_at_again(
    venue: Venue,
) -> None:
    """Signing stands still, three slots wait, and protected mode comes.

    The first one is known to the signer and keeps its use. Of the second the large payment waits
    again, and the third, which had nothing else, uses its nonce for nothing.
    """
    large = Wanted(network="aster", asset="USDX", amount=5_000 * USDX, size="large")
    for provider in venue.providers.values():
        provider.dark = True
    await venue.settler("aster")
    for number, wanted in enumerate(([large, *small(2)], [large, *small(2)], [large]), 1):
        await venue.reserve(wanted)
        await venue.until("select count(*) = $1 from slots", number)
    await venue.until("select exists (select 1 from slots where offered_epoch is not null)")
    await venue.set_mode("protected")
    for provider in venue.providers.values():
        provider.dark = False
    await venue.until("select count(*) = 3 from slots where state = 'final'")

    rows = await venue.owner.fetch("select size, state from withdrawals order by seq")
    assert [tuple(row) for row in rows] == [
        ("large", "posted"),
        *[("small", "posted")] * 2,
        ("large", "reserved"),
        *[("small", "posted")] * 2,
        ("large", "reserved"),
    ]
    purposes = await venue.owner.fetch("select purpose from slots order by nonce")
    assert [row["purpose"] for row in purposes] == ["payout", "payout", "cancel"]
    await venue.set_mode("normal")
    await venue.all_posted()
    assert await venue.ledger_sum() == 0
    await chain_equals_ledger(venue)


@pytest.mark.nightly  # the simulation does it in every campaign
async def test_a_hot_wallet_at_its_minimum_leads_to_protected_mode_which_may_use_it_up(
    venue: Venue,
) -> None:
    """Small withdrawals are guaranteed in every tier: they must not stand still at the floor."""
    floor = 42_000 * USDX
    await venue.owner.execute("update floats set available = $1 where asset = 'USDX'", floor)
    await venue.heartbeat.silence()
    async with venue_process("mode_controller", venue.config_path, venue.database):
        await venue.settler("aster")
        await venue.reserve([Wanted(network="aster", asset="USDX", amount=USDX)] * 3)
        await venue.all_posted(within_s=60)
    flips = await venue.owner.fetch("select tier, trigger_name from mode_log order by epoch")
    assert [tuple(row) for row in flips][:2] == [
        ("stressed", "queue-ageing"),
        ("protected", "promise-at-risk"),
    ]


@pytest.mark.nightly  # the simulation does it in every campaign
async def test_nothing_is_claimed_while_the_chain_knows_more_than_the_database(
    venue: Venue,
) -> None:
    """As after a restore: first a nonce, then a number was used that was never given out here."""
    hot, name = "customer-aster-hot", settler_process("aster")
    await venue.settler("aster")
    await venue.reserve(small(5))
    await venue.all_posted()
    await venue.stop(venue.settlers[0])
    # The database of before: its last nonce and its last numbers are not known any more.
    nonce = await venue.owner.fetchval("select next_nonce from lanes where wallet = $1", hot)
    set_nonce = "update lanes set next_nonce = $1 where wallet = $2"
    await venue.owner.execute(set_nonce, nonce - 1, hot)
    await venue.owner.execute("alter table withdrawals alter column seq drop identity")
    await venue.owner.execute("update withdrawals set seq = -seq")
    await venue.owner.execute(
        "alter table withdrawals alter column seq add generated always as identity (start 1)"
    )

    process = await venue.settler("aster", ready=False)
    disputed = {"network": "aster", "wallet": hot}
    await venue.until_served(1.0, metrics.LANE_DISPUTED, by=name, **disputed)
    await venue.owner.execute(set_nonce, nonce, hot)  # people raise the nonce alone
    await asyncio.sleep(6)
    assert await venue.served(metrics.LANE_DISPUTED, by=name, **disputed) == 1.0
    assert await venue.owner.fetchval("select count(*) from slots where state <> 'final'") == 0

    await venue.owner.execute("select setval(pg_get_serial_sequence('withdrawals', 'seq'), 1000)")
    await venue.reserve(small(3))  # the numbers go on above what was lost
    await venue.all_posted()
    assert await venue.served(metrics.LANE_DISPUTED, by=name, **disputed) == 0.0
    assert await venue.stop(process) == 0


def other_port(venue: Venue) -> None:
    """The next settler of aster serves its metrics elsewhere."""
    payload = venue.config_path.read_text(encoding="utf-8")
    port = str(venue.config.metrics_ports["settler-aster"])
    venue.config_path.write_text(payload.replace(port, str(free_port())), encoding="utf-8")


@pytest.mark.nightly  # that one fences the other is tried always
async def test_a_second_settler_waits_while_the_first_one_lives(venue: Venue) -> None:
    """They do not take the lanes from each other in turns; the second is ready for its end."""
    first = await venue.settler("aster")
    other_port(venue)
    second = await venue.settler("aster", ready=False)
    taken = "select max(epoch) from lanes where network = 'aster'"
    epoch = await venue.owner.fetchval(taken)
    await venue.reserve(small(50))
    await venue.all_posted()
    await asyncio.sleep(3)
    assert await venue.owner.fetchval(taken) == epoch
    assert (first.returncode, second.returncode) == (None, None)

    first.kill()
    await venue.reserve(small(50))
    await venue.all_posted()
    assert await venue.stop(second) == 0
    await chain_equals_ledger(venue)


async def test_a_second_settler_fences_a_first_one_that_was_frozen(venue: Venue) -> None:
    """The second takes the lanes once the first is silent.

    When that goes on it stops with an error, and has claimed nothing under its old epoch.
    """
    first = await venue.settler("aster")
    first.send_signal(signal.SIGSTOP)
    other_port(venue)
    await venue.settler("aster")
    first.send_signal(signal.SIGCONT)
    await venue.reserve(small(50))
    await venue.all_posted()

    async with asyncio.timeout(HANGS_AFTER_S):
        assert await first.wait() == 2
    assert (
        await venue.owner.fetchval(
            "select count(*) from slots where epoch < (select max(epoch) from lanes "
            "where network = 'aster')"
        )
        == 0
    )
    await chain_equals_ledger(venue)


async def stand_still(venue: Venue, network: str) -> AsyncRpcClient:
    """Stop the blocks of ``network``: what is sent stays in the pool."""
    rpc = AsyncRpcClient(network, (venue.config.networks[network].rpc.primary,))
    await rpc.call("evm_setIntervalMining", 0)
    return rpc


@pytest.mark.nightly  # the simulation replaces many
async def test_a_transaction_that_fees_have_left_behind_is_replaced(venue: Venue) -> None:
    """The base fee rises from a few wei to 100 gwei while two transactions wait.

    Empty blocks would take 26 s to make the first ones good again. Both nonces are paid once, by
    their second transactions.
    """
    await venue.settler("aster")
    rpc = await stand_still(venue, "aster")
    for number in (1, 2):
        await venue.reserve(small(3))
        await venue.until("select count(*) = $1 from slots where state = 'broadcast'", number)
    await rpc.call("anvil_setNextBlockBaseFeePerGas", hex(100 * 10**9))
    await rpc.call("evm_setIntervalMining", 1)
    await venue.all_posted()

    rows = await venue.owner.fetch(
        """select s.mined_hash, r.tx_hash, r.raw, s.max_fee_wei < r.max_fee_wei as dearer
           from slots s join replacements r on r.slot_id = s.id order by s.nonce"""
    )
    logged = await venue.sign_log.fetch(
        "select tx_hash, raw from sign_log_replacements order by nonce"
    )
    assert len(rows) == 2
    assert [tuple(row) for row in logged] == [(row["tx_hash"], row["raw"]) for row in rows]
    for row in rows:
        assert row["mined_hash"] == row["tx_hash"]
        assert row["dearer"]
    assert (
        await venue.owner.fetchval("select count(*) from withdrawals where state = 'posted'") == 6
    )
    assert await venue.ledger_sum() == 0
    await chain_equals_ledger(venue)
    await rpc.__aexit__()


@pytest.mark.nightly  # the simulation does it in every campaign
async def test_a_replacement_that_was_never_signed_is_the_one_that_is_asked_for_again(
    venue: Venue,
) -> None:
    """The settler is killed while both regions are dark, after it has recorded the fees."""
    process = await venue.settler("aster")
    rpc = await stand_still(venue, "aster")
    await venue.reserve(small(2))
    await venue.until("select exists (select 1 from slots where state = 'broadcast')")
    for provider in venue.providers.values():
        provider.dark = True
    await rpc.call("anvil_setNextBlockBaseFeePerGas", hex(100 * 10**9))
    await rpc.call("evm_setIntervalMining", 1)
    await venue.until("select exists (select 1 from replacements)")
    process.kill()
    await process.wait()
    recorded = await venue.owner.fetch("select slot_id, n, max_fee_wei from replacements")
    for provider in venue.providers.values():
        provider.dark = False
    await venue.settler("aster")
    await venue.all_posted()

    signed = await venue.owner.fetch(
        "select slot_id, n, max_fee_wei from replacements where raw is not null"
    )
    assert signed[: len(recorded)] == recorded
    assert (
        await venue.owner.fetchval("select count(*) from withdrawals where state = 'posted'") == 2
    )
    await chain_equals_ledger(venue)
    await rpc.__aexit__()
