"""What two people decide about an id at a provider reaches that id, and nothing that may yet move.

No worker runs and no provider speaks: what they would have written is written by the owner.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from tests.integration.test_rails_disputes import USDX, desk_of
from tests.testing.books import faults
from tests.testing.providers import ACCOUNT
from tests.testing.rails_harness import RailVenue, rail_venue
from tests.testing.venue_harness import connected
from venue.operator import access
from venue.rails.claims import record

_SAID = """
    insert into rail_lines (rail, side, n, client_id, withdrawal_id, attempt, state, asset, amount,
                            destination, unexplained, said_at)
    select 'fiat', $1::text, 1 + coalesce(max(n), 0), $2::uuid || '-' || $3::int, $2, $3, $4::text,
           case when $4 <> 'cancelled' then 'USDX' end,
           case when $4 <> 'cancelled' then $5::numeric end,
           case when $4 <> 'cancelled' then $6::text end, $7::boolean, clock_timestamp()
    from rail_lines where (rail, side) = ('fiat', $1)"""
_BECAME = "update rail_instructions set state = $2 where client_id = $1"
_DECIDE = "select done from decide_over_rail('fiat', 'primary', $1, 'void', $2, 'it says so')"
_MADE_UP = """
    insert into rail_decisions (rail, side, client_id, decision, operator, justification)
    values ('fiat', 'primary', $1, 'void', 'sam', 'it says so')"""
_GIVE_BACK = "select give_back_held(array[$1::uuid], array['closed'])"
_RESTORED = "insert into generations (generation, reason) values (1, 'test')"
_RELEASE = "update withdrawals set state = 'reserved', instruction_id = null where id = $1"


@pytest.fixture
async def venue(new_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[RailVenue]:
    async with rail_venue(new_database(), tmp_path) as made:
        yield made


async def _says(
    venue: RailVenue,
    withdrawal: UUID,
    state: str,
    *,
    attempt: int = 1,
    side: str = "primary",
    amount: int = USDX,
    unexplained: bool = True,
) -> None:
    """A line of the statement of ``side`` about an id of ``withdrawal`` is kept."""
    await venue.owner.execute(_SAID, side, withdrawal, attempt, state, amount, ACCOUNT, unexplained)


async def _instructed(venue: RailVenue, withdrawal: UUID, attempt: int, side: str) -> None:
    """It is instructed to the provider of ``side``."""
    asked = {"id": withdrawal, "asset": "USDX", "amount": USDX, "destination": ACCOUNT}
    async with venue.owner.transaction():
        await record(
            venue.owner, rail="fiat", side=side, withdrawal=asked, attempt=attempt, mode_epoch=1
        )


async def _moved_and_disputed(venue: RailVenue) -> UUID:
    """A withdrawal whose first id the primary gave up, and whose second is disputed."""
    [withdrawal] = await venue.asked(USDX)
    await _instructed(venue, withdrawal, 1, "primary")
    await _says(venue, withdrawal, "cancelled", unexplained=False)
    await venue.owner.execute(_BECAME, f"{withdrawal}-1", "cancelled")
    await venue.owner.execute(_RELEASE, withdrawal)
    await _instructed(venue, withdrawal, 2, "standby")
    await venue.owner.execute(_BECAME, f"{withdrawal}-2", "disputed")
    return withdrawal


@pytest.mark.parametrize("attempt", [1, 2])
async def test_a_decision_about_one_id_ends_no_other(venue: RailVenue, attempt: int) -> None:
    """The primary lists what it had given up, or an id that the standby was given."""
    withdrawal = await _moved_and_disputed(venue)
    await _says(venue, withdrawal, "accepted", attempt=attempt)
    about = f"{withdrawal}-{attempt}"
    async with desk_of(venue) as desk:
        for decision in ("paid", "void", "pay"):
            assert (await desk.decide(about, decision, by="kim")).status_code == 200
            refused = await desk.decide(about, decision, by="sam")
            assert refused.status_code == 422, refused.text
            assert "only be noted" in refused.json()["reason"]
            assert await venue.states() == {withdrawal: "instructed"}
        for by in ("kim", "sam"):
            assert (await desk.decide(about, "noted", by=by)).status_code == 200
        assert [each["client_id"] for each in await desk.open()] == [f"{withdrawal}-2"]
        for by in ("kim", "sam"):
            answer = await desk.decide(f"{withdrawal}-2", "paid", by=by, side="standby")
            assert answer.json()["done"] is (by == "sam"), answer.text
    assert await venue.states() == {withdrawal: "posted"}
    assert await faults(venue.owner) == []


async def test_nothing_is_decided_before_a_restored_ledger_is_open(venue: RailVenue) -> None:
    """What the lost one had sent under a later id is not used up yet; it can be noted meanwhile."""
    [withdrawal] = await venue.asked(USDX)
    await _says(venue, withdrawal, "accepted", amount=7)
    await venue.owner.execute(_RESTORED)
    about = f"{withdrawal}-1"
    async with desk_of(venue) as desk:
        for decision in ("paid", "void", "pay"):
            await desk.decide(about, decision, by="kim")
            refused = await desk.decide(about, decision, by="sam")
            assert refused.status_code == 422, refused.text
            assert "may yet be paid" in refused.json()["reason"]
        await desk.decide(about, "noted", by="kim")
        assert (await desk.decide(about, "noted", by="sam")).json()["done"] is True
    assert await venue.states() == {withdrawal: "reserved"}


@pytest.mark.parametrize("decision", ["void", "pay"])
@pytest.mark.parametrize(("side", "attempt"), [("standby", 1), ("primary", 2)])
@pytest.mark.nightly  # what comes back stays
async def test_a_withdrawal_moves_when_no_other_line_of_it_is_left(
    venue: RailVenue, decision: str, side: str, attempt: int
) -> None:
    """That one may be its payment: of the same id at the other provider, or of a later one."""
    [withdrawal] = await venue.asked(USDX)
    await _says(venue, withdrawal, "accepted", amount=7)
    await _says(venue, withdrawal, "accepted", side=side, attempt=attempt, amount=7)
    about, other = f"{withdrawal}-1", f"{withdrawal}-{attempt}"
    async with desk_of(venue) as desk:
        await desk.decide(about, decision, by="kim")
        refused = await desk.decide(about, decision, by="sam")
        assert refused.status_code == 422, refused.text
        assert "decide about its other lines first" in refused.json()["reason"]
        for by in ("kim", "sam"):
            assert (await desk.decide(other, "noted", by=by, side=side)).status_code == 200
        done = await desk.decide(about, decision, by="sam")
        assert done.json()["done"] is True, done.text
    after = "voided" if decision == "void" else "reserved"
    assert await venue.states() == {withdrawal: after}
    assert await faults(venue.owner) == []


async def test_what_comes_back_is_kept_while_another_line_may_be_its_payment(
    venue: RailVenue,
) -> None:
    """The standby returns the second id; the primary lists the first, which it had given up."""
    [withdrawal] = await venue.asked(USDX)
    await _instructed(venue, withdrawal, 1, "primary")
    await _says(venue, withdrawal, "cancelled", unexplained=False)
    await venue.owner.execute(_BECAME, f"{withdrawal}-1", "cancelled")
    await venue.owner.execute(_RELEASE, withdrawal)
    await _instructed(venue, withdrawal, 2, "standby")
    for state in ("accepted", "returned"):
        await _says(venue, withdrawal, state, attempt=2, side="standby", unexplained=False)
        await venue.owner.execute(_BECAME, f"{withdrawal}-2", state)
    await _says(venue, withdrawal, "accepted")
    with pytest.raises(asyncpg.RaiseError, match="a provider may have paid"):
        await venue.owner.fetchval(_GIVE_BACK, withdrawal)
    async with desk_of(venue) as desk:
        for by in ("kim", "sam"):
            await desk.decide(f"{withdrawal}-1", "noted", by=by)
    assert await venue.owner.fetchval(_GIVE_BACK, withdrawal) == 1


async def test_a_decision_of_before_is_not_confirmed(venue: RailVenue) -> None:
    """Not one from before the newest line, nor from before the last that took effect."""
    [withdrawal] = await venue.asked(USDX)
    await _instructed(venue, withdrawal, 1, "primary")
    await venue.owner.execute(_BECAME, f"{withdrawal}-1", "disputed")
    about = f"{withdrawal}-1"
    async with desk_of(venue) as desk:
        steps = [("void", "kim", False), ("noted", "kim", False), ("noted", "sam", True)]
        steps += [("void", "sam", False), ("line", "", False)]
        steps += [("void", "kim", False), ("void", "sam", True)]
        for decision, by, takes_effect in steps:
            if decision == "line":
                await _says(venue, withdrawal, "accepted", amount=7)
                continue
            answer = await desk.decide(about, decision, by=by)
            assert answer.json()["done"] is takes_effect, (decision, by, answer.text)
    assert await venue.states() == {withdrawal: "voided"}


@pytest.mark.nightly  # a decision of before stays
async def test_both_who_decide_may_decide_when_it_takes_effect(venue: RailVenue) -> None:
    """Not with one whose token was taken back since, or whose right; nor as one who may not."""
    [withdrawal] = await venue.asked(USDX)
    await _says(venue, withdrawal, "accepted", amount=7)
    about = f"{withdrawal}-1"
    async with desk_of(venue) as desk:
        await venue.owner.execute(
            "insert into operators (name, token_sha256, may)"
            " values ('ann', sha256('ann'), '{decide}'), ('ben', sha256('ben'), '{decide}')"
        )
        assert await venue.owner.fetchval(_DECIDE, about, "ann") is False
        await access.revoke(venue.owner, "ann")
        assert await venue.owner.fetchval(_DECIDE, about, "ben") is False
        await venue.owner.execute("update operators set may = '{see}' where name = 'ben'")
        assert (await desk.decide(about, "void", by="sam")).json()["done"] is False
        for by, token in (("ann", "ann"), ("ben", "ben"), ("lee", desk.tokens["lee"])):
            with pytest.raises(asyncpg.RaiseError, match=f"{by} may not decide"):
                await venue.owner.fetchrow(_DECIDE, about, token)
        assert await venue.states() == {withdrawal: "reserved"}
        assert (await desk.decide(about, "void", by="kim")).json()["done"] is True
    assert await venue.states() == {withdrawal: "voided"}


async def test_the_operator_api_alone_makes_up_no_operator(venue: RailVenue) -> None:
    """Neither by name nor by what the database has of a token, nor past the function."""
    [withdrawal] = await venue.asked(USDX)
    await _says(venue, withdrawal, "accepted", amount=7)
    about = f"{withdrawal}-1"
    async with desk_of(venue) as desk, connected(venue.founded.database.operator) as operator:
        digests = await operator.fetch("select encode(token_sha256, 'hex') as it from operators")
        for shown in ("kim", "sam", *(row["it"] for row in digests)):
            with pytest.raises(asyncpg.RaiseError, match="nobody has this token"):
                await operator.fetchrow(_DECIDE, about, shown)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await operator.execute(_MADE_UP, about)
        assert await operator.fetchval(_DECIDE, about, desk.tokens["kim"]) is False
        assert (await desk.decide(about, "void", by="sam")).json()["done"] is True
    assert await venue.states() == {withdrawal: "voided"}


@pytest.mark.nightly  # what comes back stays
async def test_what_is_paid_anew_follows_an_id_that_a_statement_lists(venue: RailVenue) -> None:
    """A restored ledger uses up the one after those that are listed, and no later one."""
    [withdrawal] = await venue.asked(USDX)
    await _instructed(venue, withdrawal, 1, "primary")
    await venue.owner.execute(_BECAME, f"{withdrawal}-1", "disputed")
    about = f"{withdrawal}-1"
    async with desk_of(venue) as desk:
        await desk.decide(about, "pay", by="kim")
        refused = await desk.decide(about, "pay", by="sam")
        assert refused.status_code == 422, refused.text
        assert "does not list" in refused.json()["reason"]
        await _says(venue, withdrawal, "accepted", amount=7)
        for by in ("kim", "sam"):
            assert (await desk.decide(about, "pay", by=by)).status_code == 200
    assert await venue.states() == {withdrawal: "reserved"}
    await venue.owner.execute(_RESTORED)
    used_up = await venue.owner.fetch("select ids_to_use_up('fiat', 'primary') as id")
    assert [row["id"] for row in used_up] == [f"{withdrawal}-2"]
