"""Timing of the venue's processes: how often each polls, and its timeouts for other processes.

These are constants of the venue, not choices of a policy. What a policy promises must leave room
for them (``seawall.feasibility``).
"""

from __future__ import annotations

MODE_CONTROLLER_TICK_MS = 20
"""The longest time between two samples of the mode controller."""
MODE_CONTROLLER_AGES_EVERY_MS = 100
"""How often the mode controller reads the age of the queue."""
CLAIM_POLL_MS = 100
"""How often a settler polls for withdrawals, in case a notification was lost."""
CLAIM_SPACING_MS = 250
"""The shortest time between two claims, unless the first filled a batch.

Claims closer together would fill the slots in flight with small batches.
"""
FOLLOW_EVERY_MS = 200
"""How often a settler polls its node for new blocks."""
PROVIDER_TIMEOUT_MS = 250
"""A signer's timeout for its provider, once for the connection and once for the answer.

The smallest time without false alarms on a busy machine, with margin: 50 ms raised some, 100 ms
none in 200 signatures.
"""
RAIL_CLAIM_POLL_MS = 200
"""How often who pays over rails polls for withdrawals, in case a notification was lost."""
RAIL_RETRY_MS = 250
"""Its pause after a provider has not answered."""
RAIL_STATEMENT_EVERY_MS = 500
"""How often it reads a provider's statement, if nothing says that there is something new."""
CUSTODIAN_TIMEOUT_MS = 2_000
"""The custodian of the cold wallets: nothing that customers wait for waits for it."""
CUSTODIAN_CLOCK_MS = 5_000
"""By how much its clock and the venue's may differ.

What it calls expired earlier than that it calls so by a wrong clock, or it lies. It says so itself
that much after the end, of what it has taken.
"""
RAIL_TIMEOUT_MS = 2_000
"""Its timeout for a provider's whole answer.

Longer than on networks: a provider's answer may take a second on a good day.
"""
SIGNER_TIMEOUT_MS = 600
"""A settler's timeout for a signer, longer than the signer's two timeouts for its provider."""
