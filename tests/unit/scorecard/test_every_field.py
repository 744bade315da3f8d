"""Every field that a check reads is spoiled by something that it notices, or listed with a reason.

A new file, a new field and a new check fail here until they are spoiled, so that nobody has to
remember to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from seawall.scorecard.checks import ALL
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import ask
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.run import FILES, Run
from tests.testing.scorecard.every_field import DIGESTS, WORLDS, Coverage, World, written
from tests.testing.scorecard.reading import YARDSTICK, Notes, given, raw_of
from tests.testing.scorecard.table import TABLE
from tests.testing.scorecard.unspoiled import BLIND, ELSEWHERE, FOR_NOBODY, LEFT_OUT, UNSPOILED

Alter = Callable[..., Run]


def _worlds(run: Run) -> dict[str, World]:
    notes = Notes()

    def altered(files: Mapping[str, object]) -> Run:
        found = Run(run.directory)
        found.__dict__.update({**run.__dict__, **files})
        return found

    return {
        name: World.of(altered(spoil(run)), only, notes) for name, (spoil, only) in WORLDS.items()
    }


@pytest.fixture(scope="module")
def worlds(good_run: Run) -> dict[str, World]:
    """By name: runs that pass, with what their checks read."""
    return _worlds(good_run)


def test_every_field_that_a_check_reads_is_spoiled_or_listed(worlds: dict[str, World]) -> None:
    """Nobody may write into a run what no check would notice."""
    found = Coverage()
    for world in worlds.values():
        found.try_all(world, hopeless=BLIND)

    assert {written(read) for read in found.seen - found.fields} == UNSPOILED.keys()
    assert found.seen_pairs - found.pairs == BLIND.keys()
    assert found.broke == []


def test_a_check_names_as_its_evidence_what_it_reads(worlds: dict[str, World]) -> None:
    """Else a deployment that lacks it would be told that it can claim the check."""
    read: dict[str, set[str]] = {}
    for world in worlds.values():
        for check, found in world.reads.items():
            read.setdefault(check, set()).update(FILES[name] for name, _ in found)
    evidence = {check.id: {*check.evidence} for check in ALL if check.id != DIGESTS}
    always = {FILES[name] for name in ("manifest", *YARDSTICK)}

    assert read.keys() - {DIGESTS} == evidence.keys()
    assert {check: read[check] - always - named for check, named in evidence.items()} == {
        check: set() for check in evidence
    }
    assert {
        (check, file) for check, named in evidence.items() for file in named - read[check]
    } == ELSEWHERE.keys()
    assert {*FILES.values()} - set().union(*read.values()) - always == FOR_NOBODY.keys()


@pytest.mark.nightly
def test_no_spoil_of_any_field_breaks_a_check(worlds: dict[str, World]) -> None:
    """Every one, asked of every check that reads the field; none crashes, no list is stale."""
    found = Coverage()
    for world in worlds.values():
        for read in world.fields:
            for label, facts in world.spoiled(read):
                found.ask(world, read, label, facts, world.readers(read), again=True)

    assert found.broke == []
    assert sorted(found.pairs & BLIND.keys()) == []
    assert not {written(read) for read in found.fields} & UNSPOILED.keys()


@pytest.mark.nightly
@pytest.mark.parametrize("what", TABLE)
def test_nothing_becomes_better_by_what_is_left_out(what: str, good_run: Run) -> None:
    """A check that left PASS does not return to it when any one file has no lines any more.

    A file that alone holds the violation is excepted: without it nobody knows.
    """
    spoil, expected = TABLE[what]
    files = spoil(good_run)
    run = Run(good_run.directory)
    run.__dict__.update({**good_run.__dict__, **files})
    raw = raw_of(run)
    by_id = {check.id: check for check in ALL}
    better = []
    for name, content in raw.items():
        if not isinstance(content, tuple) or name in files:
            continue
        facts = Facts(given(run, {**raw, name: ()}, name))
        better += [
            (check, FILES[name])
            for check in expected
            if ask(by_id[check], facts).outcome is Outcome.PASS
        ]

    assert {pair for pair in better if pair not in LEFT_OUT} == set()
