"""Ready is who has a recent PASS of every required drill; all else keeps the gate shut."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from seawall.cli import app as command_line
from seawall.errors import ExitCode
from seawall.formats.run_directory import PREPARED
from seawall.readiness.history import read_runs
from seawall.readiness.model import DAY_S, PastRun, State, judge
from seawall.readiness.views import document, junit, markdown, sentence
from seawall.scorecard.outcome import Outcome
from tests.testing import policies
from tests.testing.scorecard.builder import write_run
from tests.testing.scorecard.story import DRILL, ROOT

POLICY = policies.policy()
NOW = 1_800_000_000.0
PASSED = PastRun(
    directory=Path("run"),
    commit="0" * 40,
    dirty=False,
    drill="signing-region-dark",
    stack="sandbox",
    policy_digest=POLICY.digest,
    sabotage=None,
    started_at=NOW - DAY_S,
    outcome=Outcome.PASS,
    times={"failover": 0.5},
    failed=(),
)
FAILED = replace(
    PASSED,
    directory=Path("failed"),
    outcome=Outcome.FAIL,
    started_at=NOW - DAY_S / 2,
    failed=("page.failover",),
)


@pytest.mark.parametrize(
    ("runs", "state", "outcome"),
    [
        pytest.param([PASSED], State.MET, Outcome.PASS, id="passed yesterday"),
        pytest.param([], State.MISSING, Outcome.UNKNOWN, id="never run"),
        pytest.param([PASSED, FAILED], State.FAILED, Outcome.FAIL, id="failed since"),
        pytest.param(
            [FAILED, replace(PASSED, started_at=NOW - 1)],
            State.MET,
            Outcome.PASS,
            id="mended since",
        ),
        pytest.param(
            [replace(PASSED, outcome=Outcome.UNKNOWN)],
            State.UNKNOWN,
            Outcome.UNKNOWN,
            id="proved nothing",
        ),
        pytest.param(
            [replace(PASSED, started_at=NOW - 106 * DAY_S)],
            State.STALE,
            Outcome.UNKNOWN,
            id="too long ago",
        ),
        pytest.param(
            [replace(PASSED, started_at=NOW + 60)], State.STALE, Outcome.UNKNOWN, id="in the future"
        ),
        pytest.param(
            [replace(PASSED, policy_digest="another")],
            State.OTHER_POLICY,
            Outcome.UNKNOWN,
            id="of other promises",
        ),
        pytest.param(
            [replace(PASSED, stack="staging")],
            State.MISSING,
            Outcome.UNKNOWN,
            id="on another stack",
        ),
        pytest.param(
            [PASSED, replace(PASSED, stack=None, started_at=NOW - 1)],
            State.UNKNOWN,
            Outcome.UNKNOWN,
            id="a later run that did not come as far as its stack",
        ),
        pytest.param(
            [replace(PASSED, drill="calm")], State.MISSING, Outcome.UNKNOWN, id="another drill"
        ),
        pytest.param(
            [replace(PASSED, sabotage="failover")],
            State.MISSING,
            Outcome.UNKNOWN,
            id="with a control switched off",
        ),
        pytest.param(
            [PASSED, replace(FAILED, sabotage="failover")],
            State.MET,
            Outcome.PASS,
            id="a sabotage since, which must fail",
        ),
    ],
)
def test_only_the_latest_honest_pass_of_these_promises_counts(
    runs: list[PastRun], state: State, outcome: Outcome
) -> None:
    """And the outcome of all is that of the worst."""
    found = judge(POLICY, runs, now=NOW)

    assert [(row.state, row.outcome) for row in found.rows] == [(state, outcome)]
    assert found.outcome is outcome
    assert document(found)["exit_code"] == outcome.exit_code


def test_one_failed_drill_fails_the_whole() -> None:
    both = POLICY.model_copy(
        update={
            "readiness": (
                *POLICY.readiness,
                POLICY.readiness[0].model_copy(update={"stack": "staging"}),
            )
        }
    )
    staging = replace(PASSED, stack="staging", policy_digest=both.digest)
    runs = [replace(PASSED, policy_digest=both.digest), replace(staging, outcome=Outcome.FAIL)]

    found = judge(both, runs, now=NOW)

    assert [row.state for row in found.rows] == [State.MET, State.FAILED]
    assert found.outcome is Outcome.FAIL
    assert sentence(found).startswith("signing-region-dark on staging is failed: run, FAIL, 1.0 d")
    suite = ET.fromstring(junit(found))  # noqa: S314 - we wrote it
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    assert "| signing-region-dark | staging |" in markdown(found)


def test_a_policy_that_requires_nothing_is_never_ready() -> None:
    found = judge(POLICY.model_copy(update={"readiness": ()}), [PASSED], now=NOW)

    assert found.outcome is Outcome.UNKNOWN
    assert sentence(found) == "the policy requires no drill, so nothing is known"


def test_times_are_shown_in_their_order_and_breaches_counted_without_sabotage() -> None:
    runs = [
        replace(PASSED, started_at=NOW - days * DAY_S, times={"failover": 1.0 / days})
        for days in (1, 2, 4)
    ]
    found = judge(POLICY, [*runs, FAILED, replace(FAILED, sabotage="failover")], now=NOW)

    [trend] = found.trends
    assert trend.values == (0.25, 0.5, 1.0, 0.5)
    assert trend.change == pytest.approx(0.5 - 1.75 / 3)
    assert found.breaches == {"page.failover": 1}


def test_figures_are_followed_beside_times_and_claims_are_shown() -> None:
    """A PASS by a few claims must not look like one by all."""
    figures = {"wallet_coverage": (0.5, "ratio")}
    found = judge(POLICY, [replace(PASSED, claimed=(11, 25), figures=figures)], now=NOW)

    [trend] = [trend for trend in found.trends if trend.name == "wallet_coverage"]
    assert (trend.unit, trend.values, trend.change) == ("ratio", (0.5,), None)
    assert document(found)["requirements"][0]["claimed"] == (11, 25)
    assert "| 11 of 25 |" in markdown(found)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one good run that names its stack; its policy requires that drill alone."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "good")
    return folder


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = command_line.main([*arguments, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, found


def test_the_gate_judges_again_and_does_not_believe_a_verdict(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A PASS that someone wrote into verdict.json is what readiness shows, and no more."""
    runs = tmp_path / "runs"
    shutil.copytree(good, runs)
    (runs / "good" / "requests.csv").write_text("cut\n")
    (runs / "good" / "verdict.json").write_text('{"outcome": "PASS", "times": [], "failed": []}')
    shown = {
        command: next(
            row
            for row in _run(capsys, command, "--runs", str(runs))[1]["requirements"]
            if row["drill"] == DRILL
        )
        for command in ("readiness", "gate")
    }

    assert shown["readiness"]["run_outcome"] == "PASS"
    assert (shown["gate"]["run_outcome"], shown["gate"]["state"]) == ("UNKNOWN", "unknown")


