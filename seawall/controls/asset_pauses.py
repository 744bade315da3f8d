"""Pauses of an asset whose payments do not move: who is to blame for a payment that failed?

If another payment of the same asset moved in the same transaction, the asset works, and whoever
could not be paid has a destination that does not take it. If none moved, the asset may be at fault,
for example because its issuer has paused it: then nobody's payment is held for it. They wait in
their places, and a few are tried from time to time. Otherwise a paused token would drain the whole
queue into ``unknown``, and its age, on which the mode is decided, would fall meanwhile.

One destination alone pauses nothing. One that fails again and again while no other is tried is held
in the end: a bad address must not keep the venue's queue old.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

TRIED_AT_ONCE = 3
"""Payments of a paused asset in one try."""
TRY_LASTS_S = 20.0
"""After so long a try whose end nobody has seen no longer keeps others from being made."""
PAUSE_S = 1.0
"""The first pause; each further one is twice as long."""
PAUSE_S_MAX = 15.0
"""The longest pause, and so how late a working asset may be noticed.

A try costs little: at most three payments of 80,000 gas.
"""
FAILURES_MAX = 5
"""So often a payment fails before it is held, while nothing says that the asset is at fault."""
PAUSING_MIN = 2
"""From so many destinations on that were not paid, an asset rests."""
DESTINATIONS_MIN = 3
"""From so many on the asset is at fault, and none of them."""


def pause_s(failures: int) -> float:
    """How long an asset rests after ``failures`` tries in a row in which nothing moved."""
    return float(min(PAUSE_S_MAX, PAUSE_S * 2 ** min(failures - 1, 10)))


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A payment that moved nothing: ``failures`` counts this time too."""

    seq: int
    asset: str
    destination: str
    failures: int


@dataclass(frozen=True, kw_only=True)
class Blame:
    """Whose fault it was.

    Attributes:
        refused: Held: their destinations do not take what others take.
        given_up: Held: tried often enough, and nothing says who is at fault.
        waiting: Reserved again, in their places.
        broken: By asset, the destinations that are known not to have been paid.
        working: Assets of which something moved.
    """

    refused: tuple[int, ...] = ()
    given_up: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()
    broken: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    working: tuple[str, ...] = ()


def blame(
    failed: Sequence[Tried], *, moved: Iterable[str], known: Mapping[str, Sequence[str]]
) -> Blame:
    """Decide about the payments of one transaction that failed.

    Args:
        failed: What moved nothing.
        moved: The assets of which something moved in the same transaction.
        known: By paused asset, the destinations that were not paid before.
    """
    working = set(moved)
    refused: list[int] = []
    given_up: list[int] = []
    waiting: list[int] = []
    broken: dict[str, tuple[str, ...]] = {}
    for asset in sorted({each.asset for each in failed} - working):
        unpaid = {each.destination for each in failed if each.asset == asset}
        unpaid |= set(known.get(asset, ()))
        broken[asset] = tuple(sorted(unpaid)[:DESTINATIONS_MIN])
    for each in failed:
        if each.asset in working:
            refused.append(each.seq)
        elif len(broken[each.asset]) < DESTINATIONS_MIN and each.failures >= FAILURES_MAX:
            given_up.append(each.seq)
        else:
            waiting.append(each.seq)
    return Blame(
        refused=tuple(refused),
        given_up=tuple(given_up),
        waiting=tuple(waiting),
        broken=broken,
        working=tuple(sorted(working)),
    )
