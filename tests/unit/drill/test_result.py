"""What a command says of the drills that it was asked for."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from seawall.drill.result import Results
from seawall.scorecard import Outcome, judge


def test_a_missing_drill_is_the_unknown_one_and_not_the_last() -> None:
    """Also where one is asked for twice: each run has a name of its own."""
    drills = ("calm", "rpc-dark", "calm", "kms-dark")
    results = Results(gameday=None, seed=1, sabotage=None, drills=drills)
    for name, outcome in (
        ("calm-1", Outcome.PASS),
        ("calm-2", Outcome.FAIL),
        ("kms-dark", Outcome.PASS),
    ):
        verdict = judge(Path("nowhere")).model_copy(update={"outcome": outcome})
        results.verdicts.append((name, Path("runs") / name, verdict))
    assert results.outcomes() == [Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL, Outcome.PASS]


@pytest.mark.parametrize(
    ("outcomes", "together"),
    [
        ({"calm": Outcome.PASS, "rpc-dark": Outcome.PASS}, Outcome.PASS),
        ({"calm": Outcome.PASS, "rpc-dark": Outcome.FAIL}, Outcome.FAIL),
        ({"calm": Outcome.UNKNOWN, "rpc-dark": Outcome.FAIL}, Outcome.FAIL),
        ({"calm": Outcome.UNKNOWN, "rpc-dark": Outcome.PASS}, Outcome.UNKNOWN),
        ({"calm": Outcome.PASS}, Outcome.UNKNOWN),
        ({}, Outcome.UNKNOWN),
    ],
)
def test_a_game_day_is_as_good_as_its_worst_drill_and_a_missing_one_is_unknown(
    outcomes: dict[str, Outcome], together: Outcome
) -> None:
    """In the document and in the last line for people."""
    results = Results(gameday=None, seed=1, sabotage=None, drills=("calm", "rpc-dark"))
    for name, outcome in outcomes.items():
        verdict = judge(Path("nowhere")).model_copy(update={"outcome": outcome})
        results.verdicts.append((name, Path("runs") / name, verdict))
    console = Console(width=200, record=True, file=io.StringIO())
    results.print(console)

    document = results.document()
    assert (document["outcome"], document["exit_code"]) == (together, together.exit_code)
    assert [each["drill"] for each in document["drills"]] == list(outcomes)
    assert console.export_text().splitlines()[-1].split() == [together, "all", "2"]
