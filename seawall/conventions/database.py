"""Roles, locks and notification channels of the venue's PostgreSQL database."""

from __future__ import annotations

ROLES = ("api", "settler", "signer", "mode_controller", "treasury", "auditor", "operator", "rails")
"""Parts of the venue, and its auditor, that connect with roles of their own; genesis makes them."""
SIGN_LOG_ROLES = ("signer", "auditor")
"""Those of the signers' own database, a server of its own with passwords of its own."""
COPIES = "wal"
"""Who copies the ledger; its role is made with the first copy."""
MODE_LOCK = 0x5EA0001
"""Advisory lock that claims share and a flip takes alone (design section 5, ring 0)."""
SURPLUS_LOCK = 0x5EA0002
"""Advisory lock of whoever books money that came from outside."""
FLOW_CHANNEL = "seawall_flow"
"""NOTIFY channel that wakes the mode controller."""
WITHDRAWAL_CHANNEL = "seawall_withdrawal"
"""NOTIFY channel that wakes the settlers, and who pays over rails."""
NOT_ON_RECORD = "are not on record"
"""How a restore that lost withdrawals says so, before it lists them."""


def role_of(part: str) -> str:
    """Name of the database role of ``part``."""
    return f"seawall_{part}"
