"""A payment of a request that comes when its drill is over is counted by the next one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seawall.scorecard.checks import ALL
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import ask
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.run import Run
from tests.testing.scorecard.days import second
from tests.testing.scorecard.spoiling import Files, first, without

Alter = Callable[..., Run]
FAIL, UNKNOWN, PASS = Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS
CHECK = next(check for check in ALL if check.id == "customer.paid_once")


def _again(run: Run, **changes: Any) -> Files:
    """One more payment to where the refunded request of the first drill was to be paid."""
    to = run.earlier[1].destination
    payout = next(each for each in run.payouts if each.to.lower() == to)
    return {"payouts": (*run.payouts, replace(payout, seq=99_999, **changes))}


def _once_more(run: Run) -> Files:
    """One more payment of what the first drill asked for, and got."""
    asked = run.earlier[0]
    payout = next(each for each in run.payouts if each.key == asked.key)
    return {"payouts": (*run.payouts, replace(payout, seq=99_999))}


SPOILED: dict[str, tuple[Callable[[Run], Files], Outcome, str]] = {
    "nothing is wrong": (lambda run: {}, PASS, "no destination got more"),
    "a request was paid again": (_once_more, FAIL, "by an earlier drill of the game day"),
    "one that was refunded is paid a second time": (
        _again,
        FAIL,
        "2 times, and was asked for 0 times",
    ),
    "that one is paid only now": (
        lambda run: {"earlier": first(run.earlier, lambda row: row.asked == 0, paid=0)},
        FAIL,
        "1 times, and was asked for 0 times",
    ),
    "another amount went there": (
        lambda run: _again(run, amount=1),
        FAIL,
        "1 times, and was asked for 0 times",
    ),
    "the manifest does not name a run": (
        lambda run: {"earlier": (*run.earlier, replace(run.earlier[0], run="zeroth"))},
        UNKNOWN,
        "of earlier.csv and manifest.json only one names zeroth",
    ),
}


@pytest.mark.parametrize("what", SPOILED)
def test_what_earlier_drills_asked_for_is_paid_as_often_as_that(
    what: str, altered: Alter, good_run: Run
) -> None:
    spoil, outcome, said = SPOILED[what]
    run = altered(**second(good_run))

    finding = ask(CHECK, Facts(altered(**{**second(good_run), **spoil(run)})))

    assert (finding.outcome, said in finding.reason) == (outcome, True), finding


def test_a_run_of_which_the_file_has_nothing_stands_in_the_way_of_a_pass(
    altered: Alter, good_run: Run
) -> None:
    finding = ask(CHECK, Facts(altered(earlier=())))

    assert finding.outcome is UNKNOWN
    assert finding.reason == "of earlier.csv and manifest.json only one names first"


def test_a_file_that_is_missing_stands_in_the_way_of_a_pass(
    altered: Alter, directory: Path
) -> None:
    (directory / "earlier.csv").unlink()
    run = altered()
    del run.__dict__["earlier"]
    object.__setattr__(run, "directory", directory)

    finding = ask(CHECK, Facts(run))

    assert (finding.outcome, finding.reason) == (UNKNOWN, "earlier.csv is missing")


def test_a_later_drill_that_saw_none_of_them_is_unknown(altered: Alter, good_run: Run) -> None:
    """The first payments are those of the first drill, whenever they were seen."""
    files = second(good_run)
    run = altered(**files)
    unseen = without(run.payouts, lambda row: True)

    assert ask(CHECK, Facts(altered(**{**files, "payouts": unseen}))).outcome is UNKNOWN
