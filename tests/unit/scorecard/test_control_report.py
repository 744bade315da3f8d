"""The report of a drill of one control; its matrix shows what was found, frames what differs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seawall.keys.access import TRIED
from seawall.scorecard import write
from seawall.scorecard.report.control import POWERS, square
from tests.unit.scorecard.test_one_control import DRILLS, described, evidence_of, left
from tests.unit.scorecard.test_segregation import PROOFS


def test_every_action_that_is_tried_is_a_power() -> None:
    assert {action for actions in POWERS.values() for action in actions} == {
        tried.action for tried in TRIED
    }


def test_a_square_shows_the_strongest_power_and_every_difference() -> None:
    cells = [
        {"action": "kms:GetPublicKey", "expected": "allowed", "found": "allowed"},
        {"action": "kms:Sign", "expected": "denied", "found": "allowed"},
        {"action": "kms:DisableKey", "expected": "denied", "found": "denied"},
    ]
    assert square(cells) == {
        "power": "sign",
        "allowed": ["kms:GetPublicKey", "kms:Sign"],
        "wrong": ["kms:Sign allowed, not denied"],
    }
    assert square(cells[2:])["power"] == "none"


@pytest.mark.parametrize(("wrong", "framed"), [(False, 0), (True, 1)])
def test_the_matrix_frames_a_stray_cell_and_nothing_else(
    tmp_path: Path, *, wrong: bool, framed: int
) -> None:
    run = left(tmp_path / "run", "segregation", evidence_of("segregation", wrong=wrong))
    write(run)

    page = (run / "report.html").read_text()

    assert page.count('wrong" title=') == framed
    assert page.count(">proven<") == len(PROOFS)
    assert page.count(">not proven<") == 2
    assert "http" not in page.replace("http://www.w3.org", "")


def test_principals_that_were_tried_with_other_keys_leave_empty_squares(tmp_path: Path) -> None:
    """Half a matrix proves nothing, and is drawn all the same."""
    evidence = evidence_of("segregation")
    left(tmp_path / "run", "segregation", evidence | {"cells": evidence["cells"][:5_000]})

    write(tmp_path / "run")

    assert "Who can do what" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("drill", DRILLS)
def test_without_evidence_there_is_a_report_of_the_checks_alone(tmp_path: Path, drill: str) -> None:
    run = left(tmp_path / "run", drill, {})
    described(run, drill)
    write(run)

    page = (run / "report.html").read_text()

    assert f"{drill}.json: " in page
    assert "Who can do what" not in page
    assert json.loads((run / "verdict.json").read_text())["outcome"] == "UNKNOWN"
