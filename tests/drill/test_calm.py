"""Calm days, five in a row on one sandbox: nothing flips, pages or fails by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.testing.drill_kit import not_passed, seawall

pytestmark = [pytest.mark.drill, pytest.mark.measured, pytest.mark.nightly]

TIMES = 5
DAY_S_MAX = 1_500.0
"""Only a day that hangs takes that long."""


def test_nothing_flips_pages_or_fails_on_five_calm_days_in_a_row() -> None:
    done = seawall("drill", *["calm"] * TIMES, "--seed", "7", "--json", timeout_s=DAY_S_MAX)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    print(json.dumps([each["sentence"] for each in found["drills"]], indent=1))

    assert [each["drill"] for each in found["drills"]] == [
        f"calm-{number}" for number in range(1, TIMES + 1)
    ]
    assert [not_passed(each) for each in found["drills"]] == [{}] * TIMES
    assert (done.returncode, found["outcome"]) == (0, "PASS")
    for each in found["drills"]:  # that no tier was left, and that nobody was paged, is asked
        assert {"tiers.avoided", "page.none"} <= set(each["checks"])
        assert Path(each["run"]).name.endswith(each["drill"])
