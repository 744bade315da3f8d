"""`seawall reconcile`: which venue it takes, what it prints, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from seawall import sandbox_program
from seawall.cli import app as command_line
from seawall.conventions.environment import DEPLOYMENT_VARIABLE
from seawall.errors import ExitCode
from seawall.reconciliation import sources
from tests.testing.reconciled_venue import ReconciledVenue, reconciled_venue

Spoil = Callable[[ReconciledVenue], Any]


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[ReconciledVenue], None]:
    """Every node is the one of this venue; no sandbox is kept, the environment names none."""
    monkeypatch.delenv(DEPLOYMENT_VARIABLE, raising=False)
    monkeypatch.setattr(sandbox_program, "kept_deployment", lambda: None)
    monkeypatch.setattr(sources, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(sources, "finality_s_max", lambda *_: 0.05)
    return lambda venue: monkeypatch.setattr(httpx, "Client", venue.client)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda _: None, ExitCode.PASS),
        (lambda venue: venue.paid(999, 5, block=9, slot=2), ExitCode.FAIL),
        (lambda venue: setattr(venue, "dark", True), ExitCode.UNKNOWN),
    ],
)
def test_the_exit_code_is_the_outcome(
    spoil: Spoil,
    code: ExitCode,
    reading: Callable[[ReconciledVenue], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    venue = reconciled_venue()
    spoil(venue)
    reading(venue)
    path = venue.write(tmp_path).path

    assert command_line.main(["reconcile", "--deployment", str(path), "--json"]) == code

    found = json.loads(capsys.readouterr().out)
    assert found["exit_code"] == code
    assert found["outcome"] == code.name


def test_the_deployment_of_the_environment_is_taken(
    reading: Callable[[ReconciledVenue], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As by other commands; people read lines of progress beside the result, not in it."""
    venue = reconciled_venue()
    reading(venue)
    monkeypatch.setenv(DEPLOYMENT_VARIABLE, str(venue.write(tmp_path).path))

    assert command_line.main(["reconcile"]) == ExitCode.PASS

    said = capsys.readouterr()
    assert "every base unit is explained" in said.out
    assert "reading aster up to block 10" in said.err
    assert "reading aster" not in said.out


def test_without_a_venue_it_is_a_usage_error(
    reading: Callable[[ReconciledVenue], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["reconcile"]) == ExitCode.USAGE
    assert "name its file with --deployment" in capsys.readouterr().err


def test_help_lists_it_where_a_venue_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """Before what starts and ends sandboxes, and with what its exit codes mean."""
    assert command_line.main(["--help"]) == ExitCode.PASS
    listed = capsys.readouterr().out
    assert listed.index("contract ") < listed.index("reconcile ") < listed.index("down ")
    assert command_line.main(["reconcile", "--help"]) == ExitCode.PASS
    assert "Exit codes: 0 all that the venue lets" in " ".join(capsys.readouterr().out.split())
