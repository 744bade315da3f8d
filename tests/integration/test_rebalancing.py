"""Rebalancing on two real chains: asked for, signed, carried, verified, and posted once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import asyncpg
import pytest

from seawall.formats.journal import chain_breaks
from seawall.scorecard.outcome import Outcome
from tests.integration.test_reconcile import reconciled
from tests.testing.rebalancing_harness import MOVED, POOR, RICH, RebalancingVenue, rebalancing_bench
from tests.testing.venue_harness import connected
from venue import crash_points
from venue.crash_points import Moment, RebalanceStep
from venue.ledger.chart import books
from venue.treasury.metrics import (
    IN_TRANSIT,
    REBALANCE_AGE,
    REBALANCE_BLOCKED,
    REBALANCE_HELD,
    REBALANCE_REFUSED,
    expose_rebalances,
)
from venue.treasury.reconcile import compare
from venue.treasury.surplus import book_surpluses

pytestmark = pytest.mark.integration
_CHECKS = ("congestion", "custody", "oracle", "mode", "books")


@pytest.fixture
async def bench(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[RebalancingVenue]:
    """A venue and the terms of its carrier; each process runs when a test says so."""
    async with rebalancing_bench(database_url, tmp_path, start_anvil) as found:
        yield found


def unhealthy() -> list[str]:
    """The checks that keep it from going on, by the gauge."""
    return [each for each in _CHECKS if REBALANCE_BLOCKED.labels("USDX", each)._value.get() == 1]


async def gauges(bench: RebalancingVenue) -> tuple[bool, float, float, float]:
    """Whether one is under way, how many are held, whether one was refused, what is in transit."""
    async with connected(bench.venue.database.treasury) as connection:
        await expose_rebalances(connection, bench.venue.policy)
    return (
        REBALANCE_AGE.labels("USDX")._value.get() > 0,
        REBALANCE_HELD.labels("USDX")._value.get(),
        REBALANCE_REFUSED.labels("USDX")._value.get(),
        IN_TRANSIT.labels("USDX")._value.get(),
    )


async def test_a_surplus_fills_what_another_network_lacks(bench: RebalancingVenue) -> None:
    """Nothing leaves before approvers and carrier have agreed; all of it is posted once."""
    await bench.turn()
    assert await bench.rows() == []
    await bench.unbalance()
    async with bench.carrier():
        for _ in range(2):
            await bench.turn()
        [row] = await bench.rows()
        assert (row["state"], row["from_wallet"], row["to_wallet"]) == ("requested", RICH, POOR)
        assert row["amount"] == MOVED
        assert await bench.sign() == [False, True]
        await bench.venue.settler("aster")
        await bench.cooled()
        row = await bench.turns_until("released")
        assert await gauges(bench) == (True, 0, 0, 0)
        row = await bench.turns_until("released", left=True)
        assert await bench.in_transit() == {"aster": MOVED, "birch": 0}
        assert (await gauges(bench))[3] == MOVED
        assert await bench.broken() == []
        row = await bench.turns_until("arrived")
    receipt = await bench.rpcs["birch"].receipt(row["tx_hash"])
    assert receipt is not None
    assert receipt.block_number == row["block_number"]
    assert await bench.in_transit() == {"aster": MOVED, "birch": -MOVED}
    assert await gauges(bench) == (False, 0, 0, 0)
    for network in ("aster", "birch"):
        found = await bench.compared(network)
        assert set(found.differences.values()) == {0}
    assert await bench.venue.owner.fetchval("select count(*) from surpluses") == 0
    assert await bench.venue.ledger_sum() == 0
    kinds = [kind for kind, _ in await bench.journal()]
    assert kinds == ["rebalance", "rebalance released"]
    journal = await bench.venue.owner.fetch("select * from journal order by writer, n")
    assert chain_breaks([dict(each) for each in journal]) == []


@pytest.mark.nightly  # the cold transfer is explained always
async def test_seawall_reconcile_explains_each_base_unit_in_transit(
    bench: RebalancingVenue, tmp_path: Path
) -> None:
    """While the carrier is paused with the money, and when it has come; a lost carrier included."""

    async def stages() -> dict[str, int]:
        found = await reconciled(bench.venue, tmp_path)
        assert found.contradictions.each == []
        lines = {each.name: each for each in found.comparisons}
        for name in ("top_ups", "approvals", "postings"):
            assert lines[name].outcome is Outcome.PASS, lines[name]
        assert {each.difference for each in found.wallets} == {0}
        assert {each.difference for each in found.assets} == {0}
        return {stage: total.amount for stage, total in found.top_ups["birch", "USDX"].items()}

    async with bench.carrier():
        await bench.approved()
        await bench.leaving()
        await bench.become("paused", "an audit")
        await bench.turns_until("released", left=True)
        assert await stages() == {"in_transit": MOVED}
        # What comes to its reserve meanwhile may be it, so it is nobody else's.
        await bench.turn()
        assert unhealthy() == ["custody"]
        assert ("rebalance blocked", "custody is red: paused: an audit") in await bench.journal()
    async with bench.carrier():  # it was killed, and has its records
        await bench.become("normal")
        await bench.turns_until("arrived")
    assert unhealthy() == []
    assert await stages() == {"arrived": MOVED}


@pytest.mark.nightly  # the decision is a unit test
async def test_nothing_leaves_while_a_check_is_red_or_unknown(bench: RebalancingVenue) -> None:
    """Each by itself; the reason is on record, and what was let go is stopped at once."""
    async with bench.carrier():
        await bench.approved()
        owner = bench.venue.owner

        async def stopped(check: str) -> None:
            await bench.turn()
            [row] = await bench.rows()
            assert row["state"] == "requested"
            assert unhealthy() == [check]
            kind, why = (await bench.journal())[-1]
            assert kind == "rebalance blocked"
            assert why.startswith(f"{check} is ")

        await bench.become("incident", "a lost device")
        await stopped("custody")
        await bench.become("normal")
        bench.prices.price = Fraction(1_000)
        await stopped("oracle")
        bench.prices.dark = True
        await stopped("oracle")
        bench.prices.price, bench.prices.dark = Fraction(2_000), False
        await bench.venue.set_mode("stressed")
        await stopped("mode")
        await bench.venue.set_mode("normal")
        await bench.rpcs["birch"].call("anvil_setNextBlockBaseFeePerGas", hex(200 * 10**9))
        await bench.rpcs["birch"].call("anvil_mine", hex(1))
        await stopped("congestion")
        await bench.rpcs["birch"].call("anvil_mine", hex(40))
        for lacking in ({RICH: None}, {POOR: 1}):
            await bench.turn(lacking=lacking)
            assert unhealthy() == ["books"]
        assert await bench.left() is False

        # Let go, and red before a settler has claimed it: it does not leave.
        await bench.settlers_stop()
        await bench.turns_until("released")
        assert await owner.fetchval("select go_until > clock_timestamp() from rebalances")
        await bench.become("paused", "an audit")
        await bench.turn()
        assert not await owner.fetchval("select go_until > clock_timestamp() from rebalances")
        await bench.venue.settler("aster")
        for _ in range(3):
            await bench.turn()
        claimed = "select exists (select 1 from approval_calls where call = 'execute')"
        assert not await owner.fetchval(claimed)
        async with connected(bench.venue.database.settler) as settler:
            with pytest.raises(asyncpg.RaiseError, match="may not leave now"):
                await settler.execute(
                    """insert into approval_calls (slot_id, request_id, call)
                       select max(s.id), b.id, 'execute' from slots s, rebalances b group by b.id"""
                )
        await bench.become("normal")
        await bench.turns_until("arrived")
    assert await bench.in_transit() == {"aster": MOVED, "birch": -MOVED}


@pytest.mark.nightly
async def test_it_is_not_asked_for_while_a_check_is_red(bench: RebalancingVenue) -> None:
    await bench.unbalance()
    await bench.turn()  # no carrier answers
    assert await bench.rows() == []
    assert unhealthy() == ["custody"]
    assert [kind for kind, _ in await bench.journal()] == ["rebalance blocked"]
    async with bench.carrier():
        await bench.turn()
    assert [kind for kind, _ in await bench.journal()] == [
        *("rebalance blocked", "rebalance unblocked", "rebalance")
    ]


@pytest.mark.nightly  # of a cold transfer it is tried always
async def test_what_comes_otherwise_is_held_and_stays_in_transit(bench: RebalancingVenue) -> None:
    """One base unit is missing, as with a token that keeps a part. People lead out of it."""
    async with bench.carrier():
        await bench.approved()
        await bench.leaving()
        await bench.become("paused")
        await bench.turns_until("released", left=True)
    [row] = await bench.rows()
    await bench.pay_instead(row, MOVED - 1)
    await bench.turn()
    [row] = await bench.rows()
    assert row["state"] == "held"
    assert f"{MOVED - 1} base units of USDX came" in row["reason"]
    assert row["tx_hash"] is not None
    assert await gauges(bench) == (True, 1, 0, MOVED)
    assert await bench.in_transit() == {"aster": MOVED, "birch": 0}
    await bench.turn()
    assert len(await bench.rows()) == 1
    # It is in no account, and nobody else's either.
    compared = await bench.compared("birch")
    book = next(each for each in books(bench.venue.policy) if each.key == ("birch", "customer"))
    async with connected(bench.venue.database.treasury) as treasury:
        assert await book_surpluses(treasury, book, compared.cut) == {}
        with pytest.raises(asyncpg.RaiseError, match="held until people have looked"):
            await treasury.execute("update rebalances set state = 'resolved'")
        await bench.venue.owner.execute("update rebalances set state = 'resolved'")
        booked = await book_surpluses(treasury, book, compared.cut)
        assert booked == {(POOR, "USDX"): MOVED - 1}
        found = await compare(treasury, book, compared.cut)
        assert set(found.differences.values()) == {0}
    assert await bench.venue.ledger_sum() == 0


@pytest.mark.nightly
async def test_a_veto_ends_what_has_not_left(bench: RebalancingVenue) -> None:
    """And what is over is not asked for again before the lead time has passed."""
    async with bench.carrier():
        await bench.approved()
        await bench.sign("incident-commander", act="veto")
        await bench.turns_until("refused")
        [row] = await bench.rows()
        assert "vetoed" in row["reason"]
        assert await gauges(bench) == (False, 0, 1, 0)
        await bench.turn()
        assert len(await bench.rows()) == 1
        await bench.venue.owner.execute(
            "update rebalances set ended_at = ended_at - interval '80 minutes'"
        )
        await bench.turn()
        assert [each["state"] for each in await bench.rows()] == ["refused", "requested"]


@pytest.mark.nightly
async def test_the_database_lets_nothing_leave_or_come_otherwise(bench: RebalancingVenue) -> None:
    """Whatever the treasury does: it asks for nothing else, and posts nothing that did not come."""
    async with bench.carrier():
        await bench.unbalance()
        await bench.turn()
    [row] = await bench.rows()
    copy = """
        insert into approval_requests
        select $1::uuid, 'transfer', network, from_wallet, to_wallet, from_bucket, to_bucket,
               $2::text, to_address, asset, token, amount, use, not_before, expires, $3::text,
               requester, needed, needed_for_review, digest
        from approval_requests limit 1"""
    async with connected(bench.venue.database.treasury) as treasury:
        with pytest.raises(asyncpg.RaiseError, match="does not ask for that"):
            await treasury.execute(copy, uuid4(), "hot", "kim")
        other = uuid4()
        await treasury.execute(copy, other, "in_transit", None)
        with pytest.raises(asyncpg.UniqueViolationError):
            await treasury.execute(
                """insert into rebalances (id, bucket, asset, from_network, from_wallet, to_network,
                                           to_wallet, destination, amount, since_block,
                                           justification)
                   select $1::uuid, bucket, asset, from_network, from_wallet, to_network, to_wallet,
                          destination, amount, since_block, justification from rebalances""",
                other,
            )
        for state in ("arrived", "resolved"):
            with pytest.raises(asyncpg.PostgresError):
                await treasury.execute("update rebalances set state = $1", state)
        with pytest.raises(asyncpg.RaiseError, match="is not what rebalance"):
            await treasury.execute(
                """with posted as (
                       insert into postings (kind, rebalance_id) values ('rebalance', $1)
                       returning id)
                   insert into entries (posting_id, account_id, amount)
                   select p.id, a.id, case a.kind when 'reserve' then b.amount else -b.amount end
                   from posted p join rebalances b on b.id = $1
                   join accounts a on (a.bucket, a.network, a.asset)
                                      = (b.bucket, b.to_network, b.asset)
                                  and a.kind in ('in_transit', 'reserve')""",
                row["id"],
            )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await treasury.execute("update rebalances set amount = 1")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await treasury.execute("insert into approvals values ($1, 'treasury', 'x')", row["id"])
    async with connected(bench.venue.database.operator) as operator:
        with pytest.raises(asyncpg.RaiseError, match="does not ask for that"):
            await operator.execute(copy, uuid4(), "in_transit", None)


class DiedError(BaseException):
    """The process is gone."""


POINTS = [(step, moment) for step in get_args(RebalanceStep) for moment in get_args(Moment)]


@pytest.mark.nightly
@pytest.mark.parametrize(("step", "moment"), POINTS)
async def test_a_treasury_that_dies_at_any_step_moves_it_once(
    bench: RebalancingVenue, step: RebalanceStep, moment: Moment
) -> None:
    """Whoever starts after it goes on from what is on record."""
    died: list[tuple[str, str]] = []

    def dies(at: Any, when: Moment) -> None:
        if (at, when) == (step, moment) and not died:
            died.append((at, when))
            raise DiedError

    async def turn() -> None:
        try:
            await bench.turn()
        except DiedError:
            bench.start()

    crash_points.install(dies)
    try:
        async with bench.carrier():
            ending = "refused" if step == "end a rebalance" else "arrived"
            await bench.approved(turn)
            if ending == "refused":
                await bench.sign("incident-commander", act="veto")
            await bench.turns_until(ending, turn=turn)
    finally:
        crash_points.install(None)
    assert died == [(step, moment)]
    assert await bench.broken(settled=True) == []
    moved = MOVED if ending == "arrived" else 0
    assert await bench.in_transit() == {"aster": moved, "birch": -moved}
    for network in ("aster", "birch"):
        assert set((await bench.compared(network)).differences.values()) == {0}
    kinds = [kind for kind, _ in await bench.journal()]
    assert kinds.count("rebalance") == 1
    assert kinds.count("rebalance released") == 1 or not moved
