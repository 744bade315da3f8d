"""The contracts that hold the venue's money.

Sources, their compiler, and the words in which others talk to them.

`payout.vy` is a wallet that pays each sequence number at most once; `token.vy` is the sandbox's
ERC-20.
"""
