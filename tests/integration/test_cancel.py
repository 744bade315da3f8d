"""Claims and cancellations of the same withdrawals, interleaved step by step.

Exactly one of them has each.
"""

from __future__ import annotations

import asyncio
import csv
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import asyncpg
import pytest

from adapters.reference_venue.records import export_records
from seawall.controls.steady import SteadyClock
from seawall.formats.drill_contract import Refusal, Withdrawal, WithdrawalReceipt, WithdrawalRequest
from seawall.policy import MICRO
from tests.testing.venue_harness import HANGS_AFTER_S, Founded, connected, heartbeat
from venue.api import metrics
from venue.api.directory import Directory
from venue.api.intake import Reservation, reservation_of
from venue.api.reservations import cancel_withdrawal, commit_batch
from venue.database import Connection, Pool, open_pool
from venue.mode_controller.sampler import Sampler
from venue.settler.claims import Claims
from venue.settler.lanes import Lane, Lanes
from venue.settler.settle import lanes_of

pytestmark = pytest.mark.integration

_BOOKS_DIFFER = """
    select exists (select 1 from balances b where available <> (select -coalesce(sum(amount), 0)
    from entries e where e.account_id = b.account_id))
        or exists (select 1 from entries e join accounts a on a.id = e.account_id
        group by a.network, a.asset having sum(e.amount) <> 0)"""
