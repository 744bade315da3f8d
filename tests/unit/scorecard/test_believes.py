"""It is written down who writes each file of a run, and whose lie alone a check would believe."""

from __future__ import annotations

from pathlib import Path

from seawall.scorecard.catalogue import page
from seawall.scorecard.checks import ALL, OF_CONTROL
from seawall.scorecard.producers import PRODUCED_BY, PRODUCERS
from seawall.scorecard.run import EVERY_FILE

ROOT = Path(__file__).resolve().parents[3]
EVERY = (*ALL, *(check for checks in OF_CONTROL.values() for check in checks))


def test_every_file_has_a_producer() -> None:
    assert PRODUCED_BY.keys() == {*EVERY_FILE.values()}
    assert {who for by in PRODUCED_BY.values() for who in by} == PRODUCERS.keys()


def test_a_check_can_be_deceived_only_by_who_writes_its_evidence() -> None:
    assert {check.id: {*check.believes} - {*check.producers} for check in EVERY} == {
        check.id: set() for check in EVERY
    }


def test_a_check_with_one_source_says_what_lie_of_it_would_pass() -> None:
    """What two write, they must agree on; what one writes, nobody contradicts."""
    alone = [check for check in EVERY if len(check.producers) == 1]

    assert alone
    assert [check.id for check in alone if not check.believes] == []


def test_every_check_says_whom_it_believes() -> None:
    """An empty answer would be a claim that no single lie passes; none has been shown yet."""
    assert [check.id for check in EVERY if not check.believes] == []


def test_the_page_of_checks_is_the_checks_own() -> None:
    """Else write it again, as its first lines say."""
    assert (ROOT / "docs" / "checks.md").read_text(encoding="utf-8") == page()
