"""A drill that was late by its machine is tried twice, and nothing else is."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.testing import drill_kit

LATE = {"note": "the machine had nothing left", "categories": {"safety": {"outcome": "PASS"}}}


@pytest.mark.parametrize(
    ("code", "verdict", "runs"),
    [
        (0, {}, 1),
        (1, {**LATE, "note": None}, 1),
        (1, {**LATE, "categories": {"safety": {"outcome": "FAIL"}}}, 1),
        (2, {**LATE, "categories": {"customer": {"outcome": "UNKNOWN"}}}, 1),
        (1, LATE, 2),
    ],
)
def test_only_what_the_machine_alone_spoilt_is_run_again(
    monkeypatch: pytest.MonkeyPatch, code: int, verdict: dict[str, Any], runs: int
) -> None:
    asked: list[tuple[str, ...]] = []

    def seawall(*arguments: str) -> subprocess.CompletedProcess[str]:
        asked.append(arguments)
        return subprocess.CompletedProcess(arguments, code, stdout="", stderr="")

    monkeypatch.setattr(drill_kit, "seawall", seawall)
    monkeypatch.setattr(drill_kit, "latest_run", lambda: drill_kit.RUNS)
    monkeypatch.setattr(drill_kit, "scorecard_of", lambda _: verdict)

    assert drill_kit.measured("gameday").returncode == code
    assert asked == [("gameday",)] * runs
