"""What the command line tells its caller: one meaning per exit code, one line per error, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seawall.cli import app as command_line
from seawall.errors import ComponentDiedError, DiskFullError, ExitCode, SeawallError, UsageError


def _raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(command_line, "app", fail)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no such thing"), ExitCode.USAGE),
        (DiskFullError("no room", remedy="free some space"), ExitCode.UNFIT),
        (ComponentDiedError("venue-guard", log_tail="last words"), ExitCode.UNKNOWN),
        (RuntimeError("a bug"), ExitCode.UNKNOWN),
    ],
)
def test_every_error_has_its_code_and_one_line_and_no_traceback(
    error: Exception, code: ExitCode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Split by blame: the caller 3, the machine 4, the drill or a bug of ours 2."""
    _raising(monkeypatch, error)

    assert command_line.main(["gameday"]) == code

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("seawall: ")
    assert "Traceback" not in said.err


def test_an_error_is_json_too_when_json_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine that reads standard output learns why there is no verdict."""
    _raising(monkeypatch, SeawallError("the drill broke", remedy="try again"))

    code = command_line.main(["gameday", "--json"])

    assert json.loads(capsys.readouterr().out) == {"error": "the drill broke (try again)", "exit_code": int(code)}


def test_ctrl_c_is_unknown_and_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An interrupted drill proves nothing, whatever it had seen until then."""
    monkeypatch.setattr(command_line, "app", lambda *_, **__: 130)

    assert command_line.main(["gameday"]) == ExitCode.UNKNOWN
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["flod"], ["gameday", "--seed", "soon"], ["gameday", "--sabotage", "everything"]]
)
def test_what_makes_no_sense_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Click's own 2 would read as UNKNOWN."""
    assert command_line.main(arguments) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("seawall: ")


def test_a_broken_policy_shows_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check --json` lists them for machines, with path, found and remedy."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("policy: p\nvenue: {}\n", encoding="utf-8")

    assert command_line.main(["check", str(policy), "--json"]) == ExitCode.USAGE

    problems = json.loads(capsys.readouterr().out)["problems"]
    assert len(problems) > 5
    assert set(problems[0]) == {"path", "found", "remedy"}
