"""What earlier drills of the game day asked for, and what of it was paid after they were over.

A second payment may come when its own drill is over. Where payouts are numbered and the venue's
records are there, `safety.paid_once` sees it in the next drill; elsewhere the game day keeps what
was asked for (earlier.csv), and the next drills go on counting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from seawall.scorecard.facts import Facts, once
from seawall.scorecard.rows import Key
from seawall.scorecard.sources import Doubts


def paid_too_often(key: Key, *, paid: int, asked: int) -> str:
    """A sentence about a payout that was made more often than it was asked for."""
    network, asset, to, amount = key
    return (
        f"{amount} {asset} went to {to} on {network} {paid} times, and was asked for {asked} times"
    )


@once
def destinations(facts: Facts) -> frozenset[str]:
    """Where requests of earlier drills were to be paid, as far as that is known."""
    rows = Doubts().ask(lambda: facts.run.earlier) or ()
    return frozenset(row.destination.lower() for row in rows)


def paid_late(facts: Facts, doubts: Doubts) -> Iterator[tuple[int, str]]:
    """Each payout that was made too often since its drill was over: how often, and a sentence.

    ``doubts`` gets why not all of them may be known. What was too much already is the finding of an
    earlier drill, and counts only if it has become more.
    """
    found = doubts.ask(lambda: facts.run.earlier)
    rows = found or ()
    named, known = {*facts.run.manifest.earlier}, {row.run for row in rows}
    for run in () if found is None else sorted(named ^ known):
        doubts.note(f"of earlier.csv and manifest.json only one names {run}")
    theirs = destinations(facts)
    # This drill may have asked for a payout to the same address.
    asked: Counter[Key] = Counter(
        demand.key for demand in facts.demands if demand.destination in theirs
    )
    before: Counter[Key] = Counter()
    for row in rows:
        asked[row.key] += row.asked
        before[row.key] = max(before[row.key], row.paid)
    payouts = (*(Doubts().ask(lambda: facts.run.payouts) or ()), *facts.stated.alive())
    paid = Counter(payout.key for payout in payouts if payout.to.lower() in theirs)
    for key, count in paid.items():
        if count > max(asked[key], before[key]):
            said = paid_too_often(key, paid=count, asked=asked[key])
            yield count - asked[key], f"{said}, by an earlier drill of the game day"
