"""The command line's exit codes and errors: one meaning per code, one line per error."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer

from seawall.cli import app as command_line
from seawall.cli import drills
from seawall.conventions.sabotage import GAMEDAY_SABOTAGES
from seawall.errors import ComponentDiedError, DiskFullError, ExitCode, SeawallError, UsageError
from seawall.policy.rules.drills import RESERVED
from tests.testing.policies import put, tree, write

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.usefixtures("programs_asked_once")


def _raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(command_line, "app", fail)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no such thing"), ExitCode.USAGE),
        (DiskFullError("no room", remedy="free some space"), ExitCode.UNFIT),
        (ComponentDiedError("mode-controller", log_tail="last words"), ExitCode.UNKNOWN),
        (RuntimeError("a bug"), ExitCode.UNKNOWN),
    ],
)
def test_every_error_has_its_code_and_one_line_and_no_traceback(
    error: Exception,
    code: ExitCode,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
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

    assert json.loads(capsys.readouterr().out) == {
        "error": "the drill broke (try again)",
        "exit_code": int(code),
    }


def test_ctrl_c_is_unknown_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An interrupted drill proves nothing, whatever it had seen until then."""
    monkeypatch.setattr(command_line, "app", lambda *_, **__: 130)

    assert command_line.main(["gameday"]) == ExitCode.UNKNOWN
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["flod"], ["gameday", "--seed", "soon"], ["gameday", "--sabotage", "everything"]]
)
def test_what_makes_no_sense_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Click's own 2 would read as UNKNOWN."""
    assert command_line.main(arguments) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("seawall: ")


def test_a_broken_policy_shows_every_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check --json` lists them for machines, with path, found and remedy."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("policy: p\nvenue: {}\n", encoding="utf-8")

    assert command_line.main(["check", str(policy), "--json"]) == ExitCode.USAGE

    problems = json.loads(capsys.readouterr().out)["problems"]
    assert len(problems) > 5
    assert set(problems[0]) == {"path", "found", "remedy"}


def test_the_policy_of_production_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    """The sandbox's is the default; one that scales it says little of its floods."""
    policy = ROOT / "policies" / "production.yaml"
    assert command_line.main(["check", str(policy)]) == ExitCode.PASS, capsys.readouterr().err


def test_a_good_policy_shows_the_room_that_it_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    """Each sum with its terms, for people and for machines alike."""
    assert command_line.main(["check"]) == ExitCode.PASS
    table = capsys.readouterr().out
    assert command_line.main(["check", "--json"]) == ExitCode.PASS
    document = json.loads(capsys.readouterr().out)

    page = next(each for each in document["sums"] if each["name"] == "page of run-on-the-bank")
    assert (page["limit"], page["total"], page["margin"], page["unit"], page["holds"]) == (
        "5000",
        "2000",
        "3000",
        "ms",
        True,
    )
    assert [term["name"] for term in page["terms"]] == ["scrape", "evaluate", "for", "group wait"]
    assert re.search(
        r"page of run-on-the-bank +at most 5s +"
        r"scrape 1s \+ evaluate 1s \+ for 0s \+ group wait 0s = 2s +3s",
        table,
    )
    assert all(
        re.sub(r"\s", "", each["name"]) in re.sub(r"\s", "", table) for each in document["sums"]
    )


def test_a_promise_that_cannot_be_kept_is_a_policy_error_with_its_terms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 3, and the sum on standard error."""
    changed = tree()
    put(changed, "targets.failover_max", "2s")

    assert command_line.main(["check", str(write(tmp_path, changed))]) == ExitCode.USAGE

    said = capsys.readouterr()
    assert said.out == ""
    assert (
        "targets.failover_max: found failover of signing, at most 2s:"
        " claim 350ms + breaker opens 1.2s" in said.err
    )


def test_help_leads_with_what_a_newcomer_runs_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["--help"]) == ExitCode.PASS
    listed = capsys.readouterr().out.partition("Commands:\n")[2].split("\n")
    assert listed[0].split()[0] == "gameday"


def test_help_lists_the_controls_that_can_be_switched_off(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command_line.main(["gameday", "--help"]) == ExitCode.PASS
    assert f"--sabotage {'|'.join(GAMEDAY_SABOTAGES)}" in capsys.readouterr().out


def test_the_version_is_the_commit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tarball has none, and says so."""
    for found, expected in (
        (("abc123", False), "seawall abc123\n"),
        (("abc123", True), "seawall abc123 with local changes\n"),
        (("unknown", True), "seawall unknown\n"),
    ):
        monkeypatch.setattr(command_line, "commit_of", lambda _root, found=found: found)
        assert command_line.main(["--version"]) == ExitCode.PASS
        assert capsys.readouterr().out == expected


@pytest.mark.parametrize(("shell", "code"), [("bash", ExitCode.PASS), ("dash", ExitCode.USAGE)])
def test_a_shell_can_ask_for_completion(
    shell: str, code: ExitCode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typer asks shellingham for the shell; one that it does not know is no failed drill."""
    monkeypatch.setattr("shellingham.detect_shell", lambda: (shell, f"/bin/{shell}"))
    assert command_line.main(["--show-completion"]) == code
    printed = capsys.readouterr()
    assert ("_SEAWALL_COMPLETE" in printed.out) == (code == ExitCode.PASS)
    assert (f"Shell {shell} not supported" in printed.err) == (code == ExitCode.USAGE)


def test_no_drill_can_be_called_like_a_command_of_drill() -> None:
    """Its name would run the command instead."""
    group = typer.main.get_command(drills.app)

    assert set(group.commands) == set(RESERVED)  # type: ignore[attr-defined]
