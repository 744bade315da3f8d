"""The sentinel: a second process that makes the undo calls when the holder is dead, or frozen past
a deadline.

It learns of changes through a socket whose other end only the holder has: a byte means that the
file changed, end of file means that the holder is gone. The file says what is to be undone.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterable
from pathlib import Path

from seawall.lease import state
from seawall.lease.book import Lease
from seawall.lease.holder import UNDO_MS_MAX, tell_expired, undo_now
from seawall.lease.undo import Clock

GRACE_MS = 500
"""How late the holder may be before the sentinel takes its place.

With the undo itself it stays below ttl + 1 s.
"""


def watch(*, holder: socket.socket, data_dir: Path, clock: Clock) -> int:
    """Guard the leases until the holder is gone.

    Returns the exit status: 0 if it left nothing behind, else 1.
    """
    taken: dict[str, int] = {}
    while True:
        waiting = [
            lease
            for lease in state.load(data_dir).leases.values()
            if taken.get(lease.name) != lease.deadline_ms
        ]
        now_ms = clock.monotonic_ms()
        overdue = [lease for lease in waiting if now_ms >= lease.deadline_ms + GRACE_MS]
        if overdue:
            taken |= {lease.name: lease.deadline_ms for lease in overdue}
            _undo(
                overdue,
                data_dir=data_dir,
                clock=clock,
                cause="its owner fell silent and the holder did not act",
            )
            continue
        due_ms = min((lease.deadline_ms + GRACE_MS for lease in waiting), default=None)
        readable, _, _ = select.select(
            [holder], [], [], None if due_ms is None else (due_ms - now_ms) / 1_000
        )
        if readable and not _drain(holder):
            left = list(state.load(data_dir).leases.values())
            _undo(left, data_dir=data_dir, clock=clock, cause="the holder died")
            return 1 if left else 0


def _drain(holder: socket.socket) -> bool:
    """Take what the holder sent; False if it is gone."""
    try:
        return bool(holder.recv(4_096))
    except ConnectionError:
        return False


def _undo(leases: Iterable[Lease], *, data_dir: Path, clock: Clock, cause: str) -> None:
    """Undo all of ``leases`` side by side and write what came of it."""

    def one(lease: Lease) -> None:
        failure = undo_now(lease, clock=clock, within_ms=UNDO_MS_MAX)
        tell_expired(data_dir, lease, cause=cause, failure=failure, at=clock.unix_s())

    threads = [threading.Thread(target=one, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
