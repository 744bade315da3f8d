"""Drawdown velocity and signing failures, computed from flow rows."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.indicators import Crossing, FlowRow, Window, age_s, first_crossing
from tests.testing import policies

POLICY = policies.policy(durations="1/3")
TARGET = POLICY.hot_target_value_micro()
WINDOW_US = 5_000_000


def row(
    row_id: int,
    at_us: int,
    share: str = "0",
    *,
    kind: str = "reserved",
    count: int = 1,
    reserved_at_us: int | None = None,
) -> FlowRow:
    return FlowRow(
        id=row_id,
        kind=kind,
        count=count,
        value_micro=int(Fraction(share) * TARGET),
        committed_at_us=at_us,
        reserved_at_us=reserved_at_us,
    )


def test_velocity_is_the_reserved_share_of_the_hot_targets_within_the_window() -> None:
    """Exact, only for reservations, and a row leaves exactly one window after its commit."""
    window = Window(POLICY, "drawdown_velocity")
    window.add(row(1, 0, "0.1"))
    window.add(row(2, 1_000_000, "0.25"))
    window.add(row(3, 1_000_000, "0.9", kind="posted"))
    assert window.value(1_000_000) == Fraction("0.35")
    assert window.value(WINDOW_US - 1) == Fraction("0.35")
    assert window.value(WINDOW_US) == Fraction("0.25")
    assert window.value(WINDOW_US + 1_000_000) == 0


def test_what_is_cancelled_counts_no_longer() -> None:
    """A cancellation leaves the window together with the reservation that it takes back."""
    window = Window(POLICY, "drawdown_velocity")
    window.add(row(1, 0, "0.1"))
    window.add(row(2, 1_000_000, "0.25"))
    window.add(row(3, 2_000_000, "0.1", kind="voided", reserved_at_us=0))
    assert window.value(2_000_000) == Fraction("0.25")
    assert window.value(WINDOW_US) == Fraction("0.25")
    assert window.value(WINDOW_US + 1_000_000) == 0


def test_one_customer_who_reserves_and_cancels_forces_no_tier() -> None:
    """A thousand at a time, 34 times a second for a minute: never more than one of them counts."""
    share = str(Fraction(1_000_000_000, TARGET))
    moments = [index * 1_000_000 // 34 for index in range(34 * 60)]
    reserved = [row(2 * index, at, share) for index, at in enumerate(moments)]
    cancelled = [
        row(2 * index + 1, at + 10_000, share, kind="voided", reserved_at_us=at)
        for index, at in enumerate(moments)
    ]
    assert first_crossing(reserved, POLICY.trigger("run-building"), POLICY) is not None
    assert first_crossing(reserved + cancelled, POLICY.trigger("run-building"), POLICY) is None


def test_old_reservations_that_are_cancelled_hide_no_run() -> None:
    """Neither one that has left the window, nor one whose time is not known any more."""
    flows = [
        row(1, 0, "0.29"),
        row(2, WINDOW_US, "0.29", kind="voided", reserved_at_us=0),
        row(3, WINDOW_US, "0.29", kind="voided"),
        row(4, WINDOW_US + 1, "0.3"),
    ]
    crossing = first_crossing(flows, POLICY.trigger("run-on-the-bank"), POLICY)
    assert crossing == Crossing(flow_id=4, at_us=WINDOW_US + 1, value=Fraction("0.3"))


def test_a_row_counts_once_however_often_it_is_read() -> None:
    """Readings overlap, the sum does not."""
    window = Window(POLICY, "signing_failures")
    for _ in range(3):
        window.add(row(7, 10, kind="signing_failed", count=2))
    assert window.value(20) == 2


def test_the_first_crossing_is_the_row_that_reaches_the_level() -> None:
    """Rows in any order; the one that makes the sum reach the level is named, with the sum."""
    flows = [
        row(3, 3_000_000, "0.11"),
        row(1, 1_000_000, "0.1"),
        row(2, 2_000_000, "0.1"),
        row(4, 3_500_000, "0.5"),
    ]
    crossing = first_crossing(flows, POLICY.trigger("run-on-the-bank"), POLICY)
    assert crossing == Crossing(flow_id=3, at_us=3_000_000, value=Fraction("0.31"))


def test_rows_of_one_commit_become_true_together() -> None:
    """The last of them is named: only a sample that holds all of them shows the crossing."""
    flows = [row(1, 5, "0.2"), row(2, 5, "0.05"), row(3, 5, "0.1")]
    crossing = first_crossing(flows, POLICY.trigger("run-on-the-bank"), POLICY)
    assert crossing == Crossing(flow_id=3, at_us=5, value=Fraction("0.35"))


def test_the_same_value_spread_wider_than_the_window_is_no_crossing() -> None:
    """Velocity, not volume."""
    flows = [row(index, index * WINDOW_US, "0.29") for index in range(10)]
    assert first_crossing(flows, POLICY.trigger("run-on-the-bank"), POLICY) is None
    assert first_crossing([], POLICY.trigger("run-on-the-bank"), POLICY) is None


def test_an_indicator_that_is_no_windowed_sum_is_refused() -> None:
    """Queue ages are not sums of flow rows."""
    with pytest.raises(ValueError, match=r"^queue_age_s is no sum over a window$"):
        first_crossing([], POLICY.trigger("backlog"), POLICY)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 12_000_000),
            st.integers(0, 9),  # one alone does not reach the level
            st.none() | st.integers(1, 2 * WINDOW_US),
        ),
        max_size=30,
    )
)
def test_replay_agrees_with_the_plain_definition(points: list[tuple[int, int, int | None]]) -> None:
    """Against sums written out, where some reservations are cancelled a while later.

    The first commit time at which what the window holds, and nobody has cancelled by then, reaches
    the level.
    """
    flows = [row(index, at, f"0.{share:02d}") for index, (at, share, _) in enumerate(points)]
    cancelled = [
        row(100 + index, at + after, f"0.{share:02d}", kind="voided", reserved_at_us=at)
        for index, (at, share, after) in enumerate(points)
        if after is not None
    ]
    trigger = POLICY.trigger("run-building")

    def standing(at_us: int) -> int:
        return sum(
            flow.value_micro
            for flow, (reserved_us, _, after) in zip(flows, points, strict=True)
            if at_us - WINDOW_US < reserved_us <= at_us
            and (after is None or reserved_us + after > at_us)
        )

    reached = [
        at
        for at in sorted({flow.committed_at_us for flow in flows + cancelled})
        if Fraction(standing(at), TARGET) >= trigger.enter_at
    ]
    flows += cancelled
    crossing = first_crossing(flows, trigger, POLICY)
    assert (crossing.at_us if crossing else None) == (reached[0] if reached else None)


@pytest.mark.parametrize(
    ("oldest_us", "expected"), [(None, 0), (9_500_000, Fraction(1, 2)), (10_000_001, 0)]
)
def test_an_age_is_seconds_since_the_oldest_and_never_negative(
    oldest_us: int | None, expected: Fraction
) -> None:
    """Nothing waiting has no age."""
    assert age_s(oldest_us, 10_000_000) == expected
