"""Which fields of which files each check reads, and which of them a generic spoil shows to matter.

A world is a run that passes, with the checks that are asked in it. In it every field that a check
reads is spoiled in some ways (:mod:`tests.testing.scorecard.mutations`), until one makes a check
leave PASS with a sentence of its own: a check that breaks has not noticed anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from seawall.scorecard.checks import ALL
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import ask
from seawall.scorecard.outcome import Check, Outcome
from seawall.scorecard.run import FILES, Run
from tests.testing.scorecard.days import calm, declared, offering, second, stormy
from tests.testing.scorecard.faulty import FAULTY, lost, rail_failed_over
from tests.testing.scorecard.mutations import mutated, mutations_of
from tests.testing.scorecard.reading import Notes, Read, given, noting, raw_of
from tests.testing.scorecard.spoiling import Spoil

BROKE = "the check itself broke"
"""Beginning of the reason of a check that crashed."""
DIGESTS = "evidence.complete"
"""Reads every file for its digest, which is test_evidence.py's subject; here, for its manifest."""

Pair = tuple[str, str]
"""(id of a check, name of a file)."""

DATABASE = ("database.rpo", "database.promises", "database.rto")
BOTH_TIERS = ("stressed", "protected")
WORLDS: Mapping[str, tuple[Spoil, Collection[str]]] = {
    "the dark region": (lambda run: {}, ()),
    "a calm day": (lambda run: calm(run, avoids=BOTH_TIERS), ("tiers.avoided", "page.none")),
    "tiers to reach": (lambda run: declared(run, reaches=BOTH_TIERS), ("tiers.reached",)),
    "payouts alone": (
        lambda run: offering(
            run,
            ("payouts",),
            claims=("drill.payouts",),
            targets=("small_withdrawals_completed_min",),
        ),
        ("stress.small_completed", "customer.paid_once", "customer.told_truth", "drill.payouts"),
    ),
    "the second drill of a day": (second, ("customer.paid_once",)),
    "a storm": (stormy, ("drill.storm",)),
    "a rail that changed its provider": (
        rail_failed_over,
        (
            *("failover.rails", "customer.paid_once", "customer.told_truth", "drill.payouts"),
            *("stress.small_completed", "recovery.time", "protected.defers", "safety.paid_once"),
            *("safety.chain_equals_posted", "safety.nothing_voided_paid"),
        ),
    ),
    "what the loss of the database cost": (lost, DATABASE),
    **{name: (spoil, ("drill.fault_landed",)) for name, spoil in FAULTY.items()},
}
"""By what is special: how the good run becomes it, and the checks that are asked (none: all)."""


@dataclass
class World:
    """A run that passes, and what its checks read."""

    run: Run
    checks: Mapping[str, Check]
    raw: Mapping[str, object]
    reads: Mapping[str, frozenset[Read]]

    @classmethod
    def of(cls, run: Run, only: Collection[str], notes: Notes) -> World:
        """The world of ``run``. Raises AssertionError for a check that does not pass in it.

        ``notes`` may be those of another world: the rows that both have are then wrapped once.
        """
        checks = {
            check.id: check
            for check in ALL
            if check.belongs(run.drill) and (not only or check.id in only)
        }
        noted = noting(run, notes)
        reads = {}
        for identity, check in checks.items():
            notes.read = set()
            notes.on = True
            finding = ask(check, Facts(noted))
            notes.on = False
            assert finding.outcome is Outcome.PASS, (identity, finding)
            reads[identity] = frozenset(
                read for read in notes.read if identity != DIGESTS or read[0] == "manifest"
            )
        return cls(run=run, checks=checks, raw=raw_of(run), reads=reads)

    @property
    def fields(self) -> list[Read]:
        """Every field that some check reads."""
        return sorted({read for found in self.reads.values() for read in found})

    @property
    def pairs(self) -> set[Pair]:
        """Every check with every file that it reads."""
        return {(check, name) for check, found in self.reads.items() for name, _ in found}

    def spoiled(self, read: Read) -> Iterator[tuple[str, Facts]]:
        """By what was done to it: the facts of the run with the field spoiled."""
        name = read[0]
        for label, mutation in mutations_of(self.raw, read).items():
            content = mutated(self.raw, read, mutation)
            if content != self.raw[name]:
                yield label, Facts(given(self.run, {**self.raw, name: content}, name))

    def readers(self, read: Read) -> list[str]:
        """The checks that read a field."""
        return [check for check, found in self.reads.items() if read in found]


@dataclass
class Coverage:
    """What generic spoils showed to matter, over all worlds so far."""

    fields: set[Read] = field(default_factory=set)
    pairs: set[Pair] = field(default_factory=set)
    seen: set[Read] = field(default_factory=set)
    seen_pairs: set[Pair] = field(default_factory=set)
    broke: list[tuple[str, Read, str, str]] = field(default_factory=list)

    def try_all(self, world: World, *, hopeless: Collection[Pair] = ()) -> None:
        """Spoil every field of ``world`` that is not known to matter yet.

        ``hopeless`` pairs are tried only where the field itself still has to be shown to matter.
        """
        self.seen |= {*world.fields}
        self.seen_pairs |= world.pairs
        for read in world.fields:
            readers = world.readers(read)
            wanted = {
                check
                for check in readers
                if (check, read[0]) not in self.pairs and (check, read[0]) not in hopeless
            }
            if read in self.fields and not wanted:
                continue
            for label, facts in world.spoiled(read):
                asked = wanted if read in self.fields else wanted | {*readers}
                self.ask(world, read, label, facts, asked)
                wanted -= {check for check in wanted if (check, read[0]) in self.pairs}
                if read in self.fields and not wanted:
                    break

    def ask(
        self,
        world: World,
        read: Read,
        label: str,
        facts: Facts,
        checks: Collection[str],
        *,
        again: bool = False,
    ) -> None:
        """Note which of ``checks`` notice the spoil; those known to only if ``again``."""
        for check in sorted(checks):
            if read in self.fields and (check, read[0]) in self.pairs and not again:
                continue
            finding = ask(world.checks[check], facts)
            if finding.reason.startswith(BROKE):
                self.broke.append((check, read, label, finding.reason))
            elif finding.outcome is not Outcome.PASS:
                self.fields.add(read)
                self.pairs.add((check, read[0]))


def written(read: Read) -> str:
    """A field as it stands in the lists: ``records/slots.csv: nonce``."""
    name, path = read
    return f"{FILES[name]}: {path}"
