"""What a provider says and nothing explains has a way out: two people say what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from seawall.formats.payout_rail import Instruction
from tests.testing.books import faults
from tests.testing.providers import ACCOUNT
from tests.testing.rails_harness import RailVenue, rail_venue
from tests.testing.venue_harness import connected
from venue.database import open_pool
from venue.operator import access
from venue.operator.app import OperatorApi

USDX = 10**6


@pytest.fixture
async def venue(new_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[RailVenue]:
    async with rail_venue(new_database(), tmp_path) as made:
        yield made


@dataclass(kw_only=True)
class Desk:
    """The operator api, with two operators who may decide and one who may look."""

    http: httpx.AsyncClient
    tokens: dict[str, str]

    async def decide(
        self, about: str, decision: str, *, by: str, side: str = "primary"
    ) -> httpx.Response:
        """What ``by`` says of the id ``about`` at the provider of ``side``."""
        body = {
            "rail": "fiat",
            "side": side,
            "client_id": about,
            "decision": decision,
            "justification": "the bank says so",
        }
        return await self.http.post("/v1/rails/disputes", json=body, headers=self._shows(by))

    async def open(self) -> list[dict[str, Any]]:
        """What waits for people."""
        answer = await self.http.get("/v1/rails/disputes", headers=self._shows("lee"))
        return list(answer.json())

    def _shows(self, by: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[by]}"}


@asynccontextmanager
async def desk_of(venue: RailVenue) -> AsyncIterator[Desk]:
    tokens = {
        name: await access.enroll(venue.owner, name, may=frozenset(may))  # type: ignore[arg-type]
        for name, may in (("kim", {"decide"}), ("sam", {"decide"}), ("lee", {"see"}))
    }
    pool = await open_pool(venue.founded.database.operator, name="operator", size=2)
    app = OperatorApi(pool, venue.founded.policy, venue.founded.config).application()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://operator") as http:
        yield Desk(http=http, tokens=tokens)
    await pool.close()


async def _contradicted(venue: RailVenue) -> UUID:
    """A withdrawal that waits, whose first id the primary has taken for another amount."""
    await venue.heartbeat.silence()
    [withdrawal] = await venue.asked(USDX)
    taken = Instruction(client_id=f"{withdrawal}-1", asset="USDX", amount="7", destination=ACCOUNT)
    await asyncio.to_thread(venue.providers["primary"].submit, taken)
    await venue.start()
    await venue.until("select count(*) = 2 from rail_lines where unexplained")
    return withdrawal


@pytest.mark.parametrize(
    ("decision", "state", "paid"),
    [("paid", "posted", 1), ("void", "voided", 1), ("pay", "posted", 2)],
)
async def test_two_people_say_what_became_of_it(
    venue: RailVenue, decision: str, state: str, paid: int
) -> None:
    """One alone moves nothing, nor two who do not agree."""
    withdrawal = await _contradicted(venue)
    before = await venue.owner.fetchval("select sum(available) from balances")
    about = f"{withdrawal}-1"
    async with desk_of(venue) as desk:
        assert len(await desk.open()) == 2
        assert (await desk.decide(about, decision, by="lee")).status_code == 403
        other = "noted" if decision != "noted" else "paid"
        for by, what in (("kim", decision), ("kim", decision), ("sam", other)):
            answer = await desk.decide(about, what, by=by)
            assert answer.json()["done"] is False, answer.text
        assert await venue.states() == {withdrawal: "reserved"}
        done = await desk.decide(about, decision, by="sam")
        assert done.json()["done"] is True, done.text
        assert await desk.open() == []
        assert (await desk.decide(about, decision, by="sam")).status_code == 422
    await venue.heartbeat.resume()
    await venue.resolved()
    assert await venue.states() == {withdrawal: state}
    taken = [client_id for client_id, *_ in venue.paid()["primary"]]
    assert taken == [f"{withdrawal}-{attempt}" for attempt in range(1, 1 + paid)]
    given = await venue.owner.fetchval("select sum(available) from balances") - before
    assert given == (USDX if state == "voided" else 0)
    assert await faults(venue.owner) == []
    kinds = await venue.owner.fetch("select body->>'decision' as kind from journal order by n")
    assert [row["kind"] for row in kinds].count(decision) == 3


async def test_an_instruction_in_dispute_is_resolved(venue: RailVenue) -> None:
    """Nobody moves it alone, not the role that pays either, nor confirms their own decision."""
    for gate in venue.gates.values():
        gate.since = "POST /payouts"
        await gate.behave("hangs")
    [withdrawal] = await venue.asked(USDX)
    await venue.start()
    await venue.until("select exists (select 1 from rail_instructions)")
    await venue.owner.execute("update rail_instructions set state = 'disputed'")
    about = f"{withdrawal}-1"
    async with connected(venue.founded.database.rails) as rails:
        with pytest.raises(asyncpg.RaiseError, match="may not go from disputed"):
            await rails.execute("update rail_instructions set state = 'cancelled'")
    async with desk_of(venue) as desk:
        side = await venue.owner.fetchval("select side from rail_instructions")
        assert side == "primary"
        await asyncio.to_thread(venue.providers["primary"].ask, "POST", f"/payouts/{about}/cancel")
        for gate in venue.gates.values():
            await gate.behave("passes")
        await venue.until("select exists (select 1 from rail_lines where client_id = $1)", about)
        first = await desk.decide(about, "pay", by="kim")
        with pytest.raises(asyncpg.RaiseError, match="kim cannot confirm"):
            await venue.owner.execute(
                """insert into rail_decisions (rail, side, client_id, decision, operator,
                                               justification, confirms)
                   values ('fiat', 'primary', $1, 'pay', 'kim', 'x', $2)""",
                about,
                first.json()["decision"],
            )
        assert (await desk.decide(about, "pay", by="sam")).json()["done"] is True
    await venue.resolved()
    assert await venue.states() == {withdrawal: "posted"}
    paid = [client_id for each in venue.paid().values() for client_id, *_ in each]
    assert paid == [f"{withdrawal}-2"]
    assert await faults(venue.owner) == []


async def test_what_no_record_knows_can_only_be_noted(venue: RailVenue) -> None:
    """A payout of an id that is none of ours: whoever keeps the books books it."""
    taken = Instruction(client_id="foreign-1", asset="USDX", amount="7", destination=ACCOUNT)
    await asyncio.to_thread(venue.providers["primary"].submit, taken)
    await venue.start()
    await venue.until("select count(*) = 2 from rail_lines where unexplained")
    async with desk_of(venue) as desk:
        await desk.decide("foreign-1", "void", by="kim")
        refused = await desk.decide("foreign-1", "void", by="sam")
        assert refused.status_code == 422
        assert "only be noted" in refused.json()["reason"]
        for by in ("kim", "sam"):
            assert (await desk.decide("foreign-1", "noted", by=by)).status_code == 200
        assert await desk.open() == []
