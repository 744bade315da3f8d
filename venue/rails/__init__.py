"""Payouts over rails: withdrawals that an exchange or a payment processor pays for the venue.

    claim -> recorded -> sent -> accepted -> settled, posted
                  |                   |
                  |                   +-> returned, given back
                  +-> cancelled unknown, and claimed again

A rail has two providers. An instruction belongs to one of them from the moment it is recorded, and
may have been sent from then on. Whatever is in doubt is asked of that provider, under the same id.
It changes to the other one only if the first has cancelled the id without knowing it, which its
statement must say: that uses the id up, as setting a bit does in a payout contract.

    provider.py     what is asked of a provider, and which answers count
    claims.py       withdrawals are recorded as instructions
    statements.py   what providers' statements say is written to the ledger
    routing.py      which provider gets new instructions
    worker.py       the loops
    pay.py          all of it, for one rail
"""
