"""Locks and notification channels of the venue's PostgreSQL database."""

from __future__ import annotations

MODE_LOCK = 0x5EA0001
"""Advisory lock that claims share and a flip takes alone (design section 5, ring 0)."""
SURPLUS_LOCK = 0x5EA0002
"""Advisory lock of whoever books money that came from outside."""
FLOW_CHANNEL = "seawall_flow"
"""NOTIFY channel that wakes the mode controller."""
WITHDRAWAL_CHANNEL = "seawall_withdrawal"
"""NOTIFY channel that wakes the settlers."""
