"""The contracts that hold the venue's money: sources, compiler, calldata and events.

`payout.vy` is a wallet that pays each sequence number at most once; `token.vy` is the sandbox's
ERC-20.
"""
