"""The page shows what was found, and frames what differs."""

from __future__ import annotations

from seawall.drill.segregation.page import POWERS, render, square
from seawall.drill.segregation.trials import Found
from seawall.keys.access import TRIED
from tests.unit.drill.test_segregation_judge import CELLS, PROOFS, TRIALS, judged, trial


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


def test_the_page_frames_a_stray_cell_and_nothing_else() -> None:
    from seawall.drill.result import DrillResult

    stray = next(cell for cell in CELLS if not cell.allowed and cell.tried.action == "kms:Sign")
    for trials, framed in ((TRIALS, 0), ([trial(stray, Found.ALLOWED), *TRIALS], 1)):
        result = DrillResult(
            drill="segregation",
            sentence="a test",
            findings=judged(),
            conditions={
                "policy": "sandbox",
                "policy_digest": "0" * 64,
                "account": "1",
                "protected": False,
                "dry_run": False,
                "not_proven": ["cold"],
            },
            evidence={
                "cells": [each.line() for each in trials],
                "proofs": [proof.line() for proof in PROOFS],
            },
        )
        page = render(result)
        assert page.count('wrong" title=') == framed
        assert page.count(">proven<") == len(PROOFS)
        assert page.count(">not proven<") == 1
