"""A drill of one control is judged again from its evidence, whatever its result says."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from seawall.cli import app as command_line
from seawall.drill.again import judge_again, single_drill_of
from seawall.drill.result import DrillResult
from seawall.drill.segregation.trials import Found
from seawall.formats.run_directory import write_policy
from seawall.scorecard.outcome import Outcome
from tests.unit.drill.test_neighbour import POLICY, answered
from tests.unit.drill.test_segregation_judge import BEHIND, BESIDE, PROOFS, TRIALS, judged


def neighbour(directory: Path, *, starved: bool = False) -> None:
    """The run of a flood, whose result says PASS in any case."""
    answers = [
        replace(answer, outcome="timeout") if starved and answer.who == "quiet" else answer
        for answer in answered()
    ]
    _write(
        directory,
        "noisy-neighbour",
        conditions={
            "operations_per_s": 100,
            "wallets": {"noisy": "customer-aster-hot", "quiet": "escrow-aster-hot"},
        },
        evidence=[asdict(answer) for answer in answers],
    )


def segregation(directory: Path, *, stray: bool = False) -> None:
    """The run of a whole matrix."""
    first = next(each for each in TRIALS if not each.cell.allowed)
    trials = [replace(first, found=Found.ALLOWED), *TRIALS] if stray else TRIALS
    _write(
        directory,
        "segregation",
        conditions={"protected": False, "harm": True},
        evidence={
            "cells": [trial.line() for trial in trials],
            "proofs": [proof.line() for proof in PROOFS],
            "beside": [each.line() for each in BESIDE],
            "behind": [trial.line() for trial in BEHIND],
        },
    )


def _write(directory: Path, drill: str, *, conditions: dict[str, Any], evidence: Any) -> None:
    directory.mkdir(exist_ok=True)
    write_policy(POLICY, directory)
    DrillResult(
        drill=drill,
        sentence="written by anyone",
        findings={
            check: replace(finding, outcome=Outcome.PASS) for check, finding in judged().items()
        },
        conditions={**conditions, "policy_digest": POLICY.digest},
        evidence=evidence,
    ).write(directory)


@pytest.mark.parametrize(
    ("write", "wrong", "failed"),
    [(neighbour, {"starved": True}, Outcome.UNKNOWN), (segregation, {"stray": True}, Outcome.FAIL)],
)
def test_evidence_decides_and_not_what_is_written_beside_it(
    tmp_path: Path,
    write: Any,
    wrong: dict[str, bool],
    failed: Outcome,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The evidence stays as it was; the verdict beside it is written anew."""
    write(tmp_path / "good")
    write(tmp_path / "bad", **wrong)

    for name, outcome in (("good", Outcome.PASS), ("bad", failed)):
        drill = single_drill_of(tmp_path / name)
        assert drill is not None
        before = (tmp_path / name / f"{drill}.json").read_bytes()
        code = command_line.main(["scorecard", str(tmp_path / name), "--json"])
        document = json.loads(capsys.readouterr().out)
        assert (document["outcome"], code) == (outcome, outcome.exit_code), document["checks"]
        assert json.loads((tmp_path / name / "verdict.json").read_text()) == document
        assert (tmp_path / name / f"{drill}.json").read_bytes() == before


def _break(directory: Path, how: str) -> None:
    file = directory / "segregation.json"
    document = json.loads(file.read_text())
    if how == "cut":
        file.write_bytes(file.read_bytes()[:1000])
        return
    if how == "another policy":
        document["conditions"]["policy_digest"] = "0" * 64
    elif how == "a cell that nobody knows":
        document["evidence"]["cells"][0]["key"] = "nobody's"
    elif how == "no evidence":
        del document["evidence"]
    elif how == "two drills":
        (directory / "noisy-neighbour.json").write_text("{}")
    file.write_text(json.dumps(document))
    if how == "no policy":
        (directory / "policy.json").unlink()


@pytest.mark.parametrize(
    "how",
    ["cut", "another policy", "a cell that nobody knows", "no evidence", "no policy", "two drills"],
)
def test_evidence_that_cannot_be_read_is_unknown(tmp_path: Path, how: str) -> None:
    segregation(tmp_path)
    _break(tmp_path, how)

    result = judge_again(tmp_path, "segregation")

    assert result.outcome is Outcome.UNKNOWN
    assert list(result.findings) == ["evidence.complete"]


def test_where_the_door_had_to_be_tried_evidence_without_it_is_unknown(tmp_path: Path) -> None:
    segregation(tmp_path)
    file = tmp_path / "segregation.json"
    document = json.loads(file.read_text())
    document["evidence"]["behind"] = None
    file.write_text(json.dumps(document))

    found = judge_again(tmp_path, "segregation").findings
    assert found["segregation.door"].outcome is Outcome.UNKNOWN
    document["conditions"]["harm"] = False
    file.write_text(json.dumps(document))
    assert "segregation.door" not in judge_again(tmp_path, "segregation").findings
