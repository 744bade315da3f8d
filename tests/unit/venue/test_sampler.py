"""Windows and ages of the mode controller survive a step of the database's clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

import pytest

from seawall.controls.steady import SteadyClock
from tests.testing import policies
from venue import clock as clocks
from venue.mode_controller import sampler as sampling
from venue.mode_controller.sampler import Sampler

POLICY = policies.policy(durations="1/3")
SECOND = 1_000_000
HALF = POLICY.hot_target_value_micro() // 2


@dataclass
class Database:
    """Just what a sampler asks: flow rows with their commit times, by a clock that may be set."""

    now_us: int = 1_000 * SECOND  # steady
    ahead_us: int = 1_700_000_000 * SECOND
    rows: list[tuple[int, int]] = field(default_factory=list)  # (id, commit time)
    oldest_us: int | None = None
    skipped_before_us: int | None = None

    @property
    def shown_us(self) -> int:
        """What its clock shows."""
        return self.now_us + self.ahead_us

    def commit(self) -> None:
        """A reservation of half the hot targets."""
        self.rows.append((len(self.rows) + 1, self.shown_us))

    async def fetchval(self, statement: str, *values: int) -> int:
        """The clock, or the newest row that is old enough to be skipped."""
        if statement == clocks._READ:
            return self.shown_us
        assert statement == sampling._START
        (self.skipped_before_us,) = values
        old = [number for number, at_us in self.rows if at_us < values[0]]
        return max(old, default=0)

    async def fetchrow(self, statement: str, *values: Any) -> dict[str, Any]:
        """The rows after an id, or the ages."""
        if statement == sampling._AGES:
            return {"oldest_us": self.oldest_us, "oldest_guaranteed_us": self.oldest_us}
        new = [row for row in self.rows if row[0] > values[0]]
        return {
            "horizon": 1,
            "frontier": 1,
            "ids": [number for number, _ in new],
            "kinds": ["reserved"] * len(new),
            "counts": [1] * len(new),
            "values_micro": [HALF] * len(new),
            "ats_us": [at_us for _, at_us in new],
            "reserved_ats_us": [None] * len(new),
            "now_us": self.shown_us,
        }


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database whose steady time is this process's."""
    found = Database()
    monkeypatch.setattr(clocks, "monotonic_us", lambda: found.now_us)
    monkeypatch.setattr(sampling, "monotonic_us", lambda: found.now_us)
    return found


async def velocity(sampler: Sampler) -> Fraction:
    return (await sampler.sample()).levels["drawdown_velocity"]


@pytest.mark.parametrize("step_s", [3_600, -3_600, 4])
async def test_a_step_of_the_clock_empties_no_window_and_keeps_nothing_in_it(
    database: Database, step_s: int
) -> None:
    """A row leaves the window of 5 s after 5 s, whatever the clock says meanwhile."""
    sampler = Sampler(POLICY, cast("Any", database), SteadyClock())
    await sampler.start()
    database.now_us += SECOND
    database.commit()
    assert await velocity(sampler) == Fraction(1, 2)

    database.ahead_us += step_s * SECOND
    database.now_us += 2 * SECOND
    assert await velocity(sampler) == Fraction(1, 2)
    database.commit()
    assert await velocity(sampler) == 1
    database.now_us += 3 * SECOND - 1
    assert await velocity(sampler) == 1
    database.now_us += 2
    assert await velocity(sampler) == Fraction(1, 2)
    database.now_us += 2 * SECOND
    assert await velocity(sampler) == 0


@pytest.mark.parametrize("step_s", [3_600, -3_600])
async def test_one_who_takes_over_after_a_step_has_the_same_window(
    database: Database, step_s: int
) -> None:
    """It has read the clock while it waited; what it skips at its start is older than that."""
    clock = SteadyClock()
    await clocks.read_clock(cast("Any", database), clock)
    database.commit()
    database.now_us += 100 * SECOND
    await clocks.read_clock(cast("Any", database), clock)
    database.commit()
    database.ahead_us += step_s * SECOND
    database.now_us += SECOND
    database.commit()

    sampler = Sampler(POLICY, cast("Any", database), clock)
    await sampler.start()
    assert await velocity(sampler) == 1
    assert database.skipped_before_us is not None
    assert database.skipped_before_us <= min(at_us for _, at_us in database.rows[1:])


@pytest.mark.parametrize("step_s", [3_600, -3_600])
async def test_a_step_of_the_clock_makes_no_withdrawal_old_or_young(
    database: Database, step_s: int
) -> None:
    """One that has waited for 3 s has waited for 3 s: no promise is at risk, and none forgotten."""
    sampler = Sampler(POLICY, cast("Any", database), SteadyClock())
    await sampler.start()
    database.oldest_us = database.shown_us
    database.now_us += 3 * SECOND
    database.ahead_us += step_s * SECOND
    await sampler.sample()
    await sampler.refresh_ages("normal")
    sample = await sampler.sample()
    assert sample.levels["queue_age_guaranteed_s"] == sample.levels["queue_age_s"] == 3
    assert sample.shown_us == database.shown_us
