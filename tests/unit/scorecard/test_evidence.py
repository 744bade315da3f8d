"""Broken evidence is UNKNOWN with the file, line and fault; never a traceback, never a pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seawall.errors import EvidenceError
from seawall.scorecard import digests, judge, write
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.run import FILES, Run


def rewrite(path: Path, text: str) -> None:
    """Replace a hard link to the good file by a new file."""
    path.unlink()
    path.write_text(text, encoding="utf-8")


def change_manifest(directory: Path, **changes: object) -> None:
    """Change keys of the manifest."""
    path = directory / "manifest.json"
    rewrite(path, json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes))


def write_digests(directory: Path) -> None:
    """Write the digests of the files as they are now, as if the run had written them so."""
    change_manifest(directory, files=digests(directory))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, directory: Path) -> None:
    """Every file is needed, and the error names the one that is missing."""
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
def test_a_file_that_is_no_text_is_named(name: str, directory: Path) -> None:
    """Bytes that are not UTF-8 are an error that names the file."""
    path = directory / FILES[name]
    path.unlink()
    path.write_bytes(b"\xff\xfe\x00{]\n")

    with pytest.raises(EvidenceError, match=rf"^{FILES[name]}"):
        getattr(Run(directory), name)


def test_a_wrong_cell_is_reported_with_its_line_and_column(directory: Path) -> None:
    """The error says where in the file the fault is."""
    path = directory / "records" / "slots.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = lines[3].split(",")
    cells[lines[0].split(",").index("nonce")] = "many"
    rewrite(path, "\n".join([*lines[:3], ",".join(cells), *lines[4:]]) + "\n")

    with pytest.raises(EvidenceError, match=r"^records/slots.csv line 4: nonce is 'many'$"):
        Run(directory).slots  # noqa: B018 - reading is the point


def test_a_line_of_json_that_lacks_a_key_is_reported(directory: Path) -> None:
    """The error names line and key."""
    path = directory / "probes.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    rewrite(
        path,
        "\n".join([lines[0], '{"probe": "status", "ok": true, "done_at": 1}', *lines[2:]]) + "\n",
    )

    with pytest.raises(EvidenceError, match=r"^probes.jsonl line 2: at is missing$"):
        Run(directory).probes  # noqa: B018 - reading is the point


def test_an_empty_directory_is_unknown(tmp_path: Path) -> None:
    """No evidence proves nothing, and all four files are written all the same."""
    verdict = write(tmp_path)

    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.sentence.startswith(
        "The drill proves nothing either way: evidence.complete: manifest.json is missing"
    )
    assert {path.name for path in tmp_path.iterdir()} == {
        "verdict.json",
        "scorecard.json",
        "junit.xml",
        "report.html",
    }


def test_a_file_cut_off_between_two_lines_is_unknown_by_its_digest(directory: Path) -> None:
    """Such a file parses, and would look like lost payouts."""
    path = directory / "records" / "withdrawals.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    rewrite(path, "\n".join(lines[:-500]) + "\n")

    verdict = judge(directory)

    assert verdict.outcome is Outcome.UNKNOWN
    assert (
        verdict.result("evidence.complete").reason
        == "records/withdrawals.csv is not the file that the run wrote"
    )


def test_lines_that_came_after_the_digests_break_nothing(directory: Path) -> None:
    """A page may be resolved long after the evidence was gathered."""
    path = directory / "pages.jsonl"
    text = path.read_text(encoding="utf-8")
    rewrite(path, text + text.splitlines()[0].replace("firing", "resolved") + "\n")

    assert judge(directory).outcome is Outcome.PASS


def test_lines_that_came_after_the_digests_prove_nothing(directory: Path) -> None:
    """A page that was written into the file afterwards was not received in the drill."""
    path = directory / "pages.jsonl"
    text = path.read_text(encoding="utf-8")
    rewrite(path, "")
    write_digests(directory)
    rewrite(path, text)

    verdict = judge(directory)

    assert verdict.result("evidence.complete").outcome is Outcome.PASS
    assert verdict.failed == ("page.failover", "page.protection")


@pytest.mark.parametrize("name", ["records/withdrawals.csv", "probes.jsonl"])
def test_a_file_without_a_digest_is_unknown(name: str, directory: Path) -> None:
    """It would not be known whether such a file is whole."""
    change_manifest(
        directory,
        files={path: digest for path, digest in digests(directory).items() if path != name},
    )

    verdict = judge(directory)

    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.result("evidence.complete").reason.startswith(
        f"{name} has no digest in manifest.json"
    )


@pytest.mark.parametrize("where", ["manifest", "timeline"])
def test_a_drill_that_the_kit_broke_is_unknown_and_says_why(where: str, directory: Path) -> None:
    """What was in flight when the evidence was gathered is not the venue's broken promise."""
    if where == "manifest":
        change_manifest(directory, broke="a worker of the flood was lost")
    else:
        event = {
            "at": 1_700_000_040.0,
            "source": "gameday",
            "event": "broke",
            "detail": {"reason": "a worker of the flood was lost"},
        }
        path = directory / "timeline.jsonl"
        rewrite(path, path.read_text(encoding="utf-8") + json.dumps(event) + "\n")
    for name, old, new in (
        ("records/slots.csv", ",final,", ",included,"),
        ("records/withdrawals.csv", ",posted,", ",slotted,"),
        ("chain/balances.csv", "USDX,", "USDX,1"),
    ):
        path = directory / name
        head, _, last = path.read_text(encoding="utf-8").rstrip("\n").rpartition("\n")
        rewrite(path, f"{head}\n{last.replace(old, new)}\n")
    write_digests(directory)

    verdict = judge(directory)

    assert verdict.failed == ()
    assert (
        verdict.result("evidence.complete").reason
        == "the drill broke: a worker of the flood was lost"
    )
    assert {
        "safety.acknowledged_resolved",
        "safety.nonces_contiguous",
        "safety.hot_reconciles",
    } <= set(verdict.unknown)
    assert verdict.result("safety.nonces_contiguous").details[0].startswith("FAIL by what is there")


