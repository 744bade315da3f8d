"""The contracts that hold the venue's money: sources, compiler, calldata and events.

`payout.vy` is a wallet that pays each sequence number at most once, `reserve.vy` one that refills
such a wallet and does all else as approvers have signed; `payments.vy` is what both have in common.
`token.vy` is the sandbox's ERC-20.
"""
