"""Whole runs: they repeat exactly, they end, they see what they are there to see."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.campaign import LEADS_TO, plan_of
from tests.simulation.faults import Faults
from tests.simulation.world import Plan, run
from venue.crash_points import CRASH_POINTS, RAIL_CRASH_POINTS, Moment, RailStep, Step

_ROOT = Path(__file__).parents[2]


def test_without_faults_everything_is_paid_and_nothing_else_happens() -> None:
    outcome = run(1, Plan(faults=Faults()))
    assert outcome.violations == ()
    assert outcome.reached["withdrawal: slotted -> posted"] > 3
    states = {name for name in outcome.reached if name.startswith("withdrawal: ")}
    assert states == {
        "withdrawal: none -> reserved",
        "withdrawal: reserved -> slotted",
        "withdrawal: slotted -> posted",
    }


def test_without_faults_everything_is_paid_over_a_rail_too() -> None:
    outcome = run(1, Plan(faults=Faults(), rails=True, networks=False))
    assert outcome.violations == ()
    assert outcome.reached["withdrawal: instructed -> posted"] > 3
    states = {name for name in outcome.reached if name.startswith(("withdrawal: ", "rail: "))}
    assert states == {
        "withdrawal: none -> reserved",
        "withdrawal: reserved -> instructed",
        "withdrawal: instructed -> posted",
    }


@pytest.mark.parametrize(
    "seed", [3, 8, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in (22, 20, 49))]
)
def test_a_seed_has_one_trace_in_every_process(seed: int) -> None:
    """Sets of texts are in another order in each process of Python, unless told otherwise."""
    here = run(seed, plan_of(seed))
    code = (
        "from tests.simulation.world import run; from tests.simulation.campaign import plan_of;"
        f" print(run({seed}, plan_of({seed})).digest)"
    )
    elsewhere = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(_ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert {run(seed, plan_of(seed)).digest, *elsewhere} == {here.digest}


def test_two_seeds_have_two_traces() -> None:
    assert run(1).digest != run(2).digest


@pytest.mark.parametrize("crashes", [1, pytest.param(2, marks=pytest.mark.nightly)])
@pytest.mark.parametrize(("step", "moment"), [*CRASH_POINTS, *RAIL_CRASH_POINTS])
def test_a_process_may_die_at_every_crash_point_once_and_twice(
    step: Step | RailStep, moment: Moment, crashes: int
) -> None:
    """With the faults that lead to it, and nothing else; some need a few seeds to come about."""
    rails = (step, moment) in RAIL_CRASH_POINTS
    for seed in range(1, 40):
        faults = replace(Faults(), **LEADS_TO.get(step, {}))
        plan = Plan(faults=faults, rails=rails, networks=not rails, crashes=crashes)
        outcome = run(seed, replace(plan, crash_at=(step, moment)))
        assert outcome.violations == (), seed
        if outcome.reached.get(f"crash: {step}, {moment}", 0) >= crashes:
            return
    pytest.fail("no seed has led there")
