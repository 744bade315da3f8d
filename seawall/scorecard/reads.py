"""What customers looked at in the run, by the flood's log: logins, balances, status, own requests.

Facts, not judged yet. Reads never count as withdrawals, and nothing here reads the venue's records
but for the tiers, where they are offered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from seawall.conventions.reads import ANSWERED, FOLLOW_READ, READS
from seawall.errors import EvidenceError
from seawall.policy import TIERS, Function, Tier
from seawall.scorecard.facts import (
    ACKNOWLEDGED,
    MILLISECOND,
    Facts,
    format_s,
    longest_gap_us,
    once,
    percentile,
)
from seawall.scorecard.readers import CLOCK_TOLERANCE_US, SECOND, Instant
from seawall.scorecard.rows import LoggedRead, PlannedRead


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """A planned read of the run with what became of it; None if it was not sent."""

    planned_at: Instant
    logged: LoggedRead | None

    def kept(self, within_us: int) -> bool:
        """Whether the answer was right, and came so soon after the planned instant."""
        row = self.logged
        return (
            row is not None
            and row.outcome == ANSWERED
            and row.done_at - self.planned_at <= within_us
        )

    def unproven(self, within_us: int) -> bool:
        """Whether one that was not kept says nothing of the venue.

        It did not leave, or the sender made it late.
        """
        row = self.logged
        return row is None or (row.outcome == ANSWERED and row.done_at - row.sent_at <= within_us)


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Reads of one operation, counted.

    ``kept`` were answered right and in time, ``lost`` were not, and ``unproven`` show neither.
    """

    kept: tuple[Read, ...]
    lost: tuple[Read, ...]
    unproven: int

    @property
    def shown(self) -> int:
        """How many say something of the venue."""
        return len(self.kept) + len(self.lost)

    @property
    def share(self) -> Fraction:
        """Of those, how many were kept. Raises ZeroDivisionError without any."""
        return Fraction(len(self.kept), self.shown)

    @property
    def share_at_best(self) -> Fraction:
        """The same, if all that say nothing had been kept as well."""
        return Fraction(len(self.kept) + self.unproven, self.shown + self.unproven)

    @property
    def text(self) -> str:
        """For people: the share, of how many, and how long nearly all waited for a right answer."""
        if not self.shown:
            return "no samples"
        waited = [
            read.logged.done_at - read.planned_at
            for read in (*self.kept, *self.lost)
            if read.logged is not None and read.logged.outcome == ANSWERED
        ]
        slowest = f", p99 {percentile(waited, 99) / MILLISECOND:.0f} ms" if waited else ""
        return f"{float(self.share):.2%} ({len(self.kept):,} of {self.shown:,}){slowest}"

    @property
    def complaints(self) -> tuple[str, ...]:
        """What became of those that were lost: how many of each kind, and the first of all."""
        if not self.lost:
            return ()
        kinds = Counter(_fate(read) for read in self.lost)
        first = min(self.lost, key=lambda read: read.planned_at)
        took_us = first.logged.done_at - first.planned_at if first.logged else 0
        return (
            ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common()),
            f"first: {_fate(first)} after {format_s(took_us)}",
        )


def _fate(read: Read) -> str:
    row = read.logged
    if row is None:
        return "not sent"
    if row.outcome == ANSWERED:
        return "late"
    return f"{row.outcome} ({row.error})" if row.error else row.outcome


def tally(reads: Iterable[Read], *, within_us: int) -> Tally:
    """``reads`` counted; an answer counts ``within_us`` after the planned instant at most."""
    kept: list[Read] = []
    lost: list[Read] = []
    unproven = 0
    for read in reads:
        if read.kept(within_us):
            kept.append(read)
        elif read.unproven(within_us):
            unproven += 1
        else:
            lost.append(read)
    return Tally(kept=tuple(kept), lost=tuple(lost), unproven=unproven)


