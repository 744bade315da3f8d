"""The pace of the venue's processes: how often each looks, and how long it waits for another.

They are constants of the venue and no policy's choice; what a policy promises must leave room for
them (``seawall.feasibility``).
"""

from __future__ import annotations

MODE_CONTROLLER_TICK_MS = 20
"""The longest time between two samples of the mode controller."""
MODE_CONTROLLER_AGES_EVERY_MS = 100
"""How often the mode controller reads how old the queue is."""
CLAIM_LOOK_MS = 100
"""How often a settler looks for withdrawals that nobody woke it for."""
CLAIM_SPACING_MS = 250
"""Claims closer together than this would fill the flight with small batches.

A full batch is followed at once.
"""
FOLLOW_EVERY_MS = 200
"""How often a settler asks its node for new blocks."""
PROVIDER_PATIENCE_MS = 250
"""How long a signer waits for its provider to connect, and again to answer.

The smallest time without false alarms on a busy machine, with margin; 50 ms raised some, 100 ms
none in 200 signatures.
"""
SIGNER_PATIENCE_MS = 600
"""How long a settler waits for a signer, which itself gives up on its provider after waiting twice.
"""
