"""The settler of one network.

Claims withdrawals, has them signed, broadcasts, follows to finality, posts.

Every arrow of a slot is one committed transaction, so a settler may die between any two of them:
the next one takes the lane under a new epoch and goes on from what is committed, with the same
nonces and the same bytes.
"""
