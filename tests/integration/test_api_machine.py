"""Whatever customers and the settler do in whatever order, the api and its books are as the model.

The model is plain Python; the api, its database and the settler's transactions are real.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.testing.nightly import repetitions
from tests.testing.withdrawal_bench import Benches
from tests.testing.withdrawal_machine import Course, WithdrawalMachine

pytestmark = pytest.mark.integration
RUNS = repetitions([(3, 25, 30), (1, 100, 50), (2, 100, 50)], keep=1)
"""Seeds, and how many runs of how many steps are drawn with them."""
REACHED = {
    "reserved",
    "unknown_asset",
    "below_minimum",
    "over_limit",
    "insufficient_balance",
    "replay of reserved",
    "amount under a used id",
    "customer under a used id",
    "cancel of reserved",
    "cancel of voided",
    "cancel of slotted, tried",
    "swap",
    "payout paid",
    "payout failed",
    "payout unclear",
    "payout untried",
    "cancel cancelled",
    "ended posted",
    "ended voided",
}
"""What every test must have come to: a machine that only asks for nonsense shows nothing."""


RARE = {"over_limit", "cancel of slotted, tried"}
"""What only the long runs of `make nightly` must have come to as well."""
LONG = 100
"""Runs from which on the rare must have happened, too."""


@pytest.mark.parametrize(("number", "runs", "steps"), RUNS)
async def test_customers_find_what_the_model_says(
    new_database: Callable[[], str], tmp_path: Path, number: int, runs: int, steps: int
) -> None:
    """Nothing acknowledged is lost, nothing is booked twice, nobody sees another's."""
    print(f"seed {number}")
    benches = Benches(new_database=new_database, folder=tmp_path)
    course = Course(benches=benches, loop=asyncio.get_running_loop())

    class Machine(WithdrawalMachine):
        """The machine of this test alone, on its loop."""

    Machine.course = course
    profile = settings(
        max_examples=runs,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        await asyncio.to_thread(run_state_machine_as_test, seed(number)(Machine), settings=profile)
    finally:
        await benches.close()
    print(dict(course.reached))
    expected = REACHED if runs >= LONG else REACHED - RARE
    assert expected - set(course.reached) == set()
