"""Leases: before a fault is applied, its undo is kept outside the runner, with a time to live.

In: undo calls (HTTP, idempotent) and renewals. Out: the undo, made within the time to live and 1 s
after the last renewal, or at once when one of the two lease processes dies; and lines in the run's
timeline. Run it with ``python -m seawall.lease``.
"""

from seawall.lease.book import UndoCall
from seawall.lease.client import LeaseClient, Renewer, RunnerWatch, await_undone
from seawall.lease.undo import REAL_CLOCK, Clock, perform

__all__ = [
    "REAL_CLOCK",
    "Clock",
    "LeaseClient",
    "Renewer",
    "RunnerWatch",
    "UndoCall",
    "await_undone",
    "perform",
]