_RESERVED = """
    select coalesce(-sum(e.amount), 0) = (select coalesce(sum(amount), 0) from withdrawals
    where state in ('reserved', 'slotted'))
    from entries e join accounts a on a.id = e.account_id where a.kind = 'reserved'"""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Intake, cancellation and claims of one network, in this process and under their own roles."""

    founded: Founded
    owner: Connection
    api: Pool
    directory: Directory
    claims: Claims
    lane: Lane

    async def reserve(self, count: int) -> list[uuid.UUID]:
        """Small withdrawals of customer 1, by the real intake."""
        asks: list[Reservation] = []
        for _ in range(count):
            request = WithdrawalRequest(
                id=uuid.uuid4(),
                network="aster",
                asset="USDX",
                amount="1000000",
                destination="0x" + "ab" * 20,
            )
            ask = await reservation_of(self.founded.policy, self.directory, frozenset(), 1, request)
            assert isinstance(ask, Reservation)
            asks.append(ask)
        async with self.api.acquire() as connection:
            answers = await commit_batch(connection, self.founded.policy, asks, clock=SteadyClock())
        assert all(isinstance(answer, WithdrawalReceipt) for answer in answers)
        return [ask.id for ask in asks]

    async def cancel(self, withdrawal: uuid.UUID) -> Withdrawal | Refusal:
        """As the api does."""
        async with self.api.acquire() as connection:
            return await cancel_withdrawal(connection, self.founded.policy, 1, withdrawal)

    async def state(self, withdrawal: uuid.UUID) -> str:
        """Its committed state."""
        return str(
            await self.owner.fetchval("select state from withdrawals where id = $1", withdrawal)
        )

    async def somebody_waits(self) -> None:
        """Until a transaction of this database waits for a lock."""
        query = """select exists (select 1 from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock')"""
        async with asyncio.timeout(HANGS_AFTER_S):
            while not await self.owner.fetchval(query):  # noqa: ASYNC110  (another server process)
                await asyncio.sleep(0.002)

    async def books_are_level(self) -> bool:
        """Balances follow from entries, entries sum to zero, and what is open is reserved."""
        return not await self.owner.fetchval(_BOOKS_DIFFER) and bool(
            await self.owner.fetchval(_RESERVED)
        )


@pytest.fixture
async def bench(founded: Founded) -> AsyncIterator[Bench]:
    """A founded venue whose mode controller is alive."""
    config, policy = founded.config, founded.policy
    async with connected(founded.database.owner) as owner, heartbeat(founded.database.owner):
        api = await open_pool(founded.database.api, name="api", size=6)
        settler = await open_pool(founded.database.settler, name="settler", size=2)
        directory = Directory(policy, api)
        await directory.load()
        lanes = lanes_of(config, policy, "aster")
        await Lanes(pool=settler, holder="test", lanes=lanes).take()
        claims = Claims(
            pool=settler,
            policy=policy,
            network="aster",
            holder="test",
            tokens=config.networks["aster"].tokens,
            contracts={lane.wallet: lane.contract for lane in lanes},
        )
        lane = next(lane for lane in lanes if lane.purpose == "payout")
        yield Bench(
            founded=founded, owner=owner, api=api, directory=directory, claims=claims, lane=lane
        )
        api.terminate()
        settler.terminate()


@asynccontextmanager
async def _held(bench: Bench, statement: str) -> AsyncIterator[None]:
    """What ``statement`` locks is locked by a third party for the length of the block."""
    async with connected(bench.founded.database.owner) as third, third.transaction():
        await third.execute(statement)
        yield


async def test_a_claim_passes_a_withdrawal_that_is_being_cancelled(bench: Bench) -> None:
    """The cancellation holds its row and has not committed.

    The claim takes the other one and leaves this one alone.
    """
    cancelled, other = await bench.reserve(2)
    async with _held(bench, "select 1 from balances for update"):
        cancelling = asyncio.create_task(bench.cancel(cancelled))
        await bench.somebody_waits()
        slot = await bench.claims.claim_payouts(bench.lane, base_fee_wei=1)
        assert not cancelling.done()
    answer = await cancelling
    assert isinstance(answer, Withdrawal)
    assert answer.state == "voided"
    assert slot is not None
    assert slot.items == 1
    assert (await bench.state(cancelled), await bench.state(other)) == ("voided", "slotted")
    assert await bench.claims.claim_payouts(bench.lane, base_fee_wei=1) is None
    assert await bench.books_are_level()


async def test_a_cancellation_that_meets_a_claim_waits_and_is_too_late(bench: Bench) -> None:
    """The claim holds the row and has not committed.

    The customer gets the state that was committed.
    """
    (withdrawal,) = await bench.reserve(1)
    async with _held(bench, "lock table slot_events in exclusive mode"):
        claiming = asyncio.create_task(bench.claims.claim_payouts(bench.lane, base_fee_wei=1))
        await bench.somebody_waits()
        cancelling = asyncio.create_task(bench.cancel(withdrawal))
        done, _ = await asyncio.wait([cancelling], timeout=0.2)
        assert not done
    assert await claiming is not None
    for answer in (await cancelling, await bench.cancel(withdrawal)):
        assert isinstance(answer, Refusal)
        assert answer.code == "too_late"
    assert await bench.state(withdrawal) == "slotted"
    assert await bench.books_are_level()


async def test_each_of_many_is_either_claimed_or_cancelled(bench: Bench) -> None:
    """Side by side, in no fixed order: each answer is what was committed, and the books balance."""
    withdrawals = await bench.reserve(120)
    cancelling = [asyncio.create_task(bench.cancel(withdrawal)) for withdrawal in withdrawals]
    # any forty answers
    while sum(task.done() for task in cancelling) < 40:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    slot = await bench.claims.claim_payouts(bench.lane, base_fee_wei=1)
    answers = await asyncio.gather(*cancelling)
    told = ["voided" if isinstance(answer, Withdrawal) else answer.code for answer in answers]
    states = [await bench.state(withdrawal) for withdrawal in withdrawals]
    assert {"voided": "voided", "slotted": "too_late"}.keys() == set(states)
    assert told == [{"voided": "voided", "slotted": "too_late"}[state] for state in states]
    assert slot is not None
    assert slot.items == states.count("slotted")
    assert await bench.books_are_level()


async def test_what_is_cancelled_leaves_the_drawdown_velocity(bench: Bench) -> None:
    """The mode controller's sample counts what is still reserved; so do the alert's metrics."""
    voided = metrics.VOIDED_VALUE.labels("aster", "USDX", "small")
    before = voided._value.get()
    cancelled, kept, also = await bench.reserve(3)
    async with connected(bench.founded.database.mode_controller) as connection:
        sampler = Sampler(bench.founded.policy, connection, SteadyClock())
        await sampler.start()
        one = Fraction(MICRO, bench.founded.policy.hot_target_value_micro())
        assert (await sampler.sample()).levels["drawdown_velocity"] == 3 * one
        assert isinstance(await bench.cancel(cancelled), Withdrawal)
        assert (await sampler.sample()).levels["drawdown_velocity"] == 2 * one
        for withdrawal in (cancelled, also, kept):
            assert isinstance(await bench.cancel(withdrawal), Withdrawal)
        assert (await sampler.sample()).levels["drawdown_velocity"] == 0
        later = Sampler(bench.founded.policy, connection, SteadyClock())
        await later.start()
        assert (await later.sample()).levels["drawdown_velocity"] == 0
    assert voided._value.get() - before == 3 * MICRO


async def test_the_records_say_which_reservation_was_taken_back(
    bench: Bench, tmp_path: Path
) -> None:
    """The judge computes the drawdown velocity from them, with the same code."""
    (first,) = await bench.reserve(1)
    await bench.reserve(1)
    await bench.cancel(first)
    database = bench.founded.database
    await export_records(database.auditor, database.sign_log.auditor, into=tmp_path / "records")
    with (tmp_path / "records" / "flow.csv").open(encoding="utf-8", newline="") as file:
        reserved, kept, voided = csv.DictReader(file)
    assert [row["kind"] for row in (reserved, kept, voided)] == ["reserved", "reserved", "voided"]
    assert [reserved["reserved_at"], kept["reserved_at"]] == ["", ""]
    assert Decimal(voided["reserved_at"]) == Decimal(reserved["committed_at"])


async def test_the_api_may_do_nothing_else_to_a_withdrawal(bench: Bench) -> None:
    """Its right to cancel moves no withdrawal forward, and none that the chain may pay."""
    (withdrawal,) = await bench.reserve(1)
    with pytest.raises(asyncpg.RaiseError, match="was never tried"):
        await bench.api.execute(
            "update withdrawals set state = 'unknown', reason = 'x' where id = $1", withdrawal
        )
    await bench.claims.claim_payouts(bench.lane, base_fee_wei=1)
    for part, state in (("api", "voided"), ("settler", "voided"), ("api", "posted")):
        async with connected(getattr(bench.founded.database, part)) as connection:
            with pytest.raises(
                asyncpg.RaiseError, match=f"from slotted to {state} as role seawall_{part}"
            ):
                await connection.execute(
                    "update withdrawals set state = $2 where id = $1", withdrawal, state
                )
