"""What is in escrow, against the bids on record; pure.

A bid is open, settled or refunded, and its postings follow from that: one takes its amount into
escrow, and one takes it out again where the bid has ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from seawall.reconciliation.contradictions import Contradiction, Doubt
from seawall.reconciliation.facts import Bid, LedgerLine, Place, PostingLine

BID_STATES = ("open", "settled", "refunded")
KIND = "escrow"
"""The kind of account in which bids lie."""
_POSTED = {"bid": BID_STATES, "settle": ("settled",), "refund": ("refunded",)}
"""By kind of posting: the states of the bids that have one."""


def unexplained_escrow(ledger: Iterable[LedgerLine], bids: Sequence[Bid] | None) -> Iterator[Doubt]:
    """That something is in escrow and nobody has read for what."""
    if bids is None and any(_owed(ledger).values()):
        text = "the ledger has money in escrow, and bids.csv is not beside it"
        yield Doubt(comparison="reservations", text=text)


def judge_escrow(
    ledger: Iterable[LedgerLine], bids: Sequence[Bid] | None
) -> Iterator[Contradiction]:
    """Where the ledger owes more or less in escrow than open bids have, if they were read."""
    if bids is None:
        return
    owed, wanted = _owed(ledger), _amounts(bids, ("open",))
    for network, asset in sorted(owed.keys() | wanted.keys()):
        place = (network, asset)
        if owed[place] != wanted[place]:
            yield Contradiction(
                name="escrow-differs",
                text=f"the ledger has {owed[place]} {asset} in escrow on {network}, and open bids"
                f" are of {wanted[place]}",
                network=network,
                asset=asset,
                amount=abs(owed[place] - wanted[place]),
            )


def judge_bid_postings(
    postings: Iterable[PostingLine], bids: Sequence[Bid] | None
) -> Iterator[Contradiction]:
    """Where postings moved something else through escrow than the bids on record."""
    if bids is None:
        return
    moved: Counter[tuple[str, Place]] = Counter()
    for line in postings:
        if line.kind == KIND:
            moved[line.posting, (line.network, line.asset)] += line.amount
    expected: Counter[tuple[str, Place]] = Counter()
    for posting, states in _POSTED.items():
        for place, amount in _amounts(bids, states).items():
            expected[posting, place] = -amount if posting == "bid" else amount
    for posting, place in sorted(moved.keys() | expected.keys()):
        found, wanted = moved[posting, place], expected[posting, place]
        if found != wanted:
            network, asset = place
            yield Contradiction(
                name="postings-differ",
                text=f"postings `{posting}` moved {found} {asset} of escrow on {network}, and the"
                f" bids on record say {wanted}",
                network=network,
                asset=asset,
                amount=abs(found - wanted),
            )


def _owed(ledger: Iterable[LedgerLine]) -> Counter[Place]:
    owed: Counter[Place] = Counter()
    for line in ledger:
        if line.kind == KIND:
            owed[line.network, line.asset] -= line.balance
    return owed


def _amounts(bids: Iterable[Bid], states: Sequence[str]) -> Counter[Place]:
    found: Counter[Place] = Counter()
    for bid in bids:
        if bid.state in states:
            found[bid.network, bid.asset] += bid.amount
    return found
