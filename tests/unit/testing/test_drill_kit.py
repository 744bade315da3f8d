"""A drill that was late by its machine is tried twice, and nothing else is."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from seawall.scorecard.checks import ALL
from tests.testing import drill_kit

LATE = {"note": "the machine had nothing left", "failed": ["reads.status"], "unknown": []}


@pytest.mark.parametrize(
    ("code", "verdict", "runs"),
    [
        (0, LATE, 1),
        (1, LATE | {"note": None}, 1),
        (1, LATE | {"failed": ["reads.status", "safety.paid_once"]}, 1),
        (1, LATE | {"failed": ["drill.fault_landed"]}, 1),
        (1, LATE | {"unknown": ["reads.login"]}, 1),
        (4, None, 1),
        (1, None, 1),
        (1, LATE, 2),
    ],
)
def test_only_what_the_machine_alone_spoilt_is_run_again(
    monkeypatch: pytest.MonkeyPatch, code: int, verdict: dict[str, Any] | None, runs: int
) -> None:
    """Without a verdict the command made no run of its own, and an older one is nobody's."""
    asked: list[tuple[str, ...]] = []
    made = {Path("older")}

    def seawall(*arguments: str) -> subprocess.CompletedProcess[str]:
        asked.append(arguments)
        if verdict is not None:
            made.add(Path(f"run-{len(asked)}"))
        return subprocess.CompletedProcess(arguments, code, stdout="", stderr="")

    monkeypatch.setattr(drill_kit, "run_directories", lambda _runs: set(made))
    monkeypatch.setattr(
        drill_kit, "verdict_of", lambda run: {Path("run-1"): verdict, Path("older"): LATE}[run]
    )

    assert drill_kit.measured("gameday", run=seawall).returncode == code
    assert asked == [("gameday",)] * runs


def test_the_checks_that_may_be_late_are_checks() -> None:
    assert {check.id for check in ALL} > drill_kit.MEASURE_TIMES
