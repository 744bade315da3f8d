"""Payouts over rails, by the statements of the providers that made them.

A side without a line has accepted nothing: statements are written only when every provider has
answered. A rail that was used and of which neither side has a line is one that nobody has read.

Each provider is a source of its own: what is wrong with the statement of one leaves what another
has paid as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import get_args

from seawall.controls.timing import RAIL_STATEMENT_EVERY_MS, RAIL_TIMEOUT_MS
from seawall.conventions.components import SIDES
from seawall.errors import EvidenceError
from seawall.formats.payout_rail import PayoutState
from seawall.scorecard.chain_rows import Payout
from seawall.scorecard.rail_rows import Instruction, StatementLine
from seawall.scorecard.readers import CLOCK_TOLERANCE_US, SECOND, Instant
from seawall.scorecard.run import Run
from seawall.scorecard.seen import FaultSeen

READ_LATE_US_MAX = (RAIL_STATEMENT_EVERY_MS + RAIL_TIMEOUT_MS) * SECOND // 1_000 + (
    CLOCK_TOLERANCE_US
)
"""The records may have a line so much later than it was written: it is read every so often."""

_CLIENT_ID = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-[0-9]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """Why what a provider states is not believed, or is not all.

    ``rail`` is None if it may be any. ``partial``: lines may be missing, or mean something else; of
    a provider whose clock is wrong they are all there.
    """

    said: str
    rail: str | None = None
    side: str | None = None
    partial: bool = True


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What the providers of rails state, each by itself: ``lines`` by (rail, side), in order."""

    lines: Mapping[tuple[str, str], tuple[StatementLine, ...]]
    doubts: tuple[Doubt, ...]

    def doubts_of(self, rail: str) -> list[str]:
        """Why it is not known what was paid over ``rail``."""
        return [each.said for each in self.doubts if each.rail in (None, rail)]

    def of_rail(self, rail: str) -> list[StatementLine]:
        """The lines of both its providers, in doubt or not."""
        return [line for (of, _), own in self.lines.items() if of == rail for line in own]

    def partial(self, rail: str, side: str | None = None) -> bool:
        """Whether a provider of ``rail``, that of ``side`` if given, may have paid more."""
        return any(
            each.partial
            and each.rail in (None, rail)
            and (side is None or each.side in (None, side))
            for each in self.doubts
        )

    def settled(self) -> tuple[Payout, ...]:
        """What was surely paid. That is final, so one such line proves it, whatever is missing."""
        return tuple(each for own in self.lines.values() for each in settled(own))

    def alive(self) -> tuple[Payout, ...]:
        """What was surely paid or will be.

        What was accepted counts only where a later line that takes it back would be there.
        """
        return tuple(
            each
            for provider, own in self.lines.items()
            for each in (settled(own) if self.partial(*provider) else alive(own))
        )


def stated(run: Run, faults: Callable[[], Iterable[FaultSeen]]) -> Stated:
    """The statements of every provider, with all that is wrong with one; none if not offered.

    What the venue has on record, where it offers that, must be in them, and at about that time: a
    provider's clock is no better than the venue's. Meanwhile ``faults`` may have kept the venue
    from reading.
    """
    doubts: list[Doubt] = []
    instructions = _instructions(run, doubts)
    if "statements" not in run.manifest.offers:
        doubts += unstated({row.rail for row in instructions}, ())
        return Stated(lines={}, doubts=tuple(doubts))
    lines: dict[tuple[str, str], tuple[StatementLine, ...]] = {}
    rails = run.policy.paying_rails()
    for provider, found in groupby(
        _all_lines(run, doubts), key=lambda line: (line.rail, line.side)
    ):
        rail, side = provider
        own = tuple(found)
        if rail not in rails or side not in SIDES:
            doubts.append(
                Doubt(said=f"rails/statements.csv has lines of the {side} of {rail}: of whom?")
            )
            continue
        if (gap := _gap(own, f"the {side} of {rail}")) is not None:
            doubts.append(Doubt(said=gap, rail=rail, side=side))
            own = tuple(dict.fromkeys(own))
        lines[provider] = own
    recorded: dict[tuple[str, str], list[Instruction]] = {}
    for row in instructions:
        recorded.setdefault((row.rail, row.side), []).append(row)
    since = round(run.manifest.started_at * SECOND)
    for provider, rows in recorded.items():
        doubt = _not_as_recorded(lines.get(provider, ()), rows, since=since, faults=faults)
        if doubt is not None:
            doubts.append(doubt)
    return Stated(lines=lines, doubts=tuple(doubts))


def _instructions(run: Run, doubts: list[Doubt]) -> Sequence[Instruction]:
    """What the venue has on record of them; nothing where it does not offer that."""
    if "instructions" not in run.manifest.offers:
        return ()
    try:
        return run.instructions
    except EvidenceError as error:
        # Whether a statement ends early is then not known.
        doubts.append(Doubt(said=str(error)))
        return ()


