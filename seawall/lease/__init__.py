"""Leases: before a fault is applied, its undo is lodged outside the runner, with a time to live.

In: undo calls (HTTP, idempotent) and renewals. Out: the undo, made within ttl + 1 s of the last
renewal, or at once when the holder or its sentinel dies; lines in the run's timeline. Run it with
``python -m seawall.lease``.
"""

from seawall.formats.timeline import append
from seawall.lease.book import UndoCall
from seawall.lease.client import LeaseClient
from seawall.lease.renewer import Renewer, RunnerWatch
from seawall.lease.undo import REAL_CLOCK, Clock, perform

__all__ = [
    "REAL_CLOCK",
    "Clock",
    "LeaseClient",
    "Renewer",
    "RunnerWatch",
    "UndoCall",
    "append",
    "perform",
]
