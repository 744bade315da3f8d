"""Sweeps: what a hot wallet holds above its maximum goes back to its reserve, on real chains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.journal import chain_breaks
from tests.testing.settler_harness import Venue, Wanted, ask_sweep, overfill, venue_bench
from tests.testing.venue_harness import Founded, connected, heartbeat, venue_process
from venue.contracts.calls import is_sweep
from venue.database import Connection, Pool, open_pool
from venue.settler.claims import Claims
from venue.settler.lanes import Lane, Lanes, Slot
from venue.settler.settle import lanes_of
from venue.settler.topups import claim_sweep
from venue.treasury.sweeps import request_sweeps

pytestmark = pytest.mark.integration

AST, USDX = 10**18, 10**6
HOT, RESERVE = "customer-aster-hot", "customer-aster-reserve"
BASE_FEE_WEI = 10**9
_WAITS = """
    insert into withdrawals (id, customer_id, bucket, source_network, network, asset, amount,
        value_micro, size, destination, state)
    values (gen_random_uuid(), 1, 'customer', 'aster', 'aster', $1, $2, 1, 'large',
            '0x' || repeat('ab', 20), 'reserved')"""
_FLOAT = "select available from floats where (wallet, asset) = ($1, $2)"


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The claims of a settler that has taken the lanes of aster: first the one that pays."""

    founded: Founded
    owner: Connection
    treasury: Connection
    claims: Claims
    lanes: list[Lane]

    async def claim(self) -> Slot | None:
        """Claim a sweep."""
        return await claim_sweep(self.claims, self.lanes[0], base_fee_wei=BASE_FEE_WEI)

    async def ask(self, *stopped: tuple[str, str]) -> None:
        """A turn of the treasury."""
        await request_sweeps(self.treasury, self.founded.policy, stopped=stopped)

    async def hold(self, available: int) -> None:
        """Let the hot wallet hold so many whole USDX; its maximum is 840,000."""
        await self.owner.execute(
            "update floats set available = $2 where (wallet, asset) = ($1, 'USDX')",
            HOT,
            available * USDX,
        )

    async def holds(self) -> int:
        """What it may pay, in whole USDX."""
        return int(await self.owner.fetchval(_FLOAT, HOT, "USDX")) // USDX

    async def wait_for(self, amount: int, *, asset: str = "USDX") -> None:
        """Let customers wait for so many whole units, and for nothing else."""
        await self.owner.execute("delete from withdrawals")
        await self.owner.execute(_WAITS, asset, amount * (USDX if asset == "USDX" else AST))

    async def flip(self, tier: str) -> None:
        """As the mode controller does."""
        await self.owner.execute("update mode set epoch = epoch + 1, tier = $1", tier)

    async def sweeps(self) -> list[tuple[str, int]]:
        """State and whole USDX of each sweep, oldest first."""
        rows = await self.owner.fetch("select state, amount from topups order by n")
        return [(row["state"], int(row["amount"]) // USDX) for row in rows]


@pytest.fixture
async def desk(founded: Founded) -> AsyncIterator[Desk]:
    """A settler's surroundings without chains and signers."""
    site, policy = founded.config.networks["aster"], founded.policy
    lanes = lanes_of(founded.config, policy, "aster")
    pool: Pool = await open_pool(founded.database.settler, name="settler", size=2)
    claims = Claims(
        pool=pool,
        policy=policy,
        network="aster",
        holder="test",
        tokens=site.tokens,
        contracts={lane.wallet: lane.contract for lane in lanes},
    )
    async with (
        connected(founded.database.owner) as owner,
        connected(founded.database.treasury) as treasury,
        heartbeat(founded.database.owner),
    ):
        await Lanes(pool=pool, holder="test", lanes=lanes).take()
        yield Desk(founded=founded, owner=owner, treasury=treasury, claims=claims, lanes=lanes)
    pool.terminate()


@pytest.fixture
async def venue(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[Venue]:
    """Everything but settlers and treasury."""
    async with venue_bench(database_url, tmp_path, start_anvil) as bench:
        yield bench


async def test_money_from_outside_above_the_maximum_goes_back_to_the_reserve(venue: Venue) -> None:
    """In parts, until it is no more than 5 % above 420; ledger and chain agree about both wallets.

    210 AST were there, 300 came from a stranger, and a quarter of the signer's cap is 42.
    """
    await venue.send("aster", "AST", 300 * AST, to=HOT)
    async with venue_process("treasury", venue.config_path, venue.database):
        settler = await venue.settler("aster")
        await venue.until("select count(*) = 2 from topups where state = 'posted'")
        assert await venue.stop(settler) == 0
    rows = await venue.owner.fetch(
        "select from_wallet, to_wallet, amount, seq from topups order by n"
    )
    assert [(row["from_wallet"], row["to_wallet"], row["amount"]) for row in rows] == [
        (HOT, RESERVE, 42 * AST),
        (HOT, RESERVE, 42 * AST),
    ]
    assert all(is_sweep(row["seq"]) for row in rows)
    assert await venue.owner.fetchval(_FLOAT, HOT, "AST") == 426 * AST
    site = venue.config.networks["aster"]
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        assert await rpc.balance(site.payout_contracts[HOT]) == 426 * AST
        assert await rpc.balance(site.reserve_contracts[RESERVE]) == (1_260 + 84) * AST
    booked = await venue.owner.fetch(
        """select a.kind, sum(e.amount) as held
           from entries e join accounts a on a.id = e.account_id
           where (a.bucket, a.network, a.asset) = ('customer', 'aster', 'AST')
             and a.kind in ('hot', 'reserve', 'unidentified') group by a.kind"""
    )
    assert {row["kind"]: row["held"] for row in booked} == {
        "hot": 426 * AST,
        "reserve": (1_260 + 84) * AST,
        "unidentified": -300 * AST,
    }
    journal = [dict(row) for row in await venue.owner.fetch("select * from journal order by n")]
    assert [row["kind"] for row in journal] == ["surplus", "sweep", "sweep"]
    assert chain_breaks(journal) == []
    assert await venue.ledger_sum() == 0


@pytest.mark.nightly  # decisions about each case stay
async def test_a_queue_that_never_empties_keeps_no_money_hot(venue: Venue) -> None:
    """Somebody waits all the time: here for more than any window lets out."""
    large = (
        venue.policy.base_units("USDX", Decimal(336_000)) + 1
    )  # the signer's cap, and a base unit
    await venue.reserve([Wanted(network="aster", asset="USDX", amount=large, size="large")])
    await overfill(venue, "aster", "AST")
    await ask_sweep(venue, "aster", "AST")
    await venue.settler("aster")
    await venue.until("select exists (select 1 from topups where state = 'posted')")
    assert await venue.owner.fetchval("select state from withdrawals") == "reserved"


async def test_one_at_a_time_and_none_while_nothing_may_move_or_customers_will_take_it(
    desk: Desk,
) -> None:
    """Nor in another tier than normal: in a run it is soon paid out."""
    await desk.hold(900_000)
    await desk.ask(("aster", "USDX"))
    await desk.flip("stressed")
    await desk.ask()
    await desk.flip("normal")
    await desk.wait_for(20_000)
    await desk.ask()
    assert await desk.sweeps() == []

    await desk.owner.execute("delete from withdrawals")
    await desk.ask()
    await desk.ask()
    assert await desk.sweeps() == [("requested", 60_000)]
    assert await desk.holds() == 900_000  # until it is claimed


async def test_a_sweep_lowers_what_may_be_paid_and_is_no_customers_number(desk: Desk) -> None:
    await desk.hold(900_000)
    await desk.ask()
    slot = await desk.claim()
    assert slot is not None
    assert (slot.purpose, slot.to) == ("sweep", desk.lanes[0].contract)
    assert await desk.holds() == 840_000
    assert await desk.claim() is None
    await desk.ask()
    assert await desk.sweeps() == [("slotted", 60_000)]


@pytest.mark.parametrize("tier", ["stressed", "protected"])
async def test_a_flip_before_the_signature_keeps_the_money(desk: Desk, tier: str) -> None:
    """The nonce is used for nothing, and the sweep waits until the tier is normal again.

    Its number stays the same, so that the contract would not pay it twice.
    """
    await desk.hold(900_000)
    await desk.ask()
    slot = await desk.claim()
    assert slot is not None
    seq = await desk.owner.fetchval("select seq from topups")
    await desk.flip(tier)

    assert await desk.claims.admit_again(slot)

    assert slot.purpose == "cancel"
    assert (await desk.sweeps(), await desk.holds()) == ([("requested", 60_000)], 900_000)
    assert await desk.claim() is None
    await desk.flip("normal")
    assert await desk.claim() is not None
    assert await desk.owner.fetchval("select seq from topups") == seq


@pytest.mark.nightly  # a flip to another tier stays
async def test_a_flip_that_stays_normal_changes_nothing(desk: Desk) -> None:
    await desk.hold(900_000)
    await desk.ask()
    slot = await desk.claim()
    assert slot is not None
    await desk.flip("normal")

    assert await desk.claims.admit_again(slot)

    assert slot.purpose == "sweep"
    assert (await desk.sweeps(), await desk.holds()) == ([("slotted", 60_000)], 840_000)


async def test_what_was_paid_meanwhile_is_not_taken_from_the_maximum(desk: Desk) -> None:
    """The settler does not claim it, the treasury takes it back, and asks for what is left."""
    await desk.hold(1_000_000)
    await desk.ask()
    await desk.hold(900_000)
    assert await desk.claim() is None
    await desk.ask()
    await desk.ask()
    assert await desk.sweeps() == [("taken_back", 84_000), ("requested", 60_000)]
    kinds = await desk.owner.fetch("select kind from journal order by n")
    assert [row["kind"] for row in kinds] == ["sweep", "sweep taken back", "sweep"]


async def test_what_customers_wait_for_stays_and_the_rest_goes(desk: Desk) -> None:
    """A payout and the sweep fit beside each other; what waits for another asset is no matter."""
    await desk.hold(900_000)
    await desk.wait_for(10_000)
    await desk.ask()
    assert await desk.sweeps() == [("requested", 50_000)]
    await desk.wait_for(10_001)
    assert await desk.claim() is None
    await desk.wait_for(100, asset="AST")
    assert await desk.claim() is not None
    assert await desk.holds() == 850_000


async def test_what_customers_came_for_meanwhile_is_taken_back(desk: Desk) -> None:
    """Else a sweep that was asked for in a quiet moment would never fit beside them."""
    await desk.hold(920_000)
    await desk.ask()
    await desk.wait_for(20_000)
    await desk.ask()
    await desk.ask()
    assert await desk.sweeps() == [("taken_back", 80_000), ("requested", 60_000)]
    assert await desk.claim() is not None


@pytest.mark.nightly  # customers' room stays
async def test_what_no_window_lets_out_keeps_nothing_hot(desk: Desk) -> None:
    """It stays for its customer to cancel, and the wallet will never pay it."""
    await desk.hold(900_000)
    await desk.wait_for(336_001)
    await desk.ask()
    assert await desk.sweeps() == [("requested", 60_000)]
    assert await desk.claim() is not None


async def test_customers_have_the_room_of_the_caps_first(desk: Desk) -> None:
    """Of 336,000 in a window 84,000 are for the sweep, if no more than the rest is waited for."""
    await desk.hold(2_000_000)
    await desk.ask()
    assert await desk.sweeps() == [("requested", 84_000)]
    await desk.wait_for(252_001)
    assert await desk.claim() is None
    await desk.ask()  # a turn of the treasury takes it back, and the next one asks for less
    await desk.ask()
    assert await desk.sweeps() == [("taken_back", 84_000), ("requested", 83_999)]
    assert await desk.claim() is not None
    await desk.wait_for(336_000)
    await desk.ask()
    assert len(await desk.sweeps()) == 2


@pytest.mark.nightly  # money above the maximum stays
async def test_an_asset_that_rests_is_not_swept(desk: Desk) -> None:
    """Its issuer has paused it; or the last sweep of it moved nothing."""
    await desk.hold(900_000)
    await desk.ask()
    await desk.owner.execute("insert into asset_pauses (network, asset) values ('aster', 'USDX')")
    assert await desk.claim() is None
    await desk.owner.execute("delete from asset_pauses")
    hot = desk.lanes[0]
    hot.topped_up("USDX", moved=False, now_s=asyncio.get_running_loop().time())
    assert await desk.claim() is None
    hot.topped_up("USDX", moved=True, now_s=asyncio.get_running_loop().time())
    assert await desk.claim() is not None