def _all_lines(run: Run, doubts: list[Doubt]) -> list[StatementLine]:
    try:
        return sorted(run.statements, key=lambda line: (line.rail, line.side, line.n))
    except EvidenceError as error:
        doubts.append(Doubt(said=str(error)))
        return []


def _gap(own: Sequence[StatementLine], whose: str) -> str | None:
    """Why a provider's lines are not what it stated; None if they may be."""
    numbers = [line.n for line in own]
    if numbers != list(range(1, len(numbers) + 1)):
        return f"the statement of {whose} is not whole"
    for line in own:
        if line.state not in get_args(PayoutState):
            return f"rails/statements.csv calls {line.client_id} {line.state!r}"
        if line.state != "cancelled" and None in (line.asset, line.amount, line.destination):
            return f"rails/statements.csv does not say what {line.client_id} paid"
    return None


def unstated(used: Collection[str], lines: Iterable[StatementLine]) -> list[Doubt]:
    """A doubt for each rail that was ``used`` and has no line."""
    return [
        Doubt(said=f"requests went over {rail}, and nobody offers its statements", rail=rail)
        for rail in sorted({*used} - {line.rail for line in lines})
    ]


def _not_as_recorded(
    lines: Iterable[StatementLine],
    instructions: Iterable[Instruction],
    *,
    since: int,
    faults: Callable[[], Iterable[FaultSeen]],
) -> Doubt | None:
    """That an acceptance by a provider on record is not stated, or at another time.

    One that is missing comes first: then other lines may be as well. Of earlier drills on the stack
    the faults are not known, and their times are not compared.
    """
    at_of: dict[str, Instant] = {}
    for line in lines:
        if line.state == "accepted":
            at_of.setdefault(line.client_id, line.at)
    wrong_clock: Doubt | None = None
    for row in instructions:
        if row.accepted_at is None:
            continue
        at = at_of.get(row.client_id)
        if at is None:
            return Doubt(
                said=f"records/instructions.csv says that the {row.side} of {row.rail} has accepted"
                f" {row.client_id}, and its statement does not",
                rail=row.rail,
                side=row.side,
            )
        if wrong_clock is None:
            said = _apart(row, at, row.accepted_at, since=since, faults=faults)
            if said is not None:
                wrong_clock = Doubt(said=said, rail=row.rail, side=row.side, partial=False)
    return wrong_clock


def _apart(
    row: Instruction,
    at: Instant,
    accepted_at: Instant,
    *,
    since: int,
    faults: Callable[[], Iterable[FaultSeen]],
) -> str | None:
    """Why the two times of an acceptance cannot both be right; None if they can."""
    apart_us = accepted_at - at
    if apart_us > READ_LATE_US_MAX and accepted_at >= since:
        try:
            apart_us -= _faulty_us(faults(), starts=at, ends=accepted_at)
        except EvidenceError as error:
            return str(error)
    if abs(apart_us) <= READ_LATE_US_MAX or max(at, accepted_at) < since:
        return None
    return (
        f"the statement of the {row.side} of {row.rail} has {row.client_id} accepted"
        f" {apart_us / SECOND:.3f} s before the venue's records do, so that one of their"
        " clocks is wrong"
    )


def _faulty_us(faults: Iterable[FaultSeen], *, starts: Instant, ends: Instant) -> int:
    """How much of [starts, ends] some fault was in force, or not seen to be gone yet."""
    spans = sorted(
        (max(starts, fault.applied), min(ends, ends if fault.cleared is None else fault.cleared))
        for fault in faults
        if fault.applied is not None
    )
    total, until = 0, int(starts)
    for begins, gone in spans:
        total += max(0, gone - max(begins, until))
        until = max(until, gone)
    return total


def settled(lines: Iterable[StatementLine]) -> Iterator[Payout]:
    """What was paid: each line that says so, as often as it says it."""
    return _payouts(lines, ("settled",))


def alive(lines: Iterable[StatementLine]) -> Iterator[Payout]:
    """What was paid or will be: accepted once, and neither returned nor cancelled since."""
    last: dict[tuple[str, str, str], StatementLine] = {}
    paid = []
    for line in lines:
        payout = (line.rail, line.side, line.client_id)
        if payout in last and last[payout].state == "settled":  # a second one of the same id
            paid.append(last[payout])
        last[payout] = line
    return _payouts((*paid, *last.values()), ("accepted", "settled"))


def _payouts(lines: Iterable[StatementLine], states: Collection[str]) -> Iterator[Payout]:
    for line in lines:
        if line.state in states and None not in (line.asset, line.amount, line.destination):
            yield Payout(
                network=line.rail,
                seq=None,
                to=line.destination or "",
                token="",
                asset=line.asset or "",
                amount=line.amount or 0,
                tx_hash=line.client_id,
                block_number=None,
                block_timestamp=line.at,
                withdrawal_id=withdrawal_of(line.client_id),
            )


def withdrawal_of(client_id: str) -> str | None:
    """The withdrawal that an id of the reference venue names; None for another one."""
    found = _CLIENT_ID.fullmatch(client_id)
    return None if found is None else found[1]