@once
def reads_of(facts: Facts) -> Mapping[str, tuple[Read, ...]]:
    """The reads of the run by operation, in order of their planned instants.

    Left out are looks at a withdrawal that was not acknowledged by then: there was nothing to see.
    So is what was lost while the drill itself kept the api down, as it is with the prober.

    Raises :class:`EvidenceError` for a log of other reads than those that were planned.
    """
    logged = {row.index: row for row in facts.run.reads}
    planned = {read.index: read for read in facts.run.planned_reads}
    for row in facts.run.reads:
        entry = planned.get(row.index)
        if entry is None or entry.operation != row.operation:
            raise EvidenceError(
                f"reads.csv has {row.operation} with index {row.index}, which planned_reads.csv"
                " never planned"
            )
        facts.require_planned("reads.csv", row.planned_at, entry.offset_s)
    answered = _first_acknowledgements(facts)
    within_us = facts.run.policy.probing.answer_within * MILLISECOND
    found: dict[str, list[Read]] = {operation: [] for operation in READS}
    for read in planned.values():
        if read.phase != "run" or read.operation not in found:
            continue
        sent = logged.get(read.index)
        planned_at = Instant(facts.calm_starts + round(read.offset_s * SECOND))
        each = Read(planned_at=planned_at if sent is None else sent.planned_at, logged=sent)
        down = not each.kept(within_us) and _while_down(facts, each, within_us)
        if not down and not _nothing_to_see(each, read, answered):
            found[read.operation].append(each)
    return {
        operation: tuple(sorted(each, key=lambda read: read.planned_at))
        for operation, each in found.items()
    }


def _nothing_to_see(each: Read, read: PlannedRead, answered: Mapping[int, int]) -> bool:
    """Whether the withdrawal to look at was not acknowledged by then, so that nobody looked."""
    return (
        each.logged is None
        and read.operation == FOLLOW_READ
        and answered.get(read.request, each.planned_at + 1) > each.planned_at
    )


@once
def _first_acknowledgements(facts: Facts) -> dict[int, int]:
    """When each request was acknowledged, by its index."""
    return {
        request.index: request.done_at
        for _, request in facts.sent
        if request.outcome in ACKNOWLEDGED and request.done_at is not None
    }


def _while_down(facts: Facts, read: Read, within_us: int) -> bool:
    """Whether the api was down, by a fault of the drill, in the time that the read had."""
    return any(
        read.planned_at <= up + CLOCK_TOLERANCE_US
        and down - CLOCK_TOLERANCE_US <= read.planned_at + within_us
        for down, up in facts.api_down
    )


def guaranteed(facts: Facts, operation: str, function: Function | None) -> tuple[Read, ...]:
    """The reads for whose whole time every tier in force guaranteed ``function``.

    None is what the drill contract refuses in no tier. Where the venue does not say which tier was
    in force, what protected mode guarantees is guaranteed in any.
    """
    found = reads_of(facts)[operation]
    promise = facts.run.policy.tiers.promise
    if function is None:
        return found
    if not facts.offers("mode_changes"):
        return found if function in promise("protected").guarantees else ()
    within_us = facts.run.policy.probing.answer_within * MILLISECOND
    without = [
        span
        for span in facts.tiers
        if any(span.tier == tier and function not in promise(tier).guarantees for tier in TIERS)
    ]
    return tuple(
        read
        for read in found
        if not any(
            span.starts - CLOCK_TOLERANCE_US <= read.planned_at + within_us
            and read.planned_at <= span.ends + CLOCK_TOLERANCE_US
            for span in without
        )
    )


def by_tier(facts: Facts, reads: Iterable[Read]) -> dict[Tier, tuple[Read, ...]]:
    """``reads`` by the tier at their planned instants; nothing where the venue does not say it."""
    if not facts.offers("mode_changes"):
        return {}
    every = [(facts.tier_at(read.planned_at), read) for read in reads]
    return {tier: tuple(read for named, read in every if named == tier) for tier in TIERS}


def longest_pause_us(facts: Facts, operation: str) -> int:
    """The longest part of the run in which no read of ``operation`` left, whatever came of it.

    Who had nothing to look at is no gap: the generator was awake, and found that.
    """
    sent = {row.index: row.sent_at for row in facts.run.reads if row.operation == operation}
    answered = _first_acknowledgements(facts)
    in_vain = []
    for read in facts.run.planned_reads:
        if read.operation == operation and read.index not in sent:
            planned_at = Instant(facts.calm_starts + round(read.offset_s * SECOND))
            if _nothing_to_see(Read(planned_at=planned_at, logged=None), read, answered):
                in_vain.append(planned_at)
    return longest_gap_us(
        sorted([*sent.values(), *in_vain]), starts=facts.run_starts, ends=facts.run_ends
    )
