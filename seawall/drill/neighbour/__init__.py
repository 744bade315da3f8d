"""The noisy-neighbour drill: does the signers' bulkhead keep one bucket's flood from another?

In: a policy and a signer of a running sandbox. Out: what became of each request. ``plan`` says when
which request leaves, and ``flood`` sends them; `seawall.scorecard` says what the answers mean.
"""
