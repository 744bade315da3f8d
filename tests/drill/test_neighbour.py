"""Noisy neighbour: with the bulkhead another bucket signs in time, and without it the drill fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.testing.drill_kit import seawall

pytestmark = pytest.mark.drill


def _drilled(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = seawall("drill", "noisy-neighbour", "--json", *arguments)
    document: dict[str, Any] = json.loads(done.stdout)
    print(json.dumps(document, indent=1))
    return done.returncode, document


def _not_passed(document: dict[str, Any]) -> dict[str, str]:
    return {
        check: found["outcome"]
        for check, found in document["checks"].items()
        if found["outcome"] != "PASS"
    }


def test_a_flood_of_one_bucket_does_not_starve_another() -> None:
    code, document = _drilled("--seed", "7")
    assert (code, _not_passed(document)) == (0, {})


def test_without_the_bulkhead_the_quiet_bucket_starves() -> None:
    """The switch that shows that the drill can fail; exactly these checks turn."""
    code, document = _drilled("--seed", "7", "--sabotage", "bulkhead")
    assert code == 1
    failed = {check for check, outcome in _not_passed(document).items() if outcome == "FAIL"}
    assert failed == {"neighbour.quiet_completed", "neighbour.noisy_share"}


def test_another_sabotage_is_refused_before_anything_starts() -> None:
    done = seawall("drill", "noisy-neighbour", "--sabotage", "mode-controller")
    assert done.returncode == 3
    assert "one of: bulkhead" in done.stderr
