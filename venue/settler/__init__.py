"""The settler of one network: claim withdrawals, get them signed, broadcast, follow, post.

- `claims`: choose withdrawals or a top-up and allocate a slot (one nonce, one transaction).
- `signing_routes`: get a slot signed by the primary or the standby region.
- `driver`: claim slots of a lane and broadcast them in the order of their nonces.
- `follower`: follow the slots of a network to finality.
- `posting`: write what became of a slot to the ledger.
- `lanes`: lanes and slots in memory and in the database.
- `settle`: put all of these together.

Every step of a slot is one committed transaction, so a settler may die between any two of them. The
next settler takes the lane under a new epoch and continues from what is committed, with the same
nonces and the same bytes.
"""
