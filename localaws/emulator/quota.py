"""A request quota of AWS: so many requests a second, for each account and Region."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_NANOSECONDS = 1_000_000_000


class RequestQuota:
    """The quota in force, for every account and Region alike; safe to share between threads.

    A bucket that holds one second's worth. ``now_ns``: a monotonic clock in nanoseconds.
    """

    def __init__(self, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._per_s: int | None = None
        self._left: dict[tuple[str, str], tuple[int, int]] = {}
        self._throttled = 0

    @property
    def per_s(self) -> int | None:
        """Requests a second; None: no quota."""
        return self._per_s

    @property
    def throttled(self) -> int:
        """How many requests were refused so far."""
        return self._throttled

    def set(self, per_s: int | None) -> None:
        """Change the quota; buckets are full again."""
        with self._lock:
            self._per_s = per_s
            self._left.clear()

    def take(self, account: str, region: str) -> bool:
        """Whether one more request of ``account`` in ``region`` is within the quota.

        If so it is counted.
        """
        with self._lock:
            if self._per_s is None:
                return True
            # a nanosecond brings per_s, a request costs a billion
            now, full = self._now_ns(), self._per_s * _NANOSECONDS
            left, then = self._left.get((account, region), (full, now))
            left = min(full, left + (now - then) * self._per_s)
            granted = left >= _NANOSECONDS
            self._left[account, region] = (left - _NANOSECONDS if granted else left, now)
            self._throttled += not granted
            return granted
