"""The shape of a run: sums, order and bounds for any stream of random numbers."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import shape
from loadtests.population import divide


@given(seed=st.integers(), count=st.integers(1, 300), mean=st.floats(1.0, 900.0))
def test_amounts_sum_to_their_total_below_the_cap(seed: int, count: int, mean: float) -> None:
    """Whatever the seed; only the cap may take a little off the top."""
    drawn = shape.amounts(Random(seed), count=count, total=mean * count, high=2_000.0, alpha=1.2)

    assert len(drawn) == count
    assert all(0 < amount <= 2_000.0 for amount in drawn)
    assert sum(drawn) <= mean * count * (1 + 1e-9)


def test_amounts_that_cannot_fit_below_the_cap_are_refused() -> None:
    """A mean above half the cap leaves no room for a tail."""
    with pytest.raises(ValueError, match=r"^a mean of 60\.00 does not fit below 100\.00$"):
        shape.amounts(Random(1), count=10, total=600.0, high=100.0, alpha=1.2)


@given(seed=st.integers(), count=st.integers(0, 300))
def test_a_run_has_exactly_the_planned_arrivals_in_order(seed: int, count: int) -> None:
    """Clusters and fading rate change when requests come, never how many."""
    times = shape.run_times(
        Random(seed),
        count=count,
        length=50.0,
        opening_rate=1.25,
        contagion=0.25,
        contagion_delay=0.5,
    )

    assert len(times) == count
    assert times == sorted(times)
    assert all(0.0 <= time < 50.0 for time in times)


@given(
    seed=st.integers(),
    values=st.lists(st.integers(1, 10_000), max_size=200),
    opening=st.integers(0, 50),
)
def test_every_value_is_withdrawn_exactly_once(seed: int, values: list[int], opening: int) -> None:
    """The order is a permutation, also when there are fewer requests than places in the opening."""
    order = shape.leaving_order(
        Random(seed),
        values,
        opening_count=min(opening, len(values)),
        opening_value=20_000,
        largest_first=0.2,
        small_max=1_000,
    )

    assert sorted(order) == list(range(len(values)))


def test_the_opening_carries_its_value_whatever_the_seed() -> None:
    """Large ones first, in the places of the opening."""
    values = [50] * 900 + [5_000] * 100

    for seed in range(20):
        order = shape.leaving_order(
            Random(seed),
            values,
            opening_count=50,
            opening_value=100_000,
            largest_first=0.2,
            small_max=1_000,
        )
        assert sum(values[index] for index in order[:50]) >= 100_000


@given(
    total=st.integers(1, 10**30),
    weights=st.dictionaries(st.integers(0, 50), st.integers(1, 10**9), min_size=1),
)
def test_a_pool_is_divided_without_losing_a_base_unit(total: int, weights: dict[int, int]) -> None:
    """The parts sum to the whole, and each part is positive."""
    parts = dict(divide(total, weights))

    assert sum(parts.values()) == total
    assert all(part > 0 for part in parts.values())
