"""The venue's api for customers: withdrawals, balances, quotes, swaps, status, tickets.

A withdrawal request passes `front` (bypasses the framework), `intake` (checks and decisions, pure),
`flusher` (gathers batches) and `reservations` (one transaction per batch); it is answered after
the commit.
"""
