"""What came from cold wallets, against the venue's records; pure.

A custodian makes these transactions with a key of its own, so no slot explains them. The event
names the id under which the venue has asked, and approvers have signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from seawall.policy import Wallet
from seawall.reconciliation.approvals import Move, judge_moves
from seawall.reconciliation.books import Moved
from seawall.reconciliation.contradictions import Contradiction, Doubt, ids_of
from seawall.reconciliation.facts import ColdTransfer, Payment, PostingLine, Sight

COLD_STATES = (
    *("requested", "approved", "sent", "arrived", "refused", "expired", "held", "resolved"),
)


def judge_cold(
    transfer: ColdTransfer, movements: Sequence[Payment], *, sight: Sight | None
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
    asked = (transfer.network, transfer.from_wallet, transfer.asset, transfer.amount)
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
    if not right or (at_pin and transfer.state not in ("sent", "arrived")):
        named = ", ".join(f"{each.amount} {each.asset} to {each.to}" for each in movements)
        text = f"is {transfer.state}, and moved was {named}"
        found.contradictions.append(_wrong(transfer, text, first, seen=True))
        found.stage = "contradicted"
    elif transfer.state == "sent" and at_pin:
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


def _what(transfer: ColdTransfer) -> str:
    return f"the cold transfer of {transfer.amount} {transfer.asset} to {transfer.to_wallet}"


def _wrong(
    transfer: ColdTransfer, text: str, moved: Payment | None, *, seen: bool
) -> Contradiction:
    return Contradiction(
        name="cold-transfer-differs" if seen else "cold-transfer-without-movement",
        text=f"{_what(transfer)} {text}",
        network=transfer.network,
        asset=transfer.asset,
        amount=transfer.amount,
        ids=ids_of(
            cold_transfer=transfer.id,
            wallet=transfer.from_wallet,
            tx_hash=None if moved is None else moved.tx_hash,
            block=transfer.block_number if moved is None else moved.block_number,
        ),
    )
