"""Drift: what the cloud says now that the stack's state does not.

The engine's refresh, as a preview only, and the versions of objects.

In: an engine and its stack. Out: each resource that is gone or differs, property by property, with
secrets masked. Nothing is written.
"""

from seawall.change_review.drift.find import find_drift
from seawall.change_review.drift.refresh import Difference, Drift, Drifted, read_refresh

__all__ = ["Difference", "Drift", "Drifted", "find_drift", "read_refresh"]
