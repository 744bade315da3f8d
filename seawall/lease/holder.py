"""The holder of leases: keeps the book, and makes the undo calls of an owner that fell silent.

Every change is written to the run's timeline.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from seawall.errors import ServiceError
from seawall.formats import timeline
from seawall.formats.deployment import run_directory
from seawall.lease.book import Lease, LeaseBook, LeaseRequest, load, save
from seawall.lease.undo import UNDO_MS_MAX, Clock, perform

STOPPING_MS_MAX = 1_000
"""Instead of `UNDO_MS_MAX`, when the holder must end, because the sandbox waits for it."""


class Holder:
    """All operations on the book; safe to call from several threads.

    ``announce`` is called after each change of the file, so that the sentinel reads it again.
    """

    def __init__(self, *, data_dir: Path, clock: Clock, announce: Callable[[], None]) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._announce = announce
        self._book = load(data_dir)
        self._changed = threading.Condition()

    def lodge(self, name: str, request: LeaseRequest) -> Lease | None:
        """Keep the undo; it is on disk when this returns.

        None if the name is held for another request, or its lease is expiring.
        """
        with self._changed:
            book = self._book.lodge(name, request, now_ms=self._clock.monotonic_ms())
            if book is None:
                return None
            self._keep(book, durable=True)
        self._record("lodged", {"name": name, "ttl_ms": request.ttl_ms})
        return book.leases[name]

    def renew(self, name: str) -> Lease | None:
        """Put the deadline off by the lease's time to live. None once it has expired."""
        with self._changed:
            book = self._book.renew(
                name, now_ms=self._clock.monotonic_ms(), at=self._clock.unix_s()
            )
            if book is None:
                return None
            self._keep(book, durable=False)
        lease = book.leases[name]
        if lease.renewals == 1:
            self._record("renewed", {"name": name, "renewals": 1}, at=lease.renewed_at)
        return lease

    def release(self, name: str) -> bool:
        """Forget an undo that its owner has made. False if the owner does not hold it any more."""
        with self._changed:
            book = self._book.release(name)
            if book is None:
                return False
            lease = self._book.leases[name]
            self._keep(book, durable=False)
        self._record_last_renewal(lease)
        self._record("released", {"name": name})
        return True

    def leases(self) -> list[Lease]:
        """Every lease in the book."""
        with self._changed:
            return list(self._book.leases.values())

    def run(self) -> None:
        """Expire leases as they fall due; never returns."""
        while True:
            with self._changed:
                due_ms = self._book.next_deadline_ms()
                if due_ms is None:
                    self._changed.wait()
                elif (rest_ms := due_ms - self._clock.monotonic_ms()) > 0:
                    self._changed.wait(rest_ms / 1_000)
            self.expire_due(cause="its owner fell silent")

    def expire_due(self, *, cause: str) -> list[threading.Thread]:
        """Start the undo of every overdue lease.

        Each has a thread of its own, so that one that is stuck delays no other.
        """
        return self._expire(self._clock.monotonic_ms(), cause=cause, within_ms=UNDO_MS_MAX)

    def expire_all(self, *, cause: str, within_ms: int = UNDO_MS_MAX) -> bool:
        """Undo everything now and wait for it. True if nothing is left."""
        with self._changed:
            latest_ms = max((lease.deadline_ms for lease in self._book.leases.values()), default=0)
        for thread in self._expire(latest_ms, cause=cause, within_ms=within_ms):
            thread.join()
        return not self.leases()

    def _expire(self, now_ms: int, *, cause: str, within_ms: int) -> list[threading.Thread]:
        with self._changed:
            book, overdue = self._book.expire(now_ms=now_ms)
            if overdue:
                # In memory only: on disk they stay held, so that the sentinel undoes them if this
                # process dies in the middle.
                self._book = book
        threads = [
            threading.Thread(target=self._undo, args=(lease, cause, within_ms), daemon=True)
            for lease in overdue
        ]
        for thread in threads:
            thread.start()
        return threads

    def _undo(self, lease: Lease, cause: str, within_ms: int) -> None:
        failure = undo_now(lease, clock=self._clock, within_ms=within_ms)
        at = self._clock.unix_s()
        if failure is None:
            self._forget(lease)
        else:
            threading.Thread(target=self._retry, args=(lease,), daemon=True).start()
        self._record_last_renewal(lease)
        record_expired(self._data_dir, lease, cause=cause, failure=failure, at=at)

    def _retry(self, lease: Lease) -> None:
        """Try until the undo is done, for as long as this process runs.

        The failure was reported already, and the fault is in force until its undo is done.
        """
        while undo_now(lease, clock=self._clock, within_ms=UNDO_MS_MAX) is not None:
            continue  # each bound pauses between its attempts
        self._forget(lease)

    def _forget(self, lease: Lease) -> None:
        with self._changed:
            self._keep(self._book.forget(lease.name), durable=False)

    def _keep(self, book: LeaseBook, *, durable: bool) -> None:
        """Write the file, then change the memory: the sentinel must know what was answered."""
        save(self._data_dir, book, durable=durable)
        self._book = book
        self._announce()
        self._changed.notify_all()

    def _record_last_renewal(self, lease: Lease) -> None:
        if lease.renewals > 1:
            self._record(
                "renewed", {"name": lease.name, "renewals": lease.renewals}, at=lease.renewed_at
            )

    def _record(self, event: str, detail: Mapping[str, Any], *, at: float | None = None) -> None:
        record(self._data_dir, event, detail, at=self._clock.unix_s() if at is None else at)


def undo_now(lease: Lease, *, clock: Clock, within_ms: int) -> str | None:
    """Make the undo calls of ``lease``. None when all are done, else what prevented it."""
    try:
        perform(lease.request.undo, within_ms=within_ms, clock=clock)
    except ServiceError as error:
        return str(error)
    return None


def record_expired(
    data_dir: Path, lease: Lease, *, cause: str, failure: str | None, at: float
) -> None:
    """Write that a lease expired ``at`` Unix seconds and whether the undo was done by then."""
    detail: dict[str, Any] = {"name": lease.name, "cause": cause, "undone": failure is None}
    record(
        data_dir, "expired", detail if failure is None else {**detail, "failure": failure}, at=at
    )


def record(data_dir: Path, event: str, detail: Mapping[str, Any], *, at: float) -> None:
    """Write one fact about leases to the timeline of the run in progress, if there is one."""
    run_dir = run_directory(data_dir)
    if run_dir is not None:
        timeline.append(run_dir, source="lease", event=event, at=at, detail=detail)
