"""Which provider of a rail gets new instructions: two failures leave it, five readings return."""

from __future__ import annotations

from typing import Any, cast

from venue.rails.routing import Routing


class Records:
    """The log of a rail, as the database keeps it."""

    def __init__(self, *sides: str) -> None:
        self.sides = list(sides)

    async def fetchval(self, _statement: str, _rail: str) -> str | None:
        """The last side."""
        return self.sides[-1] if self.sides else None

    async def fetchrow(self, _statement: str, _rail: str, side: str, _reason: str) -> None:
        """Keep a change."""
        self.sides.append(side)


class World:
    """A routing with a clock that a test moves on."""

    def __init__(self, *sides: str) -> None:
        self.now_us = 0
        self.records = Records(*sides)
        self.routing = Routing(
            pool=cast("Any", self.records), rail="fiat", now_us=lambda: self.now_us
        )

    async def read(self, *answers: bool, in_doubt: bool = False) -> None:
        """Readings of the statement, a second apart."""
        for answered in answers:
            self.now_us += 1_000_000
            await self.routing.read(answered=answered, in_doubt=in_doubt)


async def test_two_failures_in_a_row_leave_the_primary() -> None:
    """After one nothing is claimed, until an answer takes it back."""
    world = World()
    await world.routing.told(answered=False)
    assert (world.routing.side, world.routing.settled) == ("primary", False)
    await world.routing.told(answered=True)
    assert world.routing.settled
    await world.routing.told(answered=False)
    await world.read(False)
    assert (world.routing.side, world.routing.settled) == ("standby", True)
    assert world.records.sides == ["standby"]


async def test_a_reading_takes_back_no_failure_while_instructions_are_in_doubt() -> None:
    """Else a primary that takes none would never be left."""
    world = World()
    await world.routing.told(answered=False)
    await world.read(True, in_doubt=True)
    assert not world.routing.settled
    await world.read(True)
    assert world.routing.settled


async def test_an_answer_takes_back_no_reading_that_failed() -> None:
    """Else a primary whose statement hangs while it takes instructions would never be left."""
    world = World()
    await world.read(False)
    await world.routing.told(answered=True)
    assert not world.routing.settled
    await world.read(False, in_doubt=True)
    assert world.records.sides == ["standby"]


async def test_five_readings_in_a_row_bring_the_primary_back() -> None:
    """A failure in between begins them anew; readings within a second are one."""
    world = World("standby")
    await world.routing.adopt()
    assert world.routing.left
    await world.read(True, True, True, True, False, True, True, True, True)
    await world.routing.read(answered=True, in_doubt=False)  # at the same instant
    assert world.routing.left
    await world.read(True)
    assert (world.routing.side, world.records.sides) == ("primary", ["standby", "primary"])
