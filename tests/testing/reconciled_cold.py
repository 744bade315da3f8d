"""What a custodian moved for the venue of `reconciled_venue`."""

from __future__ import annotations

from tests.testing.reconciled_venue import NETWORK, RESERVE, ReconciledVenue, tx_hash

COLD = "customer-aster-cold"
COLD_ID = "c01d0000-0000-4000-8000-000000000001"
CUSTODIAN_KEY = "0x" + "cc" * 20
MOVED_BY = 51
"""The number of its transaction."""


def from_cold(venue: ReconciledVenue) -> ReconciledVenue:
    """The cold wallet gave 400 to its reserve, by a transaction of the custodian's."""
    venue.cold_transfers.append(
        {
            "id": COLD_ID,
            "network": NETWORK,
            "from_wallet": COLD,
            "to_wallet": RESERVE,
            "to_address": venue.addresses[RESERVE],
            "asset": "AST",
            "amount": 400,
            "state": "arrived",
            "tx_hash": tx_hash(MOVED_BY),
            "block_number": 7,
        }
    )
    venue.transactions[tx_hash(MOVED_BY)] = {
        "hash": tx_hash(MOVED_BY),
        "from": CUSTODIAN_KEY,
        "nonce": "0x0",
        "input": "0x",
    }
    to_reserve = {"to": venue.addresses[RESERVE], "wallet": COLD}
    venue.paid(1, 400, block=7, slot=MOVED_BY, of=COLD_ID, **to_reserve)
    venue.posting("cold", "cold", -400)
    venue.posting("cold", "reserve", 400)
    return venue
