"""The noisy-neighbour drill: does the signers' bulkhead keep one bucket's flood from another?

In: a policy and a signer of a running sandbox. Out: findings by check. ``flood`` sends the requests
on a schedule; ``judge`` plans them and says what the answers mean.
"""
