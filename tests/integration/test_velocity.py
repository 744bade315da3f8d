"""Claims and the signer's caps: no slot is claimed that the signer would refuse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from fractions import Fraction

import pytest

from seawall.policy import Policy
from tests.testing.venue_harness import Founded, connected, heartbeat
from venue.database import Connection, Pool, open_pool
from venue.settler.claims import Claims
from venue.settler.lanes import Lane, Lanes
from venue.settler.settle import lanes_of
from venue.settler.topups import claim_topup

pytestmark = pytest.mark.integration

USDX = 10**6
BASE_FEE_WEI = 10**9


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The claims of a settler that has taken the lanes of aster: first those that pay."""

    founded: Founded
    owner: Connection
    pool: Pool
    lanes: list[Lane]

    def claims(self, policy: Policy | None = None) -> Claims:
        """Claims of a settler that has just started, under ``policy``."""
        site = self.founded.config.networks["aster"]
        return Claims(
            pool=self.pool,
            policy=policy or self.founded.policy,
            network="aster",
            holder="test",
            tokens=site.tokens,
            contracts={lane.wallet: lane.contract for lane in self.lanes},
        )

    async def reserve(self, *amounts: int) -> None:
        """Withdrawals of whole USDX that wait."""
        await self.owner.execute(
            """insert into withdrawals (id, customer_id, bucket, source_network, network, asset,
                amount, value_micro, size, destination, state)
               select gen_random_uuid(), 1, 'customer', 'aster', 'aster', 'USDX',
                      amount * 1000000, 1, 'large', '0x' || repeat('ab', 20), 'reserved'
               from unnest($1::numeric[]) as amount""",
            list(amounts),
        )

    async def states(self) -> list[str]:
        """Of the withdrawals, in their order."""
        rows = await self.owner.fetch("select state from withdrawals order by seq")
        return [row["state"] for row in rows]


@pytest.fixture
async def desk(founded: Founded) -> AsyncIterator[Desk]:
    """A settler's surroundings without chains and signers."""
    lanes = lanes_of(founded.config, founded.policy, "aster")
    pool = await open_pool(founded.database.settler, name="settler", size=2)
    async with connected(founded.database.owner) as owner, heartbeat(founded.database.owner):
        await Lanes(pool=pool, holder="test", lanes=lanes).take()
        yield Desk(founded=founded, owner=owner, pool=pool, lanes=lanes)
    pool.terminate()


def lower(policy: Policy, share: str) -> Policy:
    """``policy`` with lower caps of the signer."""
    signer = policy.caps.signer.model_copy(update={"of_target": Fraction(share)})
    return policy.model_copy(update={"caps": policy.caps.model_copy(update={"signer": signer})})


async def test_claims_leave_no_more_to_be_signed_than_a_window_lets_through(desk: Desk) -> None:
    """The cap is 336,000 USDX; the wallet holds 420,000. A settler that starts knows of it."""
    hot = desk.lanes[0]
    claims = desk.claims()
    await desk.reserve(200_000, 100_000, 100_000)
    slot = await claims.claim_payouts(hot, base_fee_wei=BASE_FEE_WEI)
    assert slot is not None
    assert slot.items == 2
    assert await claims.claim_payouts(hot, base_fee_wei=BASE_FEE_WEI) is None
    after_restart = desk.claims()
    await after_restart.recall(hot)
    assert await after_restart.claim_payouts(hot, base_fee_wei=BASE_FEE_WEI) is None
    assert await desk.states() == ["slotted", "slotted", "reserved"]


async def test_what_fits_into_no_window_any_more_leaves_its_slot_and_waits(desk: Desk) -> None:
    """The caps were lowered between claim and signature: the nonce keeps what still fits."""
    hot = desk.lanes[0]
    await desk.reserve(50_000, 50_000)
    slot = await desk.claims().claim_payouts(hot, base_fee_wei=BASE_FEE_WEI)
    assert slot is not None
    floats = "select available from floats where (wallet, asset) = ($1, 'USDX')"
    before = await desk.owner.fetchval(floats, hot.wallet)

    assert await desk.claims(lower(desk.founded.policy, "0.2")).admit_again(slot)

    assert slot.items == 1
    assert await desk.states() == ["slotted", "reserved"]
    assert await desk.owner.fetchval(floats, hot.wallet) == before + 50_000 * USDX
    assert await desk.owner.fetchval("select digest from slots") == slot.intent.digest


async def test_a_top_up_that_fits_into_no_window_gives_its_nonce_back(desk: Desk) -> None:
    """And is not claimed again, so that no gas is burnt for it."""
    hot, reserve = desk.lanes
    await desk.owner.execute(
        """insert into topups (id, network, asset, from_wallet, to_wallet, amount, state,
            justification)
           values (gen_random_uuid(), 'aster', 'USDX', $1, $2, 840000000000, 'requested', 'test')
        """,
        reserve.wallet,
        hot.wallet,
    )
    slot = await claim_topup(desk.claims(), reserve, base_fee_wei=BASE_FEE_WEI)
    assert slot is not None
    # It may be signed already, so nobody takes it back.
    assert await desk.owner.fetchval("select take_back_topup(id) from topups") is None
    lowered = desk.claims(lower(desk.founded.policy, "0.2"))

    assert await lowered.admit_again(slot)

    assert slot.purpose == "cancel"
    assert await desk.owner.fetchval("select purpose from slots") == "cancel"
    assert await desk.owner.fetchval("select state from topups") == "requested"
    assert await claim_topup(lowered, reserve, base_fee_wei=BASE_FEE_WEI) is None
    assert await desk.owner.fetchval("select take_back_topup(id) from topups")
    assert await desk.owner.fetchval("select state from topups") == "taken_back"


async def test_a_top_up_that_moved_nothing_rests_and_another_asset_does_not(desk: Desk) -> None:
    """A token that its issuer has paused must not burn gas every few seconds."""
    hot, reserve = desk.lanes
    await desk.owner.execute(
        """insert into topups (id, network, asset, from_wallet, to_wallet, amount, state,
            justification)
           select gen_random_uuid(), 'aster', asset, $1, $2, 1000, 'requested', 'test'
           from unnest(array['USDX', 'AST']) as asset""",
        reserve.wallet,
        hot.wallet,
    )
    reserve.topped_up("USDX", moved=False, now_s=asyncio.get_running_loop().time())

    claims = desk.claims()
    assert await claim_topup(claims, reserve, base_fee_wei=BASE_FEE_WEI) is not None
    assert await claim_topup(claims, reserve, base_fee_wei=BASE_FEE_WEI) is None
    claimed = await desk.owner.fetch("select asset from topups where state = 'slotted'")
    assert [row["asset"] for row in claimed] == ["AST"]

    reserve.topped_up("USDX", moved=False, now_s=asyncio.get_running_loop().time() - 3_600)
    assert await claim_topup(claims, reserve, base_fee_wei=BASE_FEE_WEI) is not None
