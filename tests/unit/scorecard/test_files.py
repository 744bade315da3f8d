"""The files that are written beside the evidence: for gates, history, CI and people."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from seawall.drill.sabotage import controls_of
from seawall.policy_file import load_policy
from seawall.scorecard import SABOTAGE_FAILS, digests, fails_without, terminal_summary, write
from seawall.scorecard.checks import ALL, database, expectations, rails
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import OF_MONEY, _note, judge_facts
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.report import SECTIONS
from seawall.scorecard.run import Run
from seawall.scorecard.verdict import Verdict
from tests.testing.scorecard.builder import POLICY

OTHERS = (*expectations.CHECKS, *database.CHECKS, *rails.CHECKS)
ASKED = [check for check in ALL if check not in OTHERS and check.id != "drill.storm"]
"""What the drill of the good run is asked."""


def lines_of(directory: Path) -> list[str]:
    """The lines of the summary as a pipe gets them."""
    # SIM115: closed together with the console.
    console = Console(width=80, record=True, file=Path("/dev/null").open("w", encoding="utf-8"))  # noqa: SIM115
    with console.file:
        console.print(terminal_summary(write(directory), directory))
        return console.export_text().rstrip("\n").splitlines()


def test_a_pass_is_written_for_gates_ci_and_people(directory: Path) -> None:
    """All four files agree, and the report loads nothing from the network."""
    write(directory)

    verdict = json.loads((directory / "verdict.json").read_text(encoding="utf-8"))
    card = json.loads((directory / "scorecard.json").read_text(encoding="utf-8"))
    suites = ET.parse(directory / "junit.xml").getroot()  # noqa: S314 - we wrote it
    report = (directory / "report.html").read_text(encoding="utf-8")
    assert (verdict["outcome"], verdict["exit_code"], verdict["failed"], verdict["unknown"]) == (
        "PASS",
        0,
        [],
        [],
    )
    assert card["categories"]["safety"] == {"outcome": "PASS", "passed": 13, "total": 13}
    assert {entry["id"] for entry in card["checks"]} == {check.id for check in ASKED}
    assert all(
        entry["evidence"] and entry["remediation"] and entry["motivation"]
        for entry in card["checks"]
    )
    assert set(verdict) == {
        "outcome",
        "exit_code",
        "sentence",
        "note",
        "failed",
        "unknown",
        "checks",
        "not_claimed",
        "times",
        "figures",
        "identity",
        "judge",
    }
    assert verdict["checks"] == dict.fromkeys((check.id for check in ASKED), "PASS")
    assert card["identity"]["replay"] == (
        "bin/seawall gameday --seed 7 --gameday run-with-dark-region --policy policies/sandbox.yaml"
    )
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == (
        str(len(ASKED)),
        "0",
        "0",
    )
    assert not re.search(r"(?:src|href)=\"(?!data:)|@import|url\(|https?://", report)
    assert report.count("<svg") == 5 + 3
    assert "Not drawn" not in report


def test_failures_and_unknowns_are_red_in_junit(directory: Path) -> None:
    """UNKNOWN is an error, FAIL a failure: neither is skipped, neither is green."""
    pages = directory / "pages.jsonl"
    pages.unlink()
    pages.touch()
    manifest = directory / "manifest.json"
    journal = directory / "chaos-journal.json"
    journal.unlink()
    journal.write_text("{}", encoding="utf-8")
    changed = json.loads(manifest.read_text(encoding="utf-8")) | {"files": digests(directory)}
    manifest.unlink()
    manifest.write_text(json.dumps(changed), encoding="utf-8")

    write(directory)

    suites = ET.parse(directory / "junit.xml").getroot()  # noqa: S314 - we wrote it
    assert {
        case.get("name") for case in suites.iter("testcase") if case.find("failure") is not None
    } == {"page.failover", "page.protection"}
    assert {
        case.get("name") for case in suites.iter("testcase") if case.find("error") is not None
    } == {"experiment.sound"}


MACHINES: dict[str, tuple[dict[str, object] | None, str | None]] = {
    "not-watched": (None, None),
    "had room": ({"processors": 2, "addition_ms": 40.0, "busy": 0.97}, None),
    "not told": ({"processors": 2, "addition_ms": 20.0, "busy": None}, None),
    "busy": ({"processors": 2, "addition_ms": 20.0, "busy": 0.99}, "2 processors were busy 99%"),
    "slow": ({"processors": 2, "addition_ms": 70.2, "busy": None}, "additions took 70 ms"),
}


@pytest.mark.parametrize("named", MACHINES)
def test_who_does_not_pass_is_told_of_a_machine_that_had_nothing_left(
    directory: Path, named: str
) -> None:
    """It changes no outcome, and a PASS needs no excuse."""
    machine, expected = MACHINES[named]
    passed = with_manifest(directory, machine=machine)
    assert (passed.outcome, passed.note) == (Outcome.PASS, None)

    broken = with_manifest(directory, kind="sandbox", broke="it stopped")

    assert broken.outcome is not Outcome.PASS
    if expected is None:
        assert broken.note is None
        return
    assert broken.note is not None
    assert expected in broken.note
    assert "which it shared with the venue" in broken.note
    assert broken.note in lines_of(directory)
    assert broken.note in (directory / "report.html").read_text(encoding="utf-8")
    elsewhere = with_manifest(directory, kind="staging")
    assert "The machine of the flood had nothing left" in (elsewhere.note or "")


def test_a_slow_machine_excuses_no_payment(directory: Path) -> None:
    """Not even a word of it, where nothing else is wrong."""
    verdict = with_manifest(directory, machine=MACHINES["slow"][0], kind="sandbox", broke="it did")
    assert verdict.note is not None
    assert "It excuses nothing that is wrong under customer or safety." in verdict.note

    facts = Facts(Run(directory))
    paid_twice = [
        result.model_copy(update={"outcome": Outcome.FAIL})
        for result in verdict.results
        if result.category in OF_MONEY
    ]

    assert _note(facts, paid_twice) is None


def with_manifest(directory: Path, **changes: object) -> Verdict:
    """The verdict after fields of the manifest were changed."""
    path = directory / "manifest.json"
    changed = json.loads(path.read_text(encoding="utf-8")) | changes
    path.unlink()  # it may be a link to a file that other tests read
    path.write_text(json.dumps(changed), encoding="utf-8")
    return write(directory)


def test_the_summary_ends_with_the_verdict(directory: Path) -> None:
    """Times against targets first, then where to read on, the verdict last.

    No line is folded where there is no terminal.
    """
    lines = lines_of(directory)

    assert re.match(r"failover.time +0.653 s +<= 10.000 s +PASS", lines[1])
    assert lines[-3] == f"report: {directory / 'report.html'}"
    assert lines[-2].startswith("The venue survived: failover 0.653 s of 10.000 s")
    assert lines[-2].endswith("checks hold.")
    assert lines[-1] == f"PASS  {directory.name}"


def test_the_summary_folds_on_a_terminal(directory: Path) -> None:
    """Lines wrap at the width of the terminal."""
    with Path("/dev/null").open("w", encoding="utf-8") as nowhere:
        console = Console(width=60, record=True, force_terminal=True, file=nowhere)
        console.print(terminal_summary(write(directory), directory))
        lines = console.export_text().rstrip("\n").splitlines()

    assert max(map(len, lines)) <= 60
    assert lines[-1] == f"PASS  {directory.name}"


def test_the_summary_of_a_failure_says_what_failed_and_what_to_do(directory: Path) -> None:
    """The command that runs it again comes before the verdict."""
    (directory / "chain" / "balances.csv").unlink()

    lines = lines_of(directory)

    assert "UNKNOWN evidence.complete: chain/balances.csv is missing" in lines
    labels = [line.split()[0] for line in lines[-4:]]
    assert labels.index("replay:") < labels.index("report:") < labels.index("UNKNOWN")


def test_every_category_of_check_has_a_section() -> None:
    """Otherwise the report would leave a check out."""
    placed = [category for categories in SECTIONS.values() for category in categories]

    assert sorted(placed) == sorted({check.category for check in ALL})


def test_log_tails_with_control_characters_still_make_valid_xml(directory: Path) -> None:
    """A part may die in the middle of an escape sequence."""
    dead = {"name": "anvil", "exit_code": -9, "died_at": 1.0, "log_tail": "\x1b[31mpanic\x00 <&>"}
    manifest = directory / "manifest.json"
    changed = json.loads(manifest.read_text(encoding="utf-8")) | {"components": [dead]}
    manifest.unlink()
    manifest.write_text(json.dumps(changed), encoding="utf-8")

    write(directory)

    ET.parse(directory / "junit.xml")  # noqa: S314 - we wrote it
    report = (directory / "report.html").read_text(encoding="utf-8")
    assert "panic" in report
    assert "<&>" not in report


def test_sabotage_names_only_checks_that_exist() -> None:
    """A typo here would let a sabotaged drill pass for a proven one."""
    assert set().union(*SABOTAGE_FAILS.values()) <= {check.id for check in ALL}


def test_without_a_control_a_drill_fails_what_it_asks_of_those_that_need_it() -> None:
    """Seen so with the whole sandbox."""
    drills = load_policy(POLICY).drills
    both = {"failover.time", "stress.small_completed"}
    assert fails_without("failover", drills["signing-region-dark"]) == both
    assert fails_without("failover", drills["signing-denied"]) == {*both, "tiers.avoided"}
    assert all(
        fails_without(control, drill) for drill in drills.values() for control in controls_of(drill)
    )


def test_a_verdict_says_who_judged_and_keeps_what_earlier_judges_said(directory: Path) -> None:
    """The same verdict again adds nothing; another one does not replace it unseen."""
    write(directory)
    first = json.loads((directory / "verdict.json").read_text(encoding="utf-8"))
    assert set(first["judge"]) == {"commit", "dirty"}
    write(directory)
    assert not (directory / "verdicts.jsonl").exists()

    (directory / "requests.csv").unlink()
    write(directory)
    (directory / "verdict.json").write_text("no JSON", encoding="utf-8")
    write(directory)

    lines = (directory / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [first, {"unreadable": "no JSON"}]
    assert first["outcome"] == "PASS"
    assert json.loads((directory / "verdict.json").read_text(encoding="utf-8"))["exit_code"] == 2


def test_figures_for_readiness_follow_from_the_evidence(good_run: Run) -> None:
    """Three top-ups of the target each; the run asks for more than its wallets ever hold."""
    found = {each.id: each for each in judge_facts(Facts(good_run)).figures}

    assert set(found) == {"wallet_coverage", "top_up_max"}
    assert found["top_up_max"].unit == "s"
    assert found["top_up_max"].value == pytest.approx(2.9, abs=1.0)
    assert 0.2 < found["wallet_coverage"].value < 1.5
