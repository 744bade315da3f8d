"""The map for people and machines: nothing that is missing looks like a number, or like enough."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from rich.console import Console

from seawall.exposure.page import bars, render
from seawall.exposure.views import Shown, amount, document, panel, reasons
from seawall.feasibility.exposure import COLUMNS, as_declared, exposure_of
from seawall.feasibility.exposure.figures import known, not_declared, read, unknown
from seawall.scorecard.outcome import Outcome
from tests.testing.policies import policy

HOT = "customer-aster-hot"


def shown(changes: dict[str, Any] | None = None, *, dark: str | None = None) -> Shown:
    made = policy(changes)
    there = as_declared(made, "target")
    if dark is not None:
        lost = {
            (dark, asset): unknown("the node is <dark>") for asset in made.wallets[dark].holdings
        }
        there = replace(there, holdings={**there.holdings, **lost})
    return Shown(exposure=exposure_of(made, there), stack=None, basis="at its target", at_s=None)


def text(of: Shown) -> str:
    console = Console(width=240)
    with console.capture() as capture:
        console.print(panel(of))
    return capture.get()


SHORT = {"stress.outflow.aster.AST": "778"}


@pytest.mark.parametrize(
    ("changes", "dark", "outcome"),
    [
        (None, None, Outcome.PASS),
        (SHORT, None, Outcome.FAIL),
        (None, HOT, Outcome.UNKNOWN),
        (SHORT, "customer-birch-hot", Outcome.FAIL),
    ],
)
def test_short_beats_unknown_beats_enough(
    changes: dict[str, Any] | None, dark: str | None, outcome: Outcome
) -> None:
    found = shown(changes, dark=dark)
    assert found.outcome is outcome
    assert document(found)["exit_code"] == outcome.exit_code


def test_nothing_that_can_be_judged_is_no_pass() -> None:
    """Of rows that the policy does not let anybody judge follows nothing."""
    found = shown()
    kept = tuple(row for row in found.exposure.routes if row.status == "not declared")
    empty = replace(found.exposure, routes=kept, buckets=(), functions=())
    assert kept
    assert replace(found, exposure=empty).outcome is Outcome.UNKNOWN


def test_people_read_what_is_short_and_by_how_much() -> None:
    said = text(shown(SHORT))
    assert "customer-aster-hot AST by 1 AST" in said
    [line] = [each for each in said.splitlines() if each.startswith("customer-aster-hot AST")]
    assert line.split()[2:] == ["hot", "210", "21", "189", "778", "588", "20", "1", "short"]
    assert said.rstrip().splitlines()[-1].startswith("FAIL  ")


def test_a_limit_is_shown_where_something_exceeds_it() -> None:
    assert "over limit" not in text(shown(SHORT))
    said = text(shown({"stress.outflow.aster.AST": "967"}))
    assert "over limit" in said
    [line] = [each for each in said.splitlines() if each.startswith("customer-aster-hot AST")]
    assert line.split()[-3:] == ["966", "1", "short"]


def test_the_age_of_what_was_read_stands_beside_it() -> None:
    made = policy()
    there = as_declared(made, "target")
    seen = {**there.holdings, (HOT, "AST"): read(Fraction(210), "a node", age_ms=4_000)}
    found = exposure_of(made, replace(there, holdings=seen))
    of = Shown(exposure=found, stack="staging", basis="read", at_s=0.0)

    lines = text(of).splitlines()

    assert lines[0].startswith("stack staging, policy literal: one cycle of stress, 90s; read")
    [line] = [each for each in lines if each.startswith("customer-aster-hot AST")]
    assert line.split()[-3:] == ["4s", "old", "enough"]


def test_people_read_why_a_number_is_missing() -> None:
    said = text(shown(dark=HOT))
    assert "?  unknown: the node is <dark> (customer-aster-hot AST and 3 more)" in said
    assert "n/d  not declared: stress declares no swaps (treasury-aster-hot AST and 3 more)" in said
    assert "need no money: login, balances" in said


def test_every_missing_number_has_its_reason() -> None:
    found = shown(dark=HOT).exposure
    said = "\n".join(reasons(found))
    for row in found.routes:
        for each in (row.available, row.taken, row.returned, row.minimum):
            assert each.amount is not None or each.source in said


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (known(Fraction(1_234_567, 2), ""), "617,283.5"),
        (known(Fraction(0), ""), "0"),
        (known(Fraction(1, 10**18), ""), "<0.001"),
        (known(Fraction(-1, 10**18), ""), ">-0.001"),
        (known(Fraction(-4, 3), ""), "-1.333"),
        (unknown(""), "?"),
        (not_declared(""), "n/d"),
    ],
)
def test_an_amount_is_never_shown_as_nothing_if_it_is_something(figure: Any, said: str) -> None:
    assert amount(figure) == said


def test_machines_get_exact_amounts_with_their_sources() -> None:
    found = json.loads(json.dumps(document(shown(dark=HOT))))
    assert set(found["columns"]) == set(COLUMNS)
    rows = {(row["group"], row["name"]): row for row in found["rows"]}
    hot = rows["customer", "customer-aster-hot AST"]
    assert hot["available"] == {
        "amount": None,
        "basis": "unknown",
        "source": "the node is <dark>",
        "age_ms": None,
    }
    assert hot["minimum"]["amount"] == "21"
    assert hot["status"] == "unknown"
    assert found["cold_windows"] == []
    assert found["functions_without_money"] == ["login", "balances"]


def test_the_page_loads_nothing_and_escapes_what_was_said() -> None:
    page = render(shown(dark=HOT))
    assert "the node is &lt;dark&gt;" in page
    assert "<dark>" not in page
    assert not re.search(r"(?:src|href)=\"(?!data:,)|url\(|@import|<script", page)
    assert 'name="viewport" content="width=device-width' in page


def test_the_page_has_a_card_for_every_row() -> None:
    found = shown()
    assert render(found).count("<article") == len(found.exposure.rows)


def test_bars_are_shares_of_the_longest() -> None:
    [hot] = [row for row in shown(SHORT).exposure.routes if row.name == f"{HOT} AST"]
    assert bars(hot) == {
        "available": "26.99",
        "taken": "100.00",
        "returned": "75.58",
        "left": "2.57",
        "minimum": "2.70",
    }


def test_what_is_below_zero_or_not_known_has_no_bar() -> None:
    [hot] = [row for row in shown(SHORT).exposure.routes if row.name == f"{HOT} AST"]
    below = replace(hot, left=read(Fraction(-3), "", age_ms=0), minimum=not_declared(""))
    assert bars(below) == {
        "available": "26.99",
        "taken": "100.00",
        "returned": "75.58",
        "left": "0.00",
    }
    assert bars(replace(hot, available=unknown(""))) is None
    nothing: dict[str, Any] = {
        each: known(Fraction(0), "") for each in ("available", "taken", "returned", "left")
    }
    assert set((bars(replace(below, **nothing)) or {}).values()) == {"0.00"}
