"""What left the venue of `reconciled_venue` for another network, and is not there yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seawall.reconciliation.contradictions import ContradictionName
from tests.testing.reconciled_venue import (
    HOT,
    NETWORK,
    QUIET,
    RESERVE,
    ReconciledVenue,
    approval_id,
    tx_hash,
)

CARRIER = "0x" + "ca" * 20
TARGET = "customer-birch-reserve"
LEFT_BY = 61
"""The slot that paid the carrier."""
_NUMBER = 9


def left_for_another_network(venue: ReconciledVenue) -> ReconciledVenue:
    """The reserve paid 300 to the carrier, as approvers had signed, and the ledger has that."""
    venue.slot(LEFT_BY, nonce=5, state="final", block=8, purpose="approval")
    for row in venue.approvals:
        row["to_class"] = "hot"
    venue.approvals.append(
        {
            "id": approval_id(_NUMBER),
            "network": NETWORK,
            "from_wallet": RESERVE,
            "to_wallet": TARGET,
            "to_address": CARRIER,
            "amount": 300,
            "state": "executed",
            "asset": "AST",
            "slot_id": LEFT_BY,
            "to_class": "in_transit",
        }
    )
    venue.rebalances.append(
        {
            "id": approval_id(_NUMBER),
            "from_network": NETWORK,
            "from_wallet": RESERVE,
            "network": QUIET,
            "to_wallet": TARGET,
            "to_address": venue.addresses[TARGET],
            "asset": "AST",
            "amount": 300,
            "state": "released",
            "left": 1,
            "tx_hash": "",
            "block_number": "",
        }
    )
    venue.executed(_NUMBER, 300, block=8, slot=LEFT_BY, to=CARRIER)
    venue.posting("transfer", "reserve", -300)
    venue.posting("transfer", "in_transit", 300)
    return venue


def came_from_another_network(venue: ReconciledVenue) -> ReconciledVenue:
    """The carrier paid 300 to the reserve, under the id of what is on record as refused."""
    venue.carrier = CARRIER
    venue.rebalances.append(
        {
            "id": approval_id(_NUMBER),
            "from_network": QUIET,
            "from_wallet": TARGET,
            "network": NETWORK,
            "to_wallet": RESERVE,
            "to_address": venue.addresses[RESERVE],
            "asset": "AST",
            "amount": 300,
            "state": "refused",
            "left": 0,
            "tx_hash": "",
            "block_number": "",
        }
    )
    venue.transactions[tx_hash(LEFT_BY)] = {
        "hash": tx_hash(LEFT_BY),
        "from": "0x" + "cb" * 20,
        "nonce": "0x0",
        "input": "0x",
    }
    to_reserve = {"to": venue.addresses[RESERVE], "wallet": HOT}
    venue.paid(1, 300, block=8, slot=LEFT_BY, of=approval_id(_NUMBER), **to_reserve)
    venue.logs[-1]["address"] = CARRIER
    venue.balances[HOT, "AST"] += 300
    return venue


def _left(**changes: Any) -> Callable[[ReconciledVenue], None]:
    def spoil(venue: ReconciledVenue) -> None:
        left_for_another_network(venue).rebalances[0].update(changes)

    return spoil


def _more_in_transit(venue: ReconciledVenue) -> None:
    left_for_another_network(venue)
    venue.posting("transfer", "reserve", -1)
    venue.posting("transfer", "in_transit", 1)
    venue.balances[RESERVE, "AST"] -= 1


SPOILED_CROSSINGS: Mapping[str, tuple[Callable[[ReconciledVenue], Any], set[ContradictionName]]] = {
    "a carrier that paid what nobody wanted any more": (
        came_from_another_network,
        {"rebalance-differs"},
    ),
    "more in transit than left": (_more_in_transit, {"postings-differ"}),
    "in transit what is not on record as having left": (_left(left=0), {"postings-differ"}),
    "a movement between networks that is posted and did not come": (
        _left(state="arrived", tx_hash=tx_hash(62), block_number=3),
        {"rebalance-without-movement", "postings-differ"},
    ),
}
"""By what is wrong: how to spoil the venue, and what is found."""
