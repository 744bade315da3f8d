"""Drift: what the cloud says now that the stack's state does not; the engine's refresh, as a preview only. Nothing is written.

In: an engine and its stack. Out: each resource that is gone or differs, property by property, with secrets masked.
"""

from seawall.drift.refresh import Difference, Drift, Drifted, find_drift, read_refresh

__all__ = ["Difference", "Drift", "Drifted", "find_drift", "read_refresh"]
