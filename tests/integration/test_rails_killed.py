"""Who pays over rails is killed at each of its steps: whoever goes on pays everything once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from tests.testing.nightly import repetitions
from tests.testing.providers import CLOSED_ACCOUNT
from tests.testing.rails_harness import ADDRESS, RailVenue, rail_venue
from venue.crash_points import Moment, RailStep

USDX = 10**6
_ON_STANDBY = "select side = 'standby' from rail_log order by id desc limit 1"
FIRST = ["instruct a provider, after"]
"""What `make test` tries: a payout that only the provider knows of."""
POINTS = [
    *FIRST,
    *("claim over a rail, before", "claim over a rail, after", "instruct a provider, before"),
    *("read a statement, after #1", "read a statement, after #2"),
    *("read a statement, before #1", "read a statement, before #2"),
]
_OTHERS = ("record a refusal", "cancel at a provider", "move a rail", "open a rail")


@pytest.fixture
async def venue(new_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[RailVenue]:
    async with rail_venue(new_database(), tmp_path) as made:
        yield made


def test_every_step_is_killed() -> None:
    """On both sides of it: here and below."""
    assert {point.partition(",")[0] for point in POINTS} | {*_OTHERS} == {*get_args(RailStep)}


@pytest.mark.parametrize("point", repetitions(POINTS, keep=len(FIRST)))
async def test_killed_on_the_way(venue: RailVenue, point: str) -> None:
    """One of them comes back from the bank."""
    paid = await venue.asked(USDX, 2 * USDX)
    [returned] = await venue.asked(3 * USDX, to=CLOSED_ACCOUNT)
    await venue.killed(await venue.start(kill_at=point, ready=False))
    await venue.start()
    await venue.resolved()
    assert await venue.states() == dict.fromkeys(paid, "posted") | {returned: "voided"}
    await venue.agrees()


@pytest.mark.nightly  # that its process is killed while it pays stays
@pytest.mark.parametrize("moment", get_args(Moment))
async def test_killed_while_it_records_a_refusal(venue: RailVenue, moment: str) -> None:
    [withdrawal] = await venue.asked(USDX)
    await _spoil(venue)
    point = f"record a refusal, {moment}"
    await venue.killed(await venue.start(kill_at=point, ready=False))
    await venue.start()
    await venue.resolved()
    assert await venue.states() == {withdrawal: "voided"}
    await venue.agrees()


async def _spoil(venue: RailVenue) -> None:
    """Give the withdrawals a destination that no processor takes."""
    await venue.owner.execute("alter table withdrawals disable trigger user")
    await venue.owner.execute("update withdrawals set destination = $1", ADDRESS)
    await venue.owner.execute("alter table withdrawals enable trigger user")


@pytest.mark.parametrize(
    ("step", "moment"), repetitions([*product(_OTHERS[2:0:-1], get_args(Moment))], keep=1)
)
async def test_killed_during_a_failover(venue: RailVenue, step: str, moment: str) -> None:
    """What was recorded for the primary, and never arrived there, is paid over the standby."""
    venue.gates["primary"].fails_only = "POST /payouts"
    await venue.asked(USDX, 2 * USDX)
    await venue.killed(await venue.start(kill_at=f"{step}, {moment}", ready=False))
    await venue.start()
    await venue.until(_ON_STANDBY)
    await venue.resolved()
    assert [len(venue.paid()[side]) for side in ("primary", "standby")] == [0, 2]
    await venue.agrees()


@pytest.mark.nightly  # that its process is killed while it pays stays
@pytest.mark.parametrize(
    ("step", "moment"), [*product(["open a rail", "cancel at a provider"], get_args(Moment))]
)
async def test_killed_while_it_opens_a_generation(venue: RailVenue, step: str, moment: str) -> None:
    """After a restore; who goes on opens the rest."""
    await venue.asked(USDX, 2 * USDX)
    await venue.owner.execute("insert into generations (generation, reason) values (1, 'test')")
    await venue.killed(await venue.start(kill_at=f"{step}, {moment}", ready=False))
    await venue.start()
    await venue.resolved()
    assert len(venue.paid()["primary"]) == 2
    await venue.agrees()
