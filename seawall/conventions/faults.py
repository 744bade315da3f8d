"""Names of faults, which the injector writes into the timeline and the judge looks for."""

from __future__ import annotations

KMS_DARK = "kms-dark"
"""The key service of the primary region answers no more."""