ABSURD = {
    "an infinite zero": ("flood.json", '"t_zero": 1700000000.0', '"t_zero": Infinity'),
    "a zero that is text": ("flood.json", '"t_zero": 1700000000.0', '"t_zero": "inf"'),
    "a zero of another day": ("flood.json", '"t_zero": 1700000000.0', '"t_zero": 1600000000.0'),
    "an end beyond all floats": ("manifest.json", '"ended_at": ', '"ended_at": 1e999'),
    "a start in the year 30,000,000": ("manifest.json", '"started_at": 1', '"started_at": 1000000'),
    "an event in the far future": (
        "timeline.jsonl",
        '"at": 17000000',
        '"at": 1e300, "was": 17000000',
    ),
    "a collection seventy years on": ("timeline.jsonl", '"at": 1700000094.0', '"at": 4000000000.0'),
    "an arrival that never comes": ("arrivals.csv", "0.000000,calm", "inf,calm"),
    "an arrival in a thousand years": ("arrivals.csv", "0.000000,calm", "31536000000,calm"),
    "a commit before the epoch": ("records/flow.csv", ",16999999", ",-16999999"),
    "a block of 1970 that the prober did not see": (
        "chain/blocks.csv",
        "aster,0,1699999994,1699999994.050000",
        "aster,0,7,",
    ),
    "a nonce that is text": ("probes.jsonl", '"nonce": 1}', '"nonce": "one"}'),
    "a metric at no time": ("metrics.json", "[[1700000000,", "[[1e999,"),
    "half a character": (
        "manifest.json",
        '"log_tail": null',
        '"log_tail": "\\ud800", "died_at": 1700000001',
    ),
}
"""(file, text to replace, what to put there), by what that means."""


@pytest.mark.parametrize("what", ABSURD)
def test_absurd_evidence_is_unknown_and_still_reported(what: str, directory: Path) -> None:
    """A file may hold anything; all four files are written, and none says PASS."""
    name, old, new = ABSURD[what]
    path = directory / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    rewrite(path, text.replace(old, new, 1))
    if name != "manifest.json":
        write_digests(directory)

    verdict = write(directory)

    if what == "a block of 1970 that the prober did not see":
        assert verdict.outcome is Outcome.PASS  # a chain may have been born at any time
    else:
        assert verdict.outcome is Outcome.UNKNOWN, verdict.sentence
        assert verdict.failed == ()
    assert (directory / "report.html").read_text(encoding="utf-8").startswith("<!")


def test_a_report_that_cannot_be_drawn_is_no_pass(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page then says so, and verdict.json agrees with the exit code."""

    def broken(*_: object) -> str:
        raise OverflowError("no such figure")

    monkeypatch.setattr("seawall.scorecard.files.render", broken)

    verdict = write(directory)

    assert verdict.outcome is Outcome.UNKNOWN
    assert (
        json.loads((directory / "verdict.json").read_text(encoding="utf-8"))["exit_code"]
        == verdict.exit_code
        == 2
    )
    assert "no such figure" in (directory / "report.html").read_text(encoding="utf-8")


def test_a_truncated_file_does_not_hide_money_paid_twice(directory: Path) -> None:
    """A violation proven by its own rows stays FAIL, whatever else is missing."""
    (directory / "metrics.json").unlink()
    path = directory / "chain" / "payouts.csv"
    text = path.read_text(encoding="utf-8")
    rewrite(path, text + text.splitlines()[7] + "\n")

    verdict = judge(directory)

    assert verdict.outcome is Outcome.FAIL
    assert verdict.failed == ("customer.paid_once", "safety.paid_once")


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
    write_digests(directory)

    verdict = judge(directory)

    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.result("evidence.complete").reason == "postgres died on its own (exit code 1)"
    assert "postgres: PANIC: no space" in verdict.result("evidence.complete").details
    assert verdict.result("page.failover").details[0].startswith("FAIL by what is there")


def test_a_part_that_died_and_was_started_again_proves_no_more(directory: Path) -> None:
    """It runs at the end, and still the drill was not the planned one."""
    dead = {
        "name": "settler-aster",
        "pid": 3,
        "exit_code": None,
        "died_at": 1_700_000_030.0,
        "died_with": -9,
        "deaths": 2,
        "restarts": 2,
        "log_tail": "ready",
    }
    change_manifest(directory, components=[dead])

    verdict = judge(directory)

    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.result("evidence.complete").reason == (
        "settler-aster died on its own (exit code -9, started again 2 times)"
    )


def test_another_policy_than_the_one_in_the_manifest_is_no_evidence(directory: Path) -> None:
    """A policy that was edited after the run judges nothing."""
    change_manifest(directory, policy_digest="0" * 64)

    with pytest.raises(
        EvidenceError,
        match=r"^policy.json has digest [0-9a-f]{12}, manifest.json names 000000000000$",
    ):
        Run(directory).policy  # noqa: B018 - reading is the point


def test_a_run_that_has_not_ended_is_no_evidence(directory: Path) -> None:
    """A manifest without an end is of a run that was cut off."""
    change_manifest(directory, ended_at=None)

    assert judge(directory).outcome is Outcome.UNKNOWN


def test_sabotage_in_the_manifest_changes_nothing(directory: Path) -> None:
    """No check may know which control was switched off."""
    change_manifest(directory, sabotage="failover")

    assert judge(directory).outcome is Outcome.PASS
