"""A figure says whether it reached its goal, and what it is compared with."""

from __future__ import annotations

import pytest

from benchmarks.figures import Figure, table


@pytest.mark.parametrize(
    ("value", "goal", "at_most", "reached"),
    [
        (20_000, 20_000, False, True),
        (19_999, 20_000, False, False),
        (50.0, 50.0, True, True),
        (50.1, 50.0, True, False),
        (1.0, None, False, None),
    ],
)
def test_a_goal_is_reached_at_its_value(
    value: float, goal: float | None, *, at_most: bool, reached: bool | None
) -> None:
    figure = Figure(name="x", value=value, unit="/s", goal=goal, at_most=at_most)
    assert figure.reached is reached


def test_a_figure_is_shown_with_its_goal_its_peer_and_where_the_time_went() -> None:
    figure = Figure(
        name="reservations",
        value=15_000,
        unit="/s",
        goal=20_000,
        peer="TPC-B, transactions/s",
        peer_value=1_000,
        shares={"waiting": 0.75},
    )
    first, second, third = table([figure]).splitlines()
    assert "15,000.0 /s" in first
    assert "goal >= 20,000 /s: NOT" in first
    assert second.strip() == "15.00 of TPC-B, transactions/s: 1,000.0"
    assert third.strip() == "waiting 75%"


def test_a_peer_that_did_nothing_makes_no_ratio_of_zero() -> None:
    figure = Figure(name="x", value=1, unit="/s", peer="nothing", peer_value=0)
    assert "inf of nothing" in table([figure])
