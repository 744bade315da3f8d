"""The kinds of evidence that a venue may offer, by name, and what observers say of themselves."""

from __future__ import annotations

from typing import Literal, get_args

Port = Literal[
    "withdrawals",
    "payouts",
    "numbered_payouts",
    "statements",
    "instructions",
    "balances",
    "key_counts",
    "ledger",
    "mode_changes",
    "flow",
    "signatures",
    "aws_log",
    "top_ups",
    "surpluses",
    "decisions",
    "orders",
    "promises",
    "metrics",
    "pages",
]
"""What the judge can read, besides what the kit's own generator, prober and experiment write.

``withdrawals``: every request with the times of its reservation and its end; ``payouts``: money
seen leaving, outside the venue; ``numbered_payouts``: they carry the venue's own number of the
request; ``statements``: what the providers of rails say of payouts, line by line; ``instructions``:
what the venue instructed them to pay, and when it knew that one was accepted; ``balances``: what
wallets hold, outside the venue; ``key_counts``: how many transactions each signing key has sent, by
its network's own count, on one network at least; ``ledger``: sums of the accounts;
``mode_changes``: when which tier was committed; ``flow``: counters committed with each batch of
requests; ``signatures``: nonces, what was signed for each and by which region; ``aws_log``: which
key signed in which region and who asked for it, by AWS's own log; ``top_ups``: refills of hot
wallets, and what those gave back to their reserve; ``surpluses``: money from outside that was
booked; ``decisions``: the venue's journal; ``orders``: what people ordered of payouts and tiers,
and from when to when; ``promises``: what else customers were told, that is swaps, cancellations,
bids and their ends, by kind and id; ``metrics``: Prometheus; ``pages``: what the pager received.
"""

EVERY_PORT: tuple[Port, ...] = get_args(Port)

SESSIONS_PROBE = "sessions"
"""The prober's samples of ``detail.ended``: sessions that the ledger's database has ended."""
SESSIONS_EVERY_MS = 250
"""Between two of them."""

ADDRESS_PROBE = "address"
"""The prober's first sample: ``detail.api`` is the address at which it asks the venue."""
