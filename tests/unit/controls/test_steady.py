"""The clock that never steps: what a database stamps keeps its age when its clock is set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.controls.steady import STEP_US_MIN, SteadyClock

SECOND = 1_000_000
HOUR = 3_600 * SECOND
EPOCH = 1_700_000_000 * SECOND
"""What the database's clock shows at steady time 0, until it is set."""


def read(clock: SteadyClock, at_us: int, *, ahead_us: int = EPOCH, took_us: int = 200) -> int:
    """A reading of a clock that is ``ahead_us`` ahead, in the middle of ``took_us``."""
    return clock.read(
        shown_us=at_us + ahead_us, asked_us=at_us - took_us // 2, answered_us=at_us + took_us // 2
    )


@pytest.mark.parametrize("step_us", [HOUR, -HOUR, 5 * SECOND, -5 * SECOND])
def test_a_row_keeps_its_age_when_the_clock_is_set(step_us: int) -> None:
    """One from before the step, and one from after it; the future of the old clock included."""
    clock = SteadyClock()
    for at_s in range(10):
        read(clock, at_s * SECOND)
    after = EPOCH + step_us
    now_us = read(clock, 10 * SECOND, ahead_us=after)

    assert abs(now_us - 10 * SECOND) <= 200
    assert abs(clock.of(EPOCH + 4 * SECOND) - 4 * SECOND) <= 200 or step_us == -5 * SECOND
    assert abs(clock.of(after + 10 * SECOND) - 10 * SECOND) <= 200


def test_after_a_step_back_a_time_that_was_shown_twice_counts_as_the_later_one() -> None:
    """Taken for too young, a row stays in its window; taken for too old, it would leave it."""
    clock = SteadyClock()
    read(clock, 0)
    read(clock, 10 * SECOND)
    read(clock, 20 * SECOND, ahead_us=EPOCH - 5 * SECOND)

    assert abs(clock.of(EPOCH + 7 * SECOND) - 12 * SECOND) <= 200


def test_nothing_lies_in_the_future_and_a_new_process_believes_the_clock() -> None:
    """What was stamped before a step that nobody here saw counts as stamped now."""
    clock = SteadyClock()
    now_us = read(clock, 100 * SECOND)

    assert abs(clock.of(EPOCH + 40 * SECOND) - 40 * SECOND) <= 200
    assert abs(clock.of(EPOCH + HOUR) - now_us) <= 200


@pytest.mark.parametrize("step_us", [HOUR, -HOUR])
def test_whatever_is_young_is_stamped_later_than_the_earliest_that_was_shown(step_us: int) -> None:
    """So a query by stamps misses nothing, and reads no more than it must once the step is old."""
    clock = SteadyClock()
    read(clock, 0)
    read(clock, 100 * SECOND)
    read(clock, 101 * SECOND, ahead_us=EPOCH + step_us)

    assert clock.earliest_shown(90 * SECOND) <= EPOCH + 90 * SECOND
    assert clock.earliest_shown(90 * SECOND) <= EPOCH + step_us + 101 * SECOND

    read(clock, 200 * SECOND, ahead_us=EPOCH + step_us)
    expected = EPOCH + step_us + 190 * SECOND
    assert abs(clock.earliest_shown(190 * SECOND) - expected) <= 200


def test_drift_and_slow_readings_are_no_steps() -> None:
    """A clock that runs 500 millionths faster, and a reading that takes seconds."""
    clock = SteadyClock()
    for at_s in range(1_000):
        read(clock, at_s * SECOND, ahead_us=EPOCH + at_s * 500)
    read(clock, 1_005 * SECOND, ahead_us=EPOCH + 500_000 + 3 * SECOND, took_us=8 * SECOND)
    now_us = read(clock, 1_010 * SECOND, ahead_us=EPOCH + 500_000)

    assert len(clock._spans) == 1
    assert abs(now_us - 1_010 * SECOND) <= STEP_US_MIN


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 50), st.integers(-HOUR, HOUR)), min_size=1, max_size=12
    ),
    at=st.floats(0, 1),
)
def test_no_row_ever_looks_older_than_it_is(steps: list[tuple[int, int]], at: float) -> None:
    """Whatever the clock is set to, however often: a row in the window is found in the window."""
    clock = SteadyClock()
    ahead_us, now_s = EPOCH, 0
    history = [(0, ahead_us)]
    read(clock, 0)
    for after_s, step_us in steps:
        now_s += after_s
        ahead_us += step_us if abs(step_us) >= 2 * STEP_US_MIN else 0
        read(clock, now_s * SECOND, ahead_us=ahead_us)
        history.append((now_s * SECOND, ahead_us))
    stamped_at = int(at * now_s * SECOND)
    ahead_then = max(each for each in history if each[0] <= stamped_at)[1]
    stamp = stamped_at + ahead_then

    assert clock.of(stamp) >= stamped_at - STEP_US_MIN
    assert clock.of(stamp) <= now_s * SECOND + 200
    assert clock.earliest_shown(stamped_at - STEP_US_MIN) <= stamp


def test_old_steps_are_forgotten_and_time_goes_on() -> None:
    """A clock that is set again and again costs no more memory."""
    clock = SteadyClock()
    for at_s in range(1_000):
        read(clock, at_s * SECOND, ahead_us=EPOCH + at_s % 2 * HOUR)

    assert len(clock._spans) < 100
    assert abs(clock.of(EPOCH + HOUR + 999 * SECOND) - 999 * SECOND) <= 200
