"""What came from cold wallets, and from other networks, against the venue's records; pure.

A custodian or a carrier makes these transactions with a key of its own, so no slot explains them.
The event names the id under which the venue has asked, and approvers have signed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from seawall.policy import Wallet
from seawall.reconciliation.approvals import Move, judge_moves
from seawall.reconciliation.books import Moved
from seawall.reconciliation.contradictions import (
    Contradiction,
    ContradictionName,
    Doubt,
    Notice,
    ids_of,
)
from seawall.reconciliation.facts import (
    CARRIER,
    IN_TRANSIT,
    ColdTransfer,
    LedgerLine,
    Payment,
    PostingLine,
    Rebalance,
    Sight,
)

_MAY_MOVE = ("sent", "released")
COLD_STATES = (
    *("requested", "approved", "sent", "arrived", "refused", "expired", "held", "resolved"),
)


REBALANCE_STATES = (
    *("requested", "released", "arrived", "refused", "expired", "held", "resolved"),
)


def judge_rebalance(
    rebalance: Rebalance, movements: Sequence[Payment], *, sight: Sight | None
) -> Moved:
    """What became of ``rebalance``; arguments as of :func:`judge_cold`.

    What the carrier has paid is right while it is on record that it was paid. What has left and has
    not come is explained by the approval with the same id, and has the stage ``in_transit``.
    """
    at = "released" if rebalance.left and rebalance.state == "requested" else rebalance.state
    found = judge_cold(replace(rebalance, state=at), movements, sight=sight)
    if rebalance.left and not movements and at in ("released", "held"):
        found.stage = IN_TRANSIT
    return found


def judge_cold(
    transfer: ColdTransfer | Rebalance, movements: Sequence[Payment], *, sight: Sight | None
) -> Moved:
    """What became of ``transfer``.

    Args:
        transfer: As on record.
        movements: What was moved under its id.
        sight: How far the network was seen; None if it was not read, and then it is in no doubt by
            itself.

    Of one that is resolved people have said what the transaction was that the venue had seen; of
    any other one they may not know.
    """
    found = Moved(stage=transfer.state)
    if not movements:
        if transfer.state == "arrived" and sight is not None:
            found.stage = "not_seen"
            if not sight.complete or (transfer.block_number or 0) > (sight.until or 0):
                text = f"{_what(transfer)} ({transfer.id}) is posted, and could not be seen"
                found.doubts.append(Doubt(comparison="top_ups", text=text))
            else:
                wrong = _wrong(transfer, "is posted, and nothing moved it", None, seen=False)
                found.contradictions.append(wrong)
                found.stage = "contradicted"
        return found
    first, *more = movements
    source = CARRIER if isinstance(transfer, Rebalance) else transfer.from_wallet
    asked = (transfer.network, source, transfer.asset, transfer.amount)
    moved = (first.network, first.wallet, first.asset, first.amount)
    right = not more and (*moved, first.to) == (*asked, transfer.to_address)
    if transfer.state == "resolved":
        found.doubts += [
            Doubt(
                comparison="top_ups",
                text=f"{_what(transfer)} ({transfer.id}) was resolved, and {each.tx_hash} has moved"
                f" {each.amount} {each.asset} to {each.to} under its id as well",
            )
            for each in movements
            if each.tx_hash != transfer.tx_hash
        ]
        return found
    at_pin = sight is None or sight.at_pin(first)
    if not right or (at_pin and transfer.state not in (*_MAY_MOVE, "arrived")):
        named = ", ".join(f"{each.amount} {each.asset} to {each.to}" for each in movements)
        text = f"is {transfer.state}, and moved was {named}"
        found.contradictions.append(_wrong(transfer, text, first, seen=True))
        found.stage = "contradicted"
    elif transfer.state in _MAY_MOVE and at_pin:
        found.stage = "not_posted"
    return found


def judge_cold_postings(
    postings: Iterable[PostingLine], arrived: Sequence[ColdTransfer], wallets: Mapping[str, Wallet]
) -> Iterator[Contradiction]:
    """Where postings of cold transfers moved something else than those on record as arrived."""
    moves = [
        Move(each.from_wallet, each.to_wallet, each.network, each.asset, each.amount)
        for each in arrived
    ]
    yield from judge_moves("cold", postings, moves, wallets, records="cold transfers")


def judge_rebalance_postings(
    postings: Iterable[PostingLine], arrived: Sequence[Rebalance], wallets: Mapping[str, Wallet]
) -> Iterator[Contradiction]:
    """Where postings of rebalances moved something else than those on record as arrived."""
    moves = [
        Move(IN_TRANSIT, each.to_wallet, each.network, each.asset, each.amount) for each in arrived
    ]
    yield from judge_moves("rebalance", postings, moves, wallets, records="rebalances")


def in_transit(rebalance: Rebalance) -> Notice:
    """That it has left one network, and is not in the other one."""
    return Notice(
        name="in-transit",
        text=f"{rebalance.amount} {rebalance.asset} left {rebalance.from_wallet} for"
        f" {rebalance.to_wallet}, and the carrier has them",
        network=rebalance.from_network,
        asset=rebalance.asset,
        amount=rebalance.amount,
        ids=ids_of(rebalance=rebalance.id),
    )


def judge_transit(
    postings: Iterable[PostingLine], ledger: Iterable[LedgerLine], between: Mapping[str, int]
) -> Iterator[Contradiction]:
    """Where the ledger has more or less in transit than what left and has not come.

    ``between`` is that, by asset; what people have posted of it since is taken off.
    """
    booked: Counter[str] = Counter()
    for line in ledger:
        if line.kind == IN_TRANSIT:
            booked[line.asset] += line.balance
    expected = Counter(dict(between))
    for each in postings:
        if each.kind == IN_TRANSIT and each.posting not in ("transfer", "rebalance"):
            expected[each.asset] += each.amount
    for asset in sorted(booked.keys() | expected.keys()):
        if booked[asset] != expected[asset]:
            yield Contradiction(
                name="postings-differ",
                text=f"the ledger has {booked[asset]} {asset} in transit over all networks, and"
                f" what left and has not come is {expected[asset]}",
                asset=asset,
                amount=abs(booked[asset] - expected[asset]),
            )


def _what(transfer: ColdTransfer | Rebalance) -> str:
    if isinstance(transfer, Rebalance):
        return f"the rebalance of {transfer.amount} {transfer.asset} to {transfer.to_wallet}"
    return f"the cold transfer of {transfer.amount} {transfer.asset} to {transfer.to_wallet}"


def _wrong(
    transfer: ColdTransfer | Rebalance, text: str, moved: Payment | None, *, seen: bool
) -> Contradiction:
    names: tuple[ContradictionName, ContradictionName]
    names = ("cold-transfer-differs", "cold-transfer-without-movement")
    if isinstance(transfer, Rebalance):
        names = ("rebalance-differs", "rebalance-without-movement")
    return Contradiction(
        name=names[0] if seen else names[1],
        text=f"{_what(transfer)} {text}",
        network=transfer.network,
        asset=transfer.asset,
        amount=transfer.amount,
        ids=ids_of(
            **{"rebalance" if isinstance(transfer, Rebalance) else "cold_transfer": transfer.id},
            wallet=transfer.from_wallet,
            tx_hash=None if moved is None else moved.tx_hash,
            block=transfer.block_number if moved is None else moved.block_number,
        ),
    )
