"""`seawall exposure`: what it takes, what it writes, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seawall.cli import app as command_line
from seawall.errors import ExitCode
from tests.testing.breaking import PRODUCTION
from tests.testing.deployments import write_deployment


def test_the_shipped_policies_are_not_short(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a policy it is that of the sandbox, at its targets."""
    assert command_line.main(["exposure", "--json"]) == ExitCode.PASS
    found = json.loads(capsys.readouterr().out)
    assert (found["policy"], found["outcome"], found["read_at"]) == ("sandbox", "PASS", None)
    assert found["basis"] == "nothing is read: everything is at its declared target"

    assert command_line.main(["exposure", str(PRODUCTION)]) == ExitCode.PASS
    said = capsys.readouterr().out
    assert "policy production: one cycle of stress, 90s" in said
    assert "cannot be judged, because the policy does not declare" in said


def test_at_its_minimum_the_venue_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    """A cycle of stress takes more than a minimum."""
    assert command_line.main(["exposure", "--level", "minimum"]) == ExitCode.FAIL
    assert "FAIL  4 of " in capsys.readouterr().out


def test_a_stack_that_cannot_be_read_is_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No node and no provider answers, and nothing offers a ledger."""
    path = write_deployment(tmp_path)

    assert command_line.main(["exposure", "--deployment", str(path), "--json"]) == ExitCode.UNKNOWN

    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (found["stack"], found["outcome"], found["exit_code"]) == ("sandbox", "UNKNOWN", 2)
    assert not [row for row in found["rows"] if row["status"] == "enough"]
    assert "minimums, buffers, limits, credit lines" in found["basis"]
    assert "reading aster" in said.err


def test_the_page_is_written_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "map.html"
    assert command_line.main(["exposure", "--html", str(page)]) == ExitCode.PASS
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "By function, in USD" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["policies/nothing.yaml"], "nothing.yaml"),
        (["--deployment", "nothing.json"], "nothing.json"),
        ([str(PRODUCTION), "--deployment", "{deployment}"], "leave the policy out"),
        (["--level", "target", "--deployment", "{deployment}"], "leave out --level"),
        (["--level", "maximum"], "maximum"),
        (["--html", "{folder}/nowhere/map.html"], "make it first"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    arguments: list[str], remedy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"deployment": str(write_deployment(tmp_path)), "folder": str(tmp_path)}
    given = [each.format(**names) for each in arguments]
    assert command_line.main(["exposure", *given]) == ExitCode.USAGE
    assert remedy in capsys.readouterr().err


def test_help_lists_it_and_says_what_its_exit_codes_mean(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command_line.main(["--help"]) == ExitCode.PASS
    listed = capsys.readouterr().out
    assert listed.index("check ") < listed.index("exposure ") < listed.index("contract ")
    assert command_line.main(["exposure", "--help"]) == ExitCode.PASS
    assert "1 something is short of its minimum" in " ".join(capsys.readouterr().out.split())
