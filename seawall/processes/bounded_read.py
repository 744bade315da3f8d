"""Reads that may hang or fail, for a loop that must go on whatever becomes of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class BoundedRead(Generic[T]):
    """Calls ``read`` in a thread, and waits no longer than ``within_s`` for what it says.

    Not safe in several threads. One call runs at a time: while an earlier one hangs, no other is
    begun, and nothing is waited for. What comes too late is dropped, because it may be old.
    """

    def __init__(self, read: Callable[[], T], *, within_s: float) -> None:
        self._read = read
        self._within_s = within_s
        self._hangs: SimpleQueue[T | None] | None = None

    def __call__(self) -> T | None:
        """What ``read`` said; None if it said nothing in time, or failed, however it did."""
        if self._hangs is not None:
            if self._hangs.empty():
                return None
            self._hangs = None
        said: SimpleQueue[T | None] = SimpleQueue()
        threading.Thread(target=self._put, args=(said,), name="bounded-read", daemon=True).start()
        try:
            return said.get(timeout=self._within_s)
        except Empty:
            self._hangs = said
            return None

    def _put(self, said: SimpleQueue[T | None]) -> None:
        try:
            said.put(self._read())
        except Exception:  # noqa: BLE001  it may be an adapter of the user's own, with any error
            said.put(None)
