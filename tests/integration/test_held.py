"""The way out of `unknown`, on real chains and a real database, and how little gets into it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from chaos.faults import make_fault
from monitors.alerts import GAS_LEFT_MIN
from seawall.conventions import metrics
from seawall.errors import UsageError
from seawall.ethereum.keys import address_of_private_key, to_bytes
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.drill_contract import Refusal, Withdrawal
from tests.testing.anvil import mined
from tests.testing.deployments import make_deployment
from tests.testing.settler_harness import DEPLOYER, Venue, Wanted, venue_bench
from tests.testing.venue_harness import HANGS_AFTER_S, connected, venue_process
from venue.api.reservations import cancel_withdrawal
from venue.contracts.calls import mint, set_paused
from venue.operator.held import decide, held

pytestmark = pytest.mark.integration

USDX = 10**6
AST = 10**18
CLOSED = "0x" + "de" * 20
"""A contract that takes no coins."""
PICKY = "0x60043573" + "bb" * 20 + "14602657600160005260206000f35b60006000fd"
"""A token that moves for everybody but an address of 20 bytes bb, to which it reverts."""
_STATES = "select state, count(*)::int as count from withdrawals group by state"
_BOOKS_DIFFER = """
    select exists (select 1 from balances b where available <> (select -coalesce(sum(amount), 0)
    from entries e where e.account_id = b.account_id))"""


@pytest.fixture
async def venue(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[Venue]:
    """A venue with a settler on aster, where :data:`CLOSED` takes no coins."""
    async with venue_bench(database_url, tmp_path, start_anvil) as bench:
        await call(bench, "anvil_setCode", CLOSED, "0x60006000fd")
        await bench.settler("aster")
        yield bench


async def call(venue: Venue, method: str, *params: Any) -> Any:
    """A call of aster's node."""
    async with AsyncRpcClient("aster", (venue.config.networks["aster"].rpc.primary,)) as rpc:
        return await rpc.call(method, *params)


async def sent(venue: Venue, **transaction: str) -> None:
    """Send what an unlocked account of aster may; returns once a block has it."""
    async with AsyncRpcClient("aster", (venue.config.networks["aster"].rpc.primary,)) as rpc:
        await mined(rpc, transaction)


async def pause_token(venue: Venue, *, paused: bool) -> None:
    """As the issuer of USDX does."""
    await sent(
        venue,
        **{"from": address_of_private_key(to_bytes(DEPLOYER))},
        to=venue.config.networks["aster"].tokens["USDX"],
        data="0x" + set_paused(paused=paused).hex(),
    )


