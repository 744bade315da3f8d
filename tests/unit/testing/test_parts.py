"""The program that runs the parts of `make test` and prints their times."""

from __future__ import annotations

import re

import pytest

from tests.testing.parts import ROOT, SUITES, Runner, Suite

SUITE = Suite(parts={"lint": 5, "unit": 40, "drill": 60}, limit_s=100)


def runner(suite: Suite, *, took_s: dict[str, float], failing: str = "") -> Runner:
    """A runner on a clock that only its parts advance."""
    now = [0.0]

    def run(part: str) -> int:
        now[0] += took_s[part]
        return 2 if part == failing else 0

    return Runner(suite=suite, run=run, now_s=lambda: now[0])


def test_each_part_is_printed_with_its_time_and_limit() -> None:
    ran = runner(SUITE, took_s={"lint": 1.25, "unit": 20, "drill": 50})

    assert ran.run_all()
    assert ran.table().splitlines() == [
        "part            seconds    limit",
        "lint                1.2        5",
        "unit               20.0       40",
        "drill              50.0       60",
        "total              71.2      100",
    ]


def test_a_part_over_its_limit_is_pointed_out_and_is_no_failure() -> None:
    ran = runner(SUITE, took_s={"lint": 1, "unit": 52, "drill": 60})

    assert ran.run_all()
    assert [line for line in ran.table().splitlines() if "OVER" in line] == [
        "unit               52.0       40  12 s OVER ITS LIMIT",
        "total             113.0      100  13 s OVER ITS LIMIT",
    ]


def test_after_a_failure_the_rest_is_not_run() -> None:
    ran = runner(SUITE, took_s={"lint": 1, "unit": 2}, failing="unit")

    assert not ran.run_all()
    assert ran.table().splitlines()[2:4] == [
        "unit                2.0       40  failed",
        "drill                         60  not run",
    ]


def test_a_suite_that_keeps_going_runs_the_rest_and_fails() -> None:
    suite = Suite(parts=SUITE.parts, limit_s=100, keep_going=True)
    ran = runner(suite, took_s={"lint": 1, "unit": 2, "drill": 3}, failing="lint")

    assert not ran.run_all()
    assert [each.part for each in ran.finished] == ["lint", "unit", "drill"]


@pytest.mark.parametrize("name", sorted(SUITES))
def test_every_part_is_a_target_and_the_limits_of_the_parts_fit_into_the_whole(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    suite = SUITES[name]

    assert set(suite.parts) <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert sum(suite.parts.values()) <= suite.limit_s
