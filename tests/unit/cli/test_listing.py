"""`seawall list`: what is declared, what can be injected, and which runs there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seawall.cli import app as command_line
from seawall.errors import ExitCode

pytestmark = pytest.mark.usefixtures("programs_asked_once")


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """The rows of the document, and that the table names them, too."""
    assert command_line.main(["list", *arguments, "--json"]) == ExitCode.PASS
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert command_line.main(["list", *arguments]) == ExitCode.PASS
    table = capsys.readouterr().out
    assert all(str(next(iter(row.values()))) in table for row in rows)
    return rows


def test_drills_and_game_days_come_from_the_policy(capsys: pytest.CaptureFixture[str]) -> None:
    drills = {row["drill"]: row for row in listed(capsys, "drills")}
    days = {row["gameday"]: row for row in listed(capsys, "gamedays")}

    assert drills["rpc-dark"]["faults"] == ["rpc-dark of rpc.aster.primary"]
    assert drills["calm"]["avoids"] == ["stressed", "protected"]
    assert {name for day in days.values() for name in day["drills"]} == drills.keys() - {
        "slow-bleed",
        "one-customer",
        "database-lost",
        "one-wei",
        "fee-spike",
        "client-frozen",
    }


def test_faults_and_profiles_come_from_the_programs_that_have_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    faults = {row["fault"]: row for row in listed(capsys, "faults")}
    profiles = {row["profile"] for row in listed(capsys, "profiles")}

    assert "rpc.birch.standby" in faults["rpc-dark"]["targets"]
    assert {"bybit-2025-02", "calm-day"} <= profiles


def test_checks_come_with_who_writes_their_evidence_and_whom_they_believe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    checks = {row["check"]: row for row in listed(capsys, "checks")}

    assert checks["safety.old_epoch"]["evidence"] == {
        "records/slots.csv": ["venue"],
        "records/mode_log.csv": ["venue"],
    }
    assert checks["safety.old_epoch"]["written by"] == ["venue"]
    assert checks["safety.old_epoch"]["believes"] == {"venue": "another epoch or time of a claim"}


def test_runs_are_listed_with_their_outcome_the_latest_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that was never judged, or whose files hold something else, is no reason to fail."""
    for name, manifest, verdict in (
        ("20260101T000000Z-1-calm", '{"drill": "calm", "seed": 1}', '{"outcome": "PASS"}'),
        ("20260102T000000Z-2-calm", '{"drill": "calm", "sabotage": "failover"}', "[]"),
        ("20260103T000000Z-3-calm", "not JSON", ""),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(manifest)
        (tmp_path / name / "verdict.json").write_text(verdict)
    (tmp_path / "latest").symlink_to("20260103T000000Z-3-calm")

    rows = listed(capsys, "runs", "--runs", str(tmp_path))

    assert [row["run"][:8] for row in rows] == ["20260103", "20260102", "20260101"]
    assert [row["outcome"] for row in rows] == ["not judged", "not judged", "PASS"]
    assert [row["sabotage"] for row in rows] == [None, "failover", None]


def test_an_empty_folder_of_runs_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["list", "runs", "--runs", str(tmp_path)]) == ExitCode.PASS
    assert capsys.readouterr().out == "none\n"
