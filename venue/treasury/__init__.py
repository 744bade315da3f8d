"""The treasury: refills hot wallets from their reserve, holds the ledger against the chain, and
tells how the venue stands.
"""
