"""A run of a drill of one control is judged from its files, as every other run is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from seawall.cli import app as command_line
from seawall.errors import ExitCode
from seawall.formats.run_directory import write_policy
from seawall.policy import Policy
from seawall.readiness.history import judged_again, read_runs
from seawall.readiness.model import State, judge
from seawall.scorecard import digests, write
from seawall.scorecard.one_control import Found
from seawall.scorecard.outcome import NO_GROUND, Outcome
from seawall.scorecard.verdict import Verdict
from tests.unit.scorecard.test_files import lines_of
from tests.unit.scorecard.test_neighbour import POLICY, QUOTA, answered
from tests.unit.scorecard.test_segregation import BEHIND, BESIDE, OBSERVED, PROOFS, TRIALS

AT = 1_795_935_969.0
DRILLS = ("noisy-neighbour", "segregation")


def evidence_of(drill: str, *, wrong: bool = False) -> dict[str, Any]:
    """What the drill leaves; with ``wrong``, of a control that does not hold."""
    if drill == "noisy-neighbour":
        answers = [
            replace(each, outcome="timeout")
            if wrong and each.who == "quiet" and each.at_s > 4
            else each
            for each in answered()
        ]
        return {
            "region": "us-east-1",
            "operations_per_s": QUOTA,
            "wallets": {"noisy": "customer-aster-hot", "quiet": "escrow-aster-hot"},
            "answers": [asdict(answer) for answer in answers],
        }
    first = next(each for each in TRIALS if not each.cell.allowed)
    trials = [replace(first, found=Found.ALLOWED), *TRIALS] if wrong else TRIALS
    return {
        "observed_accounts": OBSERVED,
        "protected": False,
        "dry_run": False,
        "harm": True,
        "cells": [trial.line() for trial in trials],
        "proofs": [proof.line() for proof in PROOFS],
        "beside": [each.line() for each in BESIDE],
        "behind": [trial.line() for trial in BEHIND],
    }


def left(directory: Path, drill: str, evidence: Any, policy: Policy = POLICY, **more: Any) -> Path:
    """The run directory that the drill leaves."""
    directory.mkdir(parents=True)
    write_policy(policy, directory)
    (directory / f"{drill}.json").write_text(json.dumps(evidence))
    described(directory, drill, policy, **more)
    return directory


def described(directory: Path, drill: str, policy: Policy = POLICY, **more: Any) -> None:
    """Write the manifest, with the digests of what is there."""
    manifest = {
        "run_id": directory.name,
        "seed": 7,
        "policy": policy.policy,
        "policy_digest": policy.digest,
        "drill": drill,
        "stack": "sandbox",
        "kind": "sandbox",
        "replay": f"bin/seawall drill {drill}",
        "started_at": AT,
        "ended_at": AT + 60,
        "components": [],
        "files": digests(directory),
    }
    (directory / "manifest.json").write_text(json.dumps(manifest | more))


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    return {result.id: result.outcome for result in verdict.results}


@pytest.mark.parametrize("drill", DRILLS)
@pytest.mark.parametrize(("wrong", "outcome"), [(False, Outcome.PASS), (True, Outcome.FAIL)])
def test_evidence_decides_and_not_what_is_written_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], drill: str, *, wrong: bool, outcome: Outcome
) -> None:
    """The evidence stays as it was; the verdict beside it is written anew."""
    run = left(tmp_path / "run", drill, evidence_of(drill, wrong=wrong))
    (run / "verdict.json").write_text('{"outcome": "PASS"}')
    before = (run / f"{drill}.json").read_bytes()

    code = command_line.main(["scorecard", str(run), "--json"])

    document = json.loads(capsys.readouterr().out)
    assert (document["outcome"], code) == (outcome, outcome.exit_code), document["checks"]
    assert json.loads((run / "verdict.json").read_text()) == document
    assert (run / f"{drill}.json").read_bytes() == before


@pytest.mark.parametrize("drill", DRILLS)
def test_its_files_have_the_keys_that_those_of_every_drill_have(
    tmp_path: Path, good_directory: Path, drill: str
) -> None:
    """One shape for gates, history and CI."""
    run = left(tmp_path / "run", drill, evidence_of(drill))
    write(run)
    write(good_directory)

    for name in ("verdict.json", "scorecard.json"):
        mine, others = (json.loads((each / name).read_text()) for each in (run, good_directory))
        assert set(mine) == set(others)
        assert set(mine["identity"]) == set(others["identity"])
    card = json.loads((run / "scorecard.json").read_text())
    checks = card["checks"]
    assert (card["goals"], card["figures"], card["times"]) == ([], [], [])
    whole = {"measured", "target", "reason", "details", "question", "motivation", "remediation"}
    assert all(whole < set(check) and check["question"] for check in checks)
    assert checks[0]["id"] == "evidence.complete"
    assert checks[0]["evidence"] == ["manifest.json", "policy.json", f"{drill}.json"]


def test_unknown_is_as_little_green_in_ci_as_a_failure(tmp_path: Path) -> None:
    run = left(tmp_path / "run", "segregation", evidence_of("segregation", wrong=True))
    changed = json.loads((run / "segregation.json").read_text())
    changed["proofs"][0]["recovered"] = None
    (run / "segregation.json").write_text(json.dumps(changed))
    described(run, "segregation")

    write(run)

    suites = ET.parse(run / "junit.xml").getroot()  # noqa: S314 - we wrote it
    assert [suites.get(key) for key in ("tests", "failures", "errors")] == ["9", "1", "1"]
    assert [suite.get("name") for suite in suites] == ["evidence", "segregation", "control"]
    assert "the policy denies it" in (suites.findtext(".//failure") or "")


def test_a_person_sees_every_check_what_is_not_proven_and_the_verdict_last(tmp_path: Path) -> None:
    run = left(tmp_path / "run", "segregation", evidence_of("segregation"))

    lines = lines_of(run)

    assert lines[1].startswith("evidence.complete ")
    assert lines[9].startswith("segregation.door ")
    assert "    not proven: customer-aster-cold is cold, its key is not in this stack" in lines
    assert not [line for line in lines if line.startswith("safety")]
    assert lines[-2].startswith("The control holds: 36 principals, 12 keys, 12,960 cells of stack")
    assert lines[-1] == "PASS  run"


def test_a_person_sees_which_cells_differ_and_what_to_do(tmp_path: Path) -> None:
    run = left(tmp_path / "run", "segregation", evidence_of("segregation", wrong=True))

    lines = lines_of(run)

    [at] = [number for number, line in enumerate(lines) if line.startswith("FAIL segregation.mat")]
    assert "the policy denies it" in lines[at]
    assert "pulumi up" in lines[at + 1]
    assert "replay: bin/seawall drill segregation" in lines
    assert lines[-2].startswith("The control does not hold: segregation.matrix: ")


Spoil = Callable[[Path, dict[str, Any]], None]


def cut(run: Path, evidence: dict[str, Any]) -> None:
    (run / "noisy-neighbour.json").write_text(json.dumps(evidence)[:1000])


def without_answers(run: Path, evidence: dict[str, Any]) -> None:
    del evidence["answers"]
    (run / "noisy-neighbour.json").write_text(json.dumps(evidence))


def of_a_wallet_that_nobody_knows(run: Path, evidence: dict[str, Any]) -> None:
    evidence["wallets"]["noisy"] = "nobody's"
    (run / "noisy-neighbour.json").write_text(json.dumps(evidence))


def without_a_policy(run: Path, _evidence: dict[str, Any]) -> None:
    (run / "policy.json").unlink()


def of_another_policy(run: Path, _evidence: dict[str, Any]) -> None:
    write_policy(POLICY.model_copy(update={"policy": "another"}), run)


def beside_another_drill(run: Path, _evidence: dict[str, Any]) -> None:
    (run / "segregation.json").write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (cut, "noisy-neighbour.json is truncated or not JSON"),
        (without_answers, "noisy-neighbour.json: answers: Field required"),
        (of_a_wallet_that_nobody_knows, 'noisy-neighbour.json names no wallet "nobody\'s"'),
        (without_a_policy, "policy.json is missing"),
        (of_another_policy, "policy.json has digest"),
        (beside_another_drill, "segregation.json is there"),
    ],
)
def test_evidence_that_cannot_be_read_is_unknown(tmp_path: Path, spoil: Spoil, says: str) -> None:
    """Also where somebody has made the digests anew."""
    run = left(tmp_path / "run", "noisy-neighbour", evidence_of("noisy-neighbour"))
    spoil(run, evidence_of("noisy-neighbour"))
    described(run, "noisy-neighbour")

    verdict = write(run)

    assert verdict.outcome is Outcome.UNKNOWN
    assert says in verdict.result("evidence.complete").reason
    assert set(outcomes(verdict).values()) == {Outcome.UNKNOWN}


def test_a_cell_that_nobody_knows_is_unknown(tmp_path: Path) -> None:
    evidence = evidence_of("segregation")
    evidence["cells"][0]["key"] = "nobody's"

    verdict = write(left(tmp_path / "run", "segregation", evidence))

    assert "which the policy has not" in verdict.result("evidence.complete").reason
    assert set(outcomes(verdict).values()) == {Outcome.UNKNOWN}


def test_evidence_that_was_changed_after_the_run_proves_no_pass(tmp_path: Path) -> None:
    run = left(tmp_path / "run", "noisy-neighbour", evidence_of("noisy-neighbour"))
    evidence = evidence_of("noisy-neighbour")
    evidence["answers"][0]["latency_ms"] = 1
    (run / "noisy-neighbour.json").write_text(json.dumps(evidence))

    verdict = write(run)

    assert verdict.result("evidence.complete").reason == (
        "noisy-neighbour.json is not the file that the run wrote"
    )
    assert verdict.result("neighbour.calm").reason == NO_GROUND


def test_a_part_that_died_proves_no_pass(tmp_path: Path) -> None:
    dead = {"name": "signer-escrow", "exit_code": -9, "died_at": AT, "log_tail": "gone"}
    run = left(
        tmp_path / "run", "noisy-neighbour", evidence_of("noisy-neighbour"), components=[dead]
    )

    verdict = write(run)

    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.result("evidence.complete").reason.startswith("signer-escrow died on its own")


def test_a_stray_cell_is_proven_also_where_a_part_died(tmp_path: Path) -> None:
    dead = {"name": "pager", "exit_code": 1, "died_at": AT, "log_tail": ""}
    evidence = evidence_of("segregation", wrong=True)
    run = left(tmp_path / "run", "segregation", evidence, components=[dead])

    assert write(run).failed == ("segregation.matrix",)


def test_a_run_that_was_interrupted_is_unknown_by_the_checks_of_its_drill(tmp_path: Path) -> None:
    evidence = evidence_of("noisy-neighbour")
    run = left(tmp_path / "run", "noisy-neighbour", evidence, ended_at=None)

    verdict = write(run)

    assert verdict.outcome is Outcome.UNKNOWN
    assert "neighbour.quiet_completed" in verdict.unknown


def test_where_the_door_had_to_be_tried_evidence_without_it_is_unknown(tmp_path: Path) -> None:
    """And where it must not be tried it is not claimed."""
    evidence = evidence_of("segregation") | {"behind": None}
    run = left(tmp_path / "play money", "segregation", evidence)
    assert write(run).unknown == ("segregation.door",)

    # A sandbox has nothing but play money, whatever the evidence says.
    run = left(tmp_path / "untried", "segregation", evidence | {"harm": False})
    assert write(run).unknown == ("segregation.door",)

    run = left(tmp_path / "at stake", "segregation", evidence | {"harm": False}, kind="staging")
    verdict = write(run)
    assert verdict.outcome is Outcome.PASS
    assert [(each.id, each.needs) for each in verdict.not_claimed] == [
        ("segregation.door", ("play_money",))
    ]
    assert "8 of 9 checks are claimed and hold" in verdict.sentence
    assert "not claimed: 1 checks, for want of play_money" in lines_of(run)


REQUIRING = POLICY.model_copy(
    update={
        "readiness": tuple(
            POLICY.readiness[0].model_copy(update={"drill": drill}) for drill in DRILLS
        )
    }
)


def test_a_policy_may_require_it_and_the_gate_judges_it_again(tmp_path: Path) -> None:
    """A PASS that somebody wrote into the verdict opens nothing."""
    for drill in DRILLS:
        write(left(tmp_path / drill, drill, evidence_of(drill), REQUIRING))
    runs = read_runs([tmp_path])
    assert {run.drill: (run.stack, run.claimed) for run in runs} == {
        "noisy-neighbour": ("sandbox", (6, 6)),
        "segregation": ("sandbox", (9, 9)),
    }
    assert judge(REQUIRING, judged_again(REQUIRING, runs), now=AT + 60).outcome is Outcome.PASS

    bad = evidence_of("segregation", wrong=True)
    (tmp_path / "segregation" / "segregation.json").write_text(json.dumps(bad))
    described(tmp_path / "segregation", "segregation", REQUIRING)
    runs = read_runs([tmp_path])
    assert judge(REQUIRING, runs, now=AT + 60).outcome is Outcome.PASS
    found = judge(REQUIRING, judged_again(REQUIRING, runs), now=AT + 60)
    assert [row.state for row in found.rows] == [State.MET, State.FAILED]


def test_a_run_with_the_control_switched_off_counts_for_nothing(tmp_path: Path) -> None:
    evidence = evidence_of("noisy-neighbour")
    write(left(tmp_path / "run", "noisy-neighbour", evidence, REQUIRING, sabotage="bulkhead"))

    found = judge(REQUIRING, read_runs([tmp_path]), now=AT + 60)

    assert {row.state for row in found.rows} == {State.MISSING}


def test_its_runs_are_listed_and_compared_as_all_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, wrong in (("a", False), ("b", True)):
        evidence = evidence_of("noisy-neighbour", wrong=wrong)
        write(left(tmp_path / name, "noisy-neighbour", evidence))

    assert command_line.main(["runs", "list", "--runs", str(tmp_path), "--json"]) == ExitCode.PASS
    listed = json.loads(capsys.readouterr().out)
    assert [(run["drill"], run["outcome"]) for run in listed] == [
        ("noisy-neighbour", "FAIL"),
        ("noisy-neighbour", "PASS"),
    ]
    command_line.main(["runs", "compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"])
    assert json.loads(capsys.readouterr().out) == {
        "identity": [],
        "times": [],
        "checks": [{"name": "neighbour.quiet_completed", "first": "PASS", "second": "FAIL"}],
    }
