"""What the sandbox's account may use a second."""

from __future__ import annotations

KMS_ECC_PER_S = 60
"""Elliptic-curve operations of one region, over all keys.

AWS gives 1,000 by default (KMS Developer Guide, "Request quotas"), but the emulator computes 120 to
240 a second, so a quota of that size would never be met here; this one is, long before the emulator
tires.
"""