def test_the_gate_is_shut_without_runs_and_refuses_a_folder_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    junit_file = tmp_path / "out.xml"

    code, found = _run(
        capsys, "gate", "--runs", str(tmp_path / "empty"), "--junit", str(junit_file)
    )

    assert (code, found["outcome"]) == (ExitCode.UNKNOWN, "UNKNOWN")
    assert {row["state"] for row in found["requirements"]} == {"missing"}
    assert int(ET.parse(junit_file).getroot().get("errors") or 0) > 0  # noqa: S314 - we wrote it
    assert command_line.main(["gate", "--runs", str(tmp_path / "none")]) == ExitCode.USAGE
    assert "there is no folder" in capsys.readouterr().err
    assert command_line.main(["gate", "--json", "--markdown"]) == ExitCode.USAGE


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[" * 100_000,
        "[]",
        '{"drill": "signing-region-dark"}',
        '{"drill": "signing-region-dark", "started_at": "today"}',
        '{"drill": "signing-region-dark", "started_at": NaN}',
        '{"drill": "signing-region-dark", "started_at": 1' + "0" * 400 + "}",
        None,
    ],
)
def test_a_run_that_cannot_be_read_is_no_reason_to_believe_the_one_before(
    tmp_path: Path, manifest: str | None
) -> None:
    """It is of unknown outcome, by the time in its name."""
    folder = tmp_path / "20261129T070609Z-51-signing-region-dark"
    folder.mkdir()
    if manifest is not None:
        (folder / "manifest.json").write_text(manifest)
    (folder / "verdict.json").write_text('{"outcome": "PASS", "failed": 5, "times": 7}')
    (tmp_path / "latest").symlink_to(folder.name)
    (tmp_path / "notes").mkdir()

    [run] = read_runs([tmp_path])

    assert (run.drill, run.stack, run.outcome) == (DRILL, None, Outcome.UNKNOWN)
    assert run.started_at == 1_795_935_969


def test_a_drill_that_is_only_prepared_is_no_run_yet(tmp_path: Path) -> None:
    """Its folder is there while the drill before it is judged; with a manifest it has begun."""
    folder = tmp_path / "20261129T070609Z-51-signing-region-dark"
    folder.mkdir()
    (folder / PREPARED).touch()
    assert read_runs([tmp_path]) == []

    (folder / "manifest.json").write_text("")

    [run] = read_runs([tmp_path])
    assert run.outcome is Outcome.UNKNOWN


def test_a_run_that_was_moved_and_linked_still_counts(tmp_path: Path) -> None:
    name = "20261129T070609Z-51-signing-region-dark"
    (tmp_path / "elsewhere" / name).mkdir(parents=True)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / name).symlink_to(tmp_path / "elsewhere" / name)

    assert [run.name for run in read_runs([tmp_path / "runs"])] == [name]


def test_a_file_without_a_case_is_not_green() -> None:
    nothing = judge(POLICY.model_copy(update={"readiness": ()}), [], now=NOW)

    assert ET.fromstring(junit(nothing)).get("errors") == "1"  # noqa: S314 - we wrote it


def test_two_runs_are_compared_by_what_was_run_by_times_and_by_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed, shown, outcome in (("a", 1, "0.5 s", "PASS"), ("b", 2, "0.7 s", "FAIL")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "verdict.json").write_text(
            json.dumps(
                {
                    "identity": {"seed": seed, "drill": "calm"},
                    "times": [{"id": "failover", "shown": shown}],
                    "checks": {"same": "PASS", "other": outcome},
                }
            )
        )
    code, found = _run(capsys, "runs", "compare", str(tmp_path / "a"), str(tmp_path / "b"))

    assert code == ExitCode.PASS
    assert found == {
        "identity": [{"name": "seed", "first": 1, "second": 2}],
        "times": [{"name": "failover", "first": "0.5 s", "second": "0.7 s"}],
        "checks": [{"name": "other", "first": "PASS", "second": "FAIL"}],
    }
    (tmp_path / "b" / "verdict.json").write_text('{"identity": [1], "times": 5}')
    odd = ["runs", "compare", str(tmp_path / "a"), str(tmp_path / "b")]
    assert command_line.main(odd) == ExitCode.USAGE
    assert "is malformed" in capsys.readouterr().err
    assert command_line.main(["runs", "compare", str(tmp_path), str(ROOT)]) == ExitCode.USAGE
    assert "judge the run with `seawall scorecard` first" in capsys.readouterr().err
