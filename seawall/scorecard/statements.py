"""Payouts over rails, by the statements of the providers that made them.

A side without a line has accepted nothing: statements are written only when every provider has
answered. A rail that was used and of which neither side has a line is one that nobody has read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import groupby
from typing import get_args

from seawall.controls.timing import RAIL_STATEMENT_EVERY_MS, RAIL_TIMEOUT_MS
from seawall.conventions.components import SIDES
from seawall.errors import EvidenceError
from seawall.formats.payout_rail import PayoutState
from seawall.scorecard.rail_rows import Instruction, StatementLine
from seawall.scorecard.readers import CLOCK_TOLERANCE_US, SECOND, Instant
from seawall.scorecard.rows import Payout
from seawall.scorecard.run import Run
from seawall.scorecard.seen import FaultSeen

READ_LATE_US_MAX = (RAIL_STATEMENT_EVERY_MS + RAIL_TIMEOUT_MS) * SECOND // 1_000 + (
    CLOCK_TOLERANCE_US
)
"""The records may have a line so much later than it was written: it is read every so often."""

_CLIENT_ID = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-[0-9]+")


def whole(run: Run, faults: Callable[[], Iterable[FaultSeen]]) -> tuple[StatementLine, ...]:
    """The statements of every provider, line by line; none if nobody offers them.

    What the venue has on record, where it offers that, must be in them, and at about that time: a
    provider's clock is no better than the venue's. Meanwhile ``faults`` may have kept the venue
    from reading.

    Raises :class:`EvidenceError` for what is not whole or contradicts the records, and if nobody
    offers statements though an instruction is on record.
    """
    instructions = run.instructions if "instructions" in run.manifest.offers else ()
    if "statements" not in run.manifest.offers:
        require_stated({row.rail for row in instructions}, ())
        return ()
    lines = tuple(sorted(run.statements, key=lambda line: (line.rail, line.side, line.n)))
    rails = run.policy.paying_rails()
    for (rail, side), own in groupby(lines, key=lambda line: (line.rail, line.side)):
        if rail not in rails or side not in SIDES:
            raise EvidenceError(f"rails/statements.csv has lines of the {side} of {rail}: of whom?")
        numbers = [line.n for line in own]
        if numbers != list(range(1, len(numbers) + 1)):
            raise EvidenceError(f"the statement of the {side} of {rail} is not whole")
    for line in lines:
        if line.state not in get_args(PayoutState):
            raise EvidenceError(f"rails/statements.csv calls {line.client_id} {line.state!r}")
        if line.state != "cancelled" and None in (line.asset, line.amount, line.destination):
            raise EvidenceError(f"rails/statements.csv does not say what {line.client_id} paid")
    _require_as_recorded(
        lines, instructions, since=round(run.manifest.started_at * SECOND), faults=faults
    )
    return lines


def require_stated(used: Collection[str], lines: Iterable[StatementLine]) -> None:
    """Raise :class:`EvidenceError` for a rail that was ``used`` and has no line."""
    silent = sorted({*used} - {line.rail for line in lines})
    if silent:
        raise EvidenceError(f"requests went over {silent[0]}, and nobody offers its statements")


def _require_as_recorded(
    lines: Iterable[StatementLine],
    instructions: Iterable[Instruction],
    *,
    since: int,
    faults: Callable[[], Iterable[FaultSeen]],
) -> None:
    """Raise :class:`EvidenceError` if an acceptance on record is not stated, or at another time.

    Of earlier drills on the stack the faults are not known, and their times are not compared.
    """
    stated: dict[tuple[str, str, str], Instant] = {}
    for line in lines:
        if line.state == "accepted":
            stated.setdefault((line.rail, line.side, line.client_id), line.at)
    for row in instructions:
        if row.accepted_at is None:
            continue
        at = stated.get((row.rail, row.side, row.client_id))
        if at is None:
            raise EvidenceError(
                f"records/instructions.csv says that the {row.side} of {row.rail} has accepted"
                f" {row.client_id}, and its statement does not"
            )
        apart_us = row.accepted_at - at
        if apart_us > READ_LATE_US_MAX and row.accepted_at >= since:
            apart_us -= _faulty_us(faults(), starts=at, ends=row.accepted_at)
        if abs(apart_us) > READ_LATE_US_MAX and max(at, row.accepted_at) >= since:
            raise EvidenceError(
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
