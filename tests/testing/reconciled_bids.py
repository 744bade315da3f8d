"""Bids of the small venue whose money is all explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.testing.reconciled_venue import ReconciledVenue


def add_bids(venue: ReconciledVenue) -> None:
    """One that is open, one that is settled and one that was given back."""
    for number, amount, state, end in (
        (1, 30, "open", None),
        (2, 40, "settled", "settle"),
        (3, 50, "refunded", "refund"),
    ):
        bid = {"id": f"bid {number}", "network": "aster", "asset": "USDX"}
        venue.bids.append(bid | {"amount": amount, "state": state})
        for posting, moved in (("bid", amount), (end, -amount)):
            if posting is not None:
                venue.posting(posting, "customer", moved, "USDX")
                venue.posting(posting, "own", -moved, "USDX")
                venue.entry("escrow", posting, "escrow", "USDX", -moved)
                venue.entry("escrow", posting, "own", "USDX", moved)
