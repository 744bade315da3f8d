"""Broken evidence is UNKNOWN and says which file is broken, where and how; it is never a traceback and never a pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seawall.errors import EvidenceError
from seawall.scorecard import judge, write
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.run import FILES, Run


def rewrite(path: Path, text: str) -> None:
    """Put a new file in the place of a link to the good one."""
    path.unlink()
    path.write_text(text, encoding="utf-8")


def change_manifest(directory: Path, **changes: object) -> None:
    """Change keys of the manifest."""
    path = directory / "manifest.json"
    rewrite(path, json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, directory: Path) -> None:
    """Every file is needed, and its absence is told by its name."""
    (directory / FILES[name]).unlink()

    with pytest.raises(EvidenceError, match=rf"^{FILES[name]} is missing$"):
        getattr(Run(directory), name)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_named(name: str, directory: Path) -> None:
    """A file that ends in the middle is not read as if it were whole."""
    path = directory / FILES[name]
    text = path.read_text(encoding="utf-8")
    rewrite(path, text[: len(text) // 2].rstrip("\n"))

    with pytest.raises(EvidenceError, match=rf"^{FILES[name]}"):
        getattr(Run(directory), name)


@pytest.mark.parametrize("name", FILES)
def test_rubbish_is_named(name: str, directory: Path) -> None:
    """Bytes that are no text are no evidence."""
    path = directory / FILES[name]
    path.unlink()
    path.write_bytes(b"\xff\xfe\x00{]\n")

    with pytest.raises(EvidenceError, match=rf"^{FILES[name]}"):
        getattr(Run(directory), name)


def test_a_wrong_cell_is_told_with_its_line_and_column(directory: Path) -> None:
    """The reader says where to look."""
    path = directory / "records" / "slots.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = lines[3].split(",")
    cells[lines[0].split(",").index("nonce")] = "many"
    rewrite(path, "\n".join([*lines[:3], ",".join(cells), *lines[4:]]) + "\n")

    with pytest.raises(EvidenceError, match=r"^records/slots.csv line 4: nonce is 'many'$"):
        Run(directory).slots  # noqa: B018 - reading is the point


def test_a_wrong_line_of_a_probe_is_told(directory: Path) -> None:
    """So is a line of JSON that lacks a key."""
    path = directory / "probes.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    rewrite(path, "\n".join([lines[0], '{"probe": "status", "ok": true, "done_at": 1}', *lines[2:]]) + "\n")

    with pytest.raises(EvidenceError, match=r"^probes.jsonl line 2: at is missing$"):
        Run(directory).probes  # noqa: B018 - reading is the point


def test_an_empty_directory_is_unknown(tmp_path: Path) -> None:
    """Nothing at all proves nothing, and all four files are written all the same."""
    verdict = write(tmp_path)

    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.sentence.startswith(
        "The drill proves nothing either way: evidence.complete: manifest.json is missing"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"verdict.json", "scorecard.json", "junit.xml", "report.html"}


def test_a_file_cut_off_between_two_lines_is_unknown_by_its_seal(directory: Path) -> None:
    """Such a file parses, and would look like lost payouts."""
    path = directory / "records" / "withdrawals.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    rewrite(path, "\n".join(lines[:-500]) + "\n")

    verdict = judge(directory)

    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.result("evidence.complete").reason == "records/withdrawals.csv is not the file that the run wrote"


def test_lines_that_came_after_the_seal_break_nothing(directory: Path) -> None:
    """A page may be resolved when the evidence has long been gathered."""
    path = directory / "pages.jsonl"
    text = path.read_text(encoding="utf-8")
    rewrite(path, text + text.splitlines()[0].replace("firing", "resolved") + "\n")

    assert judge(directory).outcome is Outcome.PASS


def test_a_truncated_file_does_not_hide_money_paid_twice(directory: Path) -> None:
    """A violation proven by its own rows stays FAIL, whatever else is missing."""
    (directory / "metrics.json").unlink()
    path = directory / "chain" / "payouts.csv"
    text = path.read_text(encoding="utf-8")
    rewrite(path, text + text.splitlines()[7] + "\n")

    verdict = judge(directory)

    assert verdict.outcome is Outcome.FAIL
    assert verdict.failed == ("safety.paid_once",)


def test_a_part_that_died_makes_the_drill_unknown_with_its_name_and_log(directory: Path) -> None:
    """Even where promises were broken: the drill was not the planned one."""
    dead = {
        "name": "postgres",
        "pid": 2,
        "exit_code": 1,
        "died_at": 1_700_000_030.0,
        "log_tail": "starting\nPANIC: no space",
    }
    change_manifest(directory, components=[dead])
    (directory / "pages.jsonl").unlink()
    (directory / "pages.jsonl").touch()
    change_manifest(directory, files={})

    verdict = judge(directory)

    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.result("evidence.complete").reason == "postgres died on its own (exit code 1)"
    assert "postgres: PANIC: no space" in verdict.result("evidence.complete").details
    assert verdict.result("page.failover").details[0].startswith("FAIL by what is there")


def test_another_policy_than_the_one_in_the_manifest_is_no_evidence(directory: Path) -> None:
    """A policy that was edited after the run judges nothing."""
    change_manifest(directory, policy_digest="0" * 64)

    with pytest.raises(EvidenceError, match=r"^policy.json has digest [0-9a-f]{12}, manifest.json names 000000000000$"):
        Run(directory).policy  # noqa: B018 - reading is the point


def test_a_run_that_has_not_ended_is_no_evidence(directory: Path) -> None:
    """A manifest without an end is of a run that was cut off."""
    change_manifest(directory, ended_at=None)

    assert judge(directory).outcome is Outcome.UNKNOWN


def test_sabotage_in_the_manifest_changes_nothing(directory: Path) -> None:
    """Judges get none of the switch."""
    change_manifest(directory, sabotage="failover")

    assert judge(directory).outcome is Outcome.PASS
