"""Nothing that comes between two drills of a game day is in no run: the next one looks back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seawall.conventions.evidence import EVERY_PORT
from seawall.drill.earlier import Earlier
from seawall.evidence.chain import Reach
from seawall.scorecard import digests
from seawall.scorecard.facts import Facts
from seawall.scorecard.run import Run
from tests.testing.scorecard.builder import write_run

UNNUMBERED = [port for port in EVERY_PORT if port != "numbered_payouts"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drill that went well, on a venue whose payouts carry no number."""
    made = write_run(tmp_path_factory.mktemp("day") / "first", thinned=6)
    manifest = json.loads((made / "manifest.json").read_text())
    (made / "manifest.json").write_text(json.dumps(manifest | {"offers": UNNUMBERED}))
    return made


def added(run_dir: Path, said: list[str] | None = None) -> Earlier:
    found = Earlier()
    report: Callable[[str], Any] = print if said is None else said.append
    found.add(run_dir, ended_at=7.0, report=report)
    return found


def next_run(earlier: Earlier, folder: Path) -> Run:
    """A later run of the day, of which only what it keeps of the earlier ones is there."""
    folder.mkdir()
    earlier.write(folder)
    found = Run(folder)
    manifest = {"earlier": list(earlier.runs), "files": digests(folder)}
    (folder / "manifest.json").write_text(
        json.dumps(
            {
                "run_id": "r",
                "seed": 1,
                "policy": "p",
                "policy_digest": "d",
                "drill": "calm",
                "started_at": 1,
                "ended_at": 2,
                "components": [],
                **manifest,
            }
        )
    )
    return found


def test_the_next_drill_knows_what_was_asked_for_and_how_often_it_was_paid(
    run_dir: Path, tmp_path: Path
) -> None:
    facts = Facts(Run(run_dir))

    run = next_run(added(run_dir), tmp_path / "second")

    assert {row.run for row in run.earlier} == {"first"}
    assert sum(row.asked for row in run.earlier) == len(facts.demands)
    assert sum(row.paid for row in run.earlier) == len(facts.run.payouts)
    assert {row.key for row in run.earlier} == {demand.key for demand in facts.demands}
    assert "earlier" in run.expected


def test_what_was_refunded_is_not_owed(run_dir: Path, tmp_path: Path) -> None:
    refunded = Facts(Run(run_dir)).demands[0]
    copy = tmp_path / "refunding"
    copy.mkdir()
    for path in run_dir.rglob("*"):
        if path.is_file():
            (copy / path.relative_to(run_dir)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(run_dir)).write_bytes(path.read_bytes())
    followed = (copy / "followed.csv").read_text().splitlines()
    [at] = [n for n, line in enumerate(followed) if line.startswith(f"{refunded.id},")]
    followed[at] = followed[at].replace("posted", "voided")
    (copy / "followed.csv").write_text("\n".join(followed) + "\n")
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"files": digests(copy)}))

    run = next_run(added(copy), tmp_path / "second")

    assert [row.asked for row in run.earlier if row.key == refunded.key] == [0]


def test_where_payouts_are_numbered_on_record_nothing_is_kept(
    run_dir: Path, tmp_path: Path
) -> None:
    """The checks of safety judge all that was ever paid there, and a day is long."""
    manifest = json.loads((run_dir / "manifest.json").read_text())
    copy = tmp_path / "numbered"
    copy.mkdir()
    (copy / "manifest.json").write_text(json.dumps(manifest | {"offers": list(EVERY_PORT)}))

    found = added(copy)
    found.write(tmp_path)

    assert (found.runs, found.destinations) == ((), frozenset())
    assert not (tmp_path / "earlier.csv").exists()


def test_a_drill_whose_evidence_is_broken_is_not_watched_and_that_is_said(tmp_path: Path) -> None:
    said: list[str] = []

    found = added(tmp_path, said)

    assert found.runs == ()
    assert said == [
        f"later drills do not watch the requests of {tmp_path.name}: manifest.json is missing"
    ]


def test_transfers_are_read_from_the_beginning_of_the_day() -> None:
    """Else what was paid between two drills would be read in neither."""
    found = Earlier()

    first = found.since(Reach(heads={"aster": 30}, sent={"birch": {"hot": 4}}))
    later = found.since(Reach(heads={"aster": 90}, sent={"birch": {"hot": 9}}))

    assert (first.heads, first.sent) == ({"aster": 30}, {"birch": {"hot": 4}})
    assert (later.heads, later.sent) == ({"aster": 30}, {"birch": {"hot": 9}})
    assert found.since(None).heads == {"aster": 30}
    assert found.since(Reach(heads={"aster": 5})).heads == {"aster": 5}  # a chain begun anew


def test_aws_s_log_is_read_on_from_where_the_drill_before_ended(run_dir: Path) -> None:
    assert Earlier().logged_from(100.0) == 100.0
    assert added(run_dir).logged_from(100.0) == 7.0


def test_keys_that_nobody_counted_after_a_drill_are_counted_from_before_it(tmp_path: Path) -> None:
    found = Earlier()
    found.since(Reach(sent={"aster": {"hot": 4}}))
    found.add(tmp_path, ended_at=7.0, report=lambda _: None)

    assert found.sent == {"aster": {"hot": 4}}
