"""The rules by which outcomes combine and observers are compared, as tables."""

from __future__ import annotations

import pytest

from seawall.scorecard.budgets import compare_observers
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import judge_facts
from seawall.scorecard.outcome import Finding, Outcome, check, combine, violations
from seawall.scorecard.run import Run

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [([], UNKNOWN), ([PASS], PASS), ([PASS, UNKNOWN], UNKNOWN), ([UNKNOWN, FAIL, PASS], FAIL)],
)
def test_fail_beats_unknown_beats_pass(outcomes: list[Outcome], verdict: Outcome) -> None:
    """No outcomes at all are UNKNOWN."""
    assert combine(outcomes) is verdict


def test_only_pass_opens_a_gate() -> None:
    """Exit codes 0, 1 and 2."""
    assert [outcome.exit_code for outcome in (PASS, FAIL, UNKNOWN)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("measured", "witness", "passed", "watching", "outcome"),
    [
        (900, 930, True, True, PASS),
        (950, 1000, True, True, PASS),  # on the bound is within it
        (980, 1020, True, True, FAIL),  # the later one is judged
        (980, 1020, False, False, UNKNOWN),  # but only of one that watched
        (900, 930, True, False, UNKNOWN),  # both saw it, but one had slept before
        (900, 1200, True, True, UNKNOWN),  # they disagree
        (1001, 1020, True, True, FAIL),
        (1001, 1020, False, False, FAIL),  # both saw it late: nothing else matters
        (1500, 9000, True, True, FAIL),  # they disagree, but both are beyond the bound
        (None, None, True, True, FAIL),  # watched, and it never came
        (None, None, True, False, UNKNOWN),  # not watched
        (None, None, False, True, UNKNOWN),  # too early to say
        (900, None, True, True, UNKNOWN),  # one of them did not see it
        (None, 900, True, True, UNKNOWN),
        (1500, None, True, True, FAIL),  # late for one, never for the other
        (None, 1500, True, True, FAIL),
    ],
)
def test_what_two_observers_prove_about_a_bound(
    *, measured: int | None, witness: int | None, passed: bool, watching: bool, outcome: Outcome
) -> None:
    """One row per case, with a bound of 1000 and a tolerance of 60."""
    found, reason = compare_observers(
        limit_us=1000,
        measured_us=measured,
        witness_us=witness,
        tolerance_us=60,
        bound_passed=passed,
        watched_to_bound=watching,
        watched_to_moment=watching,
    )

    assert found is outcome, reason


def test_violations_show_the_first_the_worst_and_the_last() -> None:
    """Three examples are enough to start with."""
    finding = violations(["a", "b", "c"], checked=9, what="rows", reason="fine", worst="b")

    assert finding.outcome is FAIL
    assert finding.details == ("first: a", "worst: b", "last: c")


def test_nothing_to_check_is_unknown() -> None:
    """A check that has checked nothing must not pass."""
    assert violations([], checked=0, what="rows", reason="fine").outcome is UNKNOWN


def test_a_check_that_crashes_is_unknown(good_run: Run) -> None:
    """The finding says what crashed."""

    @check("canary.crash", question="?", motivation="!", evidence=(), remediation="-")
    def crash(facts: Facts) -> Finding:
        raise ZeroDivisionError("by zero")

    verdict = judge_facts(Facts(good_run), [crash])

    assert verdict.outcome is UNKNOWN
    assert verdict.results[0].reason == "the check itself broke: ZeroDivisionError: by zero"


def test_no_checks_are_unknown(good_run: Run) -> None:
    """An empty set of checks passes nothing."""
    assert judge_facts(Facts(good_run), []).outcome is UNKNOWN
