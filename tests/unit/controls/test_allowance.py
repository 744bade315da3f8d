"""What one customer may ask for within a window, and what of it counts as small."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.controls.allowance import Asked, Full, full, leaving_micro, within_window
from seawall.policy import MICRO
from tests.testing import policies

POLICY = policies.policy(durations="1/3")
SECOND = 1_000_000
WINDOW = 15 * SECOND
VALUE_MAX = 100_000
NUMBER_MAX = 120


def asked(at_s: float, value: int = 1, **fields: bool) -> Asked:
    return Asked(at_us=int(at_s * SECOND), value_micro=value * MICRO, **fields)


def full_at(at_s: float, value: int, *entries: Asked) -> Full | None:
    now_us = int(at_s * SECOND)
    window = within_window(POLICY, entries, now_us=now_us)
    return full(POLICY, window, value_micro=value * MICRO, now_us=now_us)


def test_all_requests_of_the_window_share_one_limit_of_value() -> None:
    """Up to the limit itself; then it says when enough of it is free again."""
    entries = [asked(1, 40_000), asked(4, 50_000)]

    assert full_at(5, 10_000, *entries) is None
    assert full_at(5, 10_001, *entries) == Full(limit="value", room_in_ms=11_000)
    assert full_at(5, 60_000, *entries) == Full(limit="value", room_in_ms=14_000)
    assert full_at(16, 50_000, *entries) is None
    assert full_at(16, 50_001, *entries) == Full(limit="value", room_in_ms=3_000)


def test_the_number_of_requests_is_limited_however_small_they_are() -> None:
    entries = [asked(index / 10) for index in range(NUMBER_MAX)]

    assert full_at(12, 1, *entries[1:]) is None
    assert full_at(12, 1, *entries) == Full(limit="number", room_in_ms=3_000)
    assert full_at(15, 1, *entries) is None


def test_what_was_cancelled_was_asked_for_and_does_not_leave() -> None:
    """It uses up the limits of asking, and makes no other request large."""
    entries = [asked(1, 900, cancelled=True), asked(2, 99_100)]

    assert full_at(3, 1, *entries) == Full(limit="value", room_in_ms=13_000)
    assert leaving_micro([*entries, asked(3, 5)]) == 99_105 * MICRO
    transfers = [asked(1, 600, cross_rail=True), asked(2, 700), asked(3, 9, cross_rail=True)]
    assert leaving_micro(transfers, cross_rail=True) == 609 * MICRO
    cancelled = asked(4, 9, cross_rail=True, cancelled=True)
    assert leaving_micro([cancelled], cross_rail=True) == 0


def test_a_request_that_could_never_be_made_has_no_room_at_any_time() -> None:
    with pytest.raises(ValueError, match="never has room"):
        full_at(1, VALUE_MAX + 1)


@given(st.lists(st.tuples(st.integers(0, 2_000), st.integers(1, VALUE_MAX)), max_size=200))
def test_no_window_ever_holds_more_than_the_limits(steps: list[tuple[int, int]]) -> None:
    """And what is refused has room exactly when the refusal says so, if nothing else comes."""
    entries: list[Asked] = []
    now_us = 0
    for after_ms, value in steps:
        now_us += after_ms * 1_000
        window = within_window(POLICY, entries, now_us=now_us)
        reached = full(POLICY, window, value_micro=value * MICRO, now_us=now_us)
        if reached is None:
            entries.append(Asked(at_us=now_us, value_micro=value * MICRO))
            continue
        for offset_us, fits in ((0, True), (-1_001, False)):
            then_us = now_us + reached.room_in_ms * 1_000 + offset_us
            left = within_window(POLICY, entries, now_us=then_us)
            found = full(POLICY, left, value_micro=value * MICRO, now_us=then_us)
            assert (found is None) is fits
    for each in entries:
        window = [other for other in entries if each.at_us - WINDOW < other.at_us <= each.at_us]
        assert sum(other.value_micro for other in window) <= VALUE_MAX * MICRO
        assert len(window) <= NUMBER_MAX