async def hold_one(venue: Venue) -> uuid.UUID:
    """A withdrawal that its destination refuses while others are paid; its id."""
    await venue.reserve(
        [
            *[Wanted(network="aster", asset="AST", amount=AST // 10_000)] * 3,
            Wanted(network="aster", asset="AST", amount=AST // 5_000, destination=CLOSED),
        ]
    )
    await venue.until("select exists (select 1 from withdrawals where state = 'unknown')")
    await venue.all_posted()
    return uuid.UUID(
        str(await venue.owner.fetchval("select id from withdrawals where state = 'unknown'"))
    )


async def cancel(venue: Venue, withdrawal: uuid.UUID) -> Withdrawal | Refusal:
    """As the api does for customer 1."""
    async with connected(venue.database.api) as connection:
        return await cancel_withdrawal(connection, venue.policy, 1, withdrawal)


async def states(venue: Venue) -> dict[str, int]:
    """How many withdrawals are in each state."""
    return {row["state"]: row["count"] for row in await venue.owner.fetch(_STATES)}


async def hot_float(venue: Venue) -> int:
    """Base units of AST that aster's hot wallet may still pay."""
    return int(
        await venue.owner.fetchval(
            "select available from floats where (wallet, asset) = ('customer-aster-hot', 'AST')"
        )
    )


async def test_a_customer_has_a_refused_withdrawal_back_after_its_number_is_burnt(
    venue: Venue,
) -> None:
    """Cancelled twice, given back once; the money can be withdrawn again and the books agree."""
    before = await venue.owner.fetchval("select sum(available) from balances")
    withdrawal = await hold_one(venue)
    reason = await venue.owner.fetchval("select reason from withdrawals where id = $1", withdrawal)
    assert "Cancel the withdrawal to have it back" in reason
    float_before = await hot_float(venue)

    answers = [await cancel(venue, withdrawal) for _ in range(2)]
    assert [getattr(answer, "state", None) for answer in answers] == ["unknown", "unknown"]
    await venue.until("select not exists (select 1 from withdrawals where state = 'unknown')")

    assert await states(venue) == {"posted": 3, "voided": 1}
    assert await venue.owner.fetchval("select count(*) from resolutions") == 1
    after = await venue.owner.fetchval("select sum(available) from balances")
    # The harness reserves without lowering balances, so what came back is all that changed.
    assert after - before == AST // 5_000
    assert await hot_float(venue) == float_before
    assert await venue.ledger_sum() == 0
    answer = await cancel(venue, withdrawal)
    assert isinstance(answer, Withdrawal)
    assert answer.state == "voided"


@pytest.mark.nightly  # that the customer has it back stays
async def test_an_operator_has_it_paid_to_another_address_under_a_new_number(venue: Venue) -> None:
    """The old number is burnt first, so that the old destination can never be paid as well."""
    withdrawal = await hold_one(venue)
    old = await venue.owner.fetchval("select seq from withdrawals where id = $1", withdrawal)
    open_ = "0x" + "0a" * 20
    async with connected(venue.database.operator) as operator:
        (found,) = await held(operator)
        assert (found.id, found.held_because, found.resolution) == (withdrawal, "refused", None)
        with pytest.raises(UsageError, match="needs who made it"):
            await decide(operator, withdrawal, "void", actor="kim", justification=" ")
        with pytest.raises(UsageError, match="cannot be paid instead"):
            await decide(
                operator, withdrawal, "void", actor="kim", justification="x", destination=open_
            )
        await decide(
            operator,
            withdrawal,
            "pay",
            actor="kim",
            justification="the customer has named another address",
            destination=open_,
        )
    assert await cancel(venue, withdrawal) != await cancel(venue, uuid.uuid4())
    await venue.until("select state = 'posted' from withdrawals where id = $1", withdrawal)

    assert await states(venue) == {"posted": 4}
    assert await venue.owner.fetchval("select seq from withdrawals where id = $1", withdrawal) > old
    assert int(await call(venue, "eth_getBalance", open_, "latest"), 16) == AST // 5_000
    assert await venue.owner.fetchval("select state from resolutions") == "cancelled"
    assert await venue.ledger_sum() == 0
    async with connected(venue.database.operator) as operator:
        with pytest.raises(UsageError, match="is not held, it is posted"):
            await decide(operator, withdrawal, "void", actor="kim", justification="again")


async def test_a_paused_token_drains_nothing_and_everything_is_paid_when_it_works_again(
    venue: Venue,
) -> None:
    """Withdrawals keep their places and may be cancelled; another asset goes on being paid."""
    await pause_token(venue, paused=True)
    await venue.reserve([Wanted(network="aster", asset="USDX", amount=USDX)] * 250)
    await venue.until("select exists (select 1 from asset_pauses)")
    await venue.until("select count(*) = 250 from withdrawals where state = 'reserved'")
    await venue.reserve([Wanted(network="aster", asset="USDX", amount=USDX)] * 2)
    await venue.reserve([Wanted(network="aster", asset="AST", amount=AST // 10_000)] * 5)
    await venue.until("select count(*) = 5 from withdrawals where state = 'posted'")
    assert await states(venue) == {"reserved": 252, "posted": 5}
    # Nothing of it is tried meanwhile: a node is asked whether it moves, which costs no gas.
    slots = await venue.owner.fetchval("select count(*) from slots")
    await asyncio.sleep(3)
    assert await venue.owner.fetchval("select count(*) from slots") == slots
    # What was never tried is given back at once, and what was only once its number is used up.
    ids = [
        row["id"]
        for row in await venue.owner.fetch(
            "select id from withdrawals where asset = 'USDX' order by seq"
        )
    ]
    for withdrawal, state in ((ids[-1], "voided"), (ids[0], "unknown")):
        answer = await cancel(venue, withdrawal)
        assert isinstance(answer, Withdrawal)
        assert answer.state == state
    await venue.until("select count(*) = 2 from withdrawals where state = 'voided'")

    waited_since = await venue.owner.fetchval("select max(queued_at) from withdrawals")
    await pause_token(venue, paused=False)
    await venue.until("select not exists (select 1 from asset_pauses)")
    oldest = "select min(queued_at) from withdrawals where asset = 'USDX' and state <> 'voided'"
    assert await venue.owner.fetchval(oldest) > waited_since
    await venue.until("select count(*) = 255 from withdrawals where state = 'posted'", within_s=60)
    assert await venue.owner.fetchval("select count(*) from asset_pauses") == 0
    assert await venue.ledger_sum() == 0


@pytest.mark.nightly  # a paused token stays
async def test_an_issuer_of_a_deployment_file_pauses_its_token_and_lets_it_go_on(
    venue: Venue, tmp_path: Path
) -> None:
    """The fault as a drill has it, and its undo as a lease has it; each is seen by its observer."""
    site = venue.config.networks["aster"]
    network = {
        "chain_id": site.chain_id,
        "node": site.rpc.primary,
        "issuer": address_of_private_key(to_bytes(DEPLOYER)),
        "payouts": {
            "contracts": site.payout_contracts,
            "wallets": {},
            "tokens": site.tokens,
            "signers": dict.fromkeys(site.payout_contracts, CLOSED),
        },
    }
    fault = make_fault(
        "asset-paused",
        target="asset.aster.USDX",
        parameters={},
        deployment=make_deployment(tmp_path, networks={"aster": network}),
        blast_radius=("asset.aster.USDX",),
    )

    async def observed(state: str) -> None:
        async with asyncio.timeout(HANGS_AFTER_S):
            # a node is polled
            while (await asyncio.to_thread(fault.observe)).state != state:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    await observed("clear")
    await asyncio.to_thread(fault.apply)
    await observed("effective")
    for _ in range(2):
        await asyncio.to_thread(fault.revert, within_ms=5_000)
        await observed("clear")
    without = {"aster": {key: value for key, value in network.items() if key != "issuer"}}
    for target, networks, said in (
        ("asset.aster.USDX", without, "names no issuer on aster"),
        ("asset.birch.USDX", {"aster": network}, "names no token of USDX on birch"),
    ):
        with pytest.raises(UsageError, match=said):
            make_fault(
                "asset-paused",
                target=target,
                parameters={},
                deployment=make_deployment(tmp_path, networks=networks),
                blast_radius=(target,),
            )


@pytest.mark.nightly
async def test_a_bad_destination_alone_is_held_at_once_and_pauses_nobody(venue: Venue) -> None:
    """Nobody else was paid in its transaction, in coins or in a token that works."""
    blocked = "0x" + "bb" * 20
    await venue.reserve(
        [
            Wanted(network="aster", asset="AST", amount=AST // 5_000, destination=CLOSED),
            Wanted(network="aster", asset="USDX", amount=USDX, destination=blocked),
        ]
    )
    await venue.until("select count(*) = 0 from withdrawals where state = 'reserved'")
    await venue.all_posted()
    assert await states(venue) == {"unknown": 1, "posted": 1}
    await call(venue, "anvil_setCode", venue.config.networks["aster"].tokens["USDX"], PICKY)
    await venue.reserve([Wanted(network="aster", asset="USDX", amount=USDX, destination=blocked)])
    await venue.until("select count(*) = 2 from withdrawals where state = 'unknown'")
    assert await venue.owner.fetchval("select count(*) from asset_pauses") == 0


@pytest.mark.nightly  # that a paused token keeps nobody waiting stays
async def test_a_payment_above_the_cap_is_never_tried_and_keeps_nobody_waiting(
    venue: Venue,
) -> None:
    """No window of the signer lets it through; its customer can have it back at once."""
    hot, site = "customer-aster-hot", venue.config.networks["aster"]
    await sent(
        venue,
        **{"from": address_of_private_key(to_bytes(DEPLOYER))},
        to=site.tokens["USDX"],
        data="0x" + mint(site.payout_contracts[hot], 10_000_000 * USDX).hex(),
    )
    await venue.owner.execute(
        "update floats set available = available + $1 where (wallet, asset) = ($2, 'USDX')",
        *(10_000_000 * USDX, hot),
    )
    await venue.reserve(
        [
            Wanted(network="aster", asset="USDX", amount=9_000_000 * USDX, size="large"),
            *[Wanted(network="aster", asset="USDX", amount=USDX)] * 5,
        ]
    )
    await venue.until("select count(*) = 5 from withdrawals where state = 'posted'")
    row = await venue.owner.fetchrow("select id, state from withdrawals where size = 'large'")
    assert row is not None
    assert row["state"] == "reserved"
    assert await venue.owner.fetchval("select count(*) from attempts") == 5
    await cancel(venue, row["id"])
    assert await states(venue) == {"posted": 5, "voided": 1}
    assert await venue.ledger_sum() == 0


@pytest.mark.nightly
async def test_the_treasury_shows_what_is_held_what_rests_and_what_gas_is_left(
    venue: Venue,
) -> None:
    """Nobody has decided; then somebody has. And the key of a lane has no gas money left."""
    withdrawal = await hold_one(venue)
    assert await venue.stop(venue.settlers[0]) == 0  # it would let the asset go on at once
    aster = {"network": "aster"}
    key = venue.config.signers[venue.policy.regions.primary].keys["customer-aster-hot"].address
    async with venue_process("treasury", venue.config_path, venue.database):
        await venue.until_served(1.0, metrics.HELD, **aster, asset="AST")
        await venue.until_served(0.0, metrics.ASSET_RESTS, **aster, asset="AST")
        hot = aster | {"wallet": "customer-aster-hot"}
        assert (await venue.served(metrics.GAS_LEFT, **hot) or 0.0) > GAS_LEFT_MIN
        await venue.owner.execute(
            "insert into asset_pauses (network, asset) values ('aster', 'USDX')"
        )
        await venue.until_served(1.0, metrics.ASSET_RESTS, **aster, asset="USDX")
        await venue.settler("aster")
        await venue.until_served(0.0, metrics.ASSET_RESTS, **aster, asset="USDX")  # it does move
        await cancel(venue, withdrawal)
        await venue.until_served(0.0, metrics.HELD, **aster, asset="AST")
        await call(venue, "anvil_setBalance", key, "0x1")
        await venue.until_served(0.0, metrics.GAS_LEFT, **hot)


async def test_nothing_leads_out_of_unknown_but_a_number_that_is_used_up(venue: Venue) -> None:
    """Not the settler's rights, not an open decision, and a customer may only have it back."""
    venue.heartbeat.silent = False
    withdrawal = await hold_one(venue)
    await venue.stop(venue.settlers[0])
    seq = await venue.owner.fetchval("select seq from withdrawals where id = $1", withdrawal)
    insert = """insert into resolutions (withdrawal_id, seq, decision, actor, justification)
                values ($1, $2, $3, $4, 'x')"""
    async with connected(venue.database.api) as api:
        for decision, actor in (("pay", "customer"), ("void", "kim")):
            with pytest.raises(asyncpg.RaiseError, match="may only have back"):
                await api.execute(insert, withdrawal, seq, decision, actor)
    async with connected(venue.database.operator) as operator:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await operator.execute(
                "insert into resolutions (withdrawal_id, seq, decision, actor, justification,"
                " state) values ($1, $2, 'void', 'kim', 'x', 'cancelled')",
                *(withdrawal, seq),
            )
        own = venue.config.networks["aster"].payout_contracts["customer-aster-hot"]
        with pytest.raises(UsageError, match="or the venue's own"):
            await decide(
                operator, withdrawal, "pay", actor="kim", justification="x", destination=own
            )
        with pytest.raises(asyncpg.RaiseError, match="is not held under number"):
            await operator.execute(insert, withdrawal, seq + 1, "void", "kim")
        await operator.execute(insert, withdrawal, seq, "void", "kim")
        with pytest.raises(asyncpg.UniqueViolationError):
            await operator.execute(insert, withdrawal, seq, "pay", "kim")
    async with connected(venue.database.settler) as settler:
        with pytest.raises(asyncpg.RaiseError, match="nothing on record leads from unknown"):
            await settler.fetchval("select give_back_held(array[$1::uuid], '{x}')", withdrawal)
        for state in ("reserved", "posted"):
            with pytest.raises(asyncpg.RaiseError, match="nothing on record leads from unknown"):
                await settler.execute(
                    """update withdrawals set state = $2, held_because = null,
                       slot_id = case $2 when 'reserved' then null else slot_id end
                       where id = $1""",
                    withdrawal,
                    state,
                )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await settler.execute("update balances set available = available + 1")


@pytest.mark.nightly  # the simulation does it in every campaign
async def test_a_settler_that_dies_while_it_cancels_leaves_nothing_undone(venue: Venue) -> None:
    """Its successor continues from the slot; the number is burnt once and the money given back."""
    withdrawal = await hold_one(venue)
    await cancel(venue, withdrawal)
    await venue.until("select exists (select 1 from resolutions where state = 'slotted')")
    venue.settlers[0].kill()
    await asyncio.wait_for(venue.settlers[0].wait(), timeout=10)
    await venue.settler("aster")
    await venue.until("select state = 'voided' from withdrawals where id = $1", withdrawal)
    assert await venue.owner.fetchval("select count(*) from slots where purpose = 'cancel'") == 1
    assert await venue.ledger_sum() == 0
