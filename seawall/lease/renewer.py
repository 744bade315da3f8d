"""Keeps a lease alive for exactly as long as its owner, and the runner that the owner works for,
are alive.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Protocol

import psutil

from seawall.errors import ServiceError
from seawall.lease.undo import REAL_CLOCK, Clock

RENEWALS_PER_TTL = 3
"""Two renewals may be lost before a lease is."""
RETRIES_PER_TTL = 20
"""How often an unanswered renewal is repeated."""


class Renewable(Protocol):
    """The part of the lease client that renewing needs."""

    def renew(self, name: str) -> bool:
        """Put the expiry off; False once the lease has expired.

        :class:`ServiceError` without an answer.
        """


class RunnerWatch:
    """Whether the process that a drill runs for still lives.

    A later process with the same number is not it.
    """

    def __init__(self, pid: int | None) -> None:
        """Watch ``pid``; None (a plain `chaos run`) watches nothing."""
        self._pid = pid
        self._process: psutil.Process | None = None
        if pid is not None:
            with contextlib.suppress(
                psutil.NoSuchProcess
            ):  # dead already, which is what a call then says
                self._process = psutil.Process(pid)  # remembers when the process started

    def __call__(self) -> str | None:
        """None while the runner lives, else what became of it; a zombie is dead."""
        if self._pid is None:
            return None
        try:
            process = self._process
            alive = (
                process is not None
                and process.is_running()
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            alive = False
        return None if alive else f"the runner (process {self._pid}) is gone"


class Renewer:
    """A thread that renews one lodged lease three times in each time to live, until stopped, or
    until that is no longer right.

    ``watch`` answers None while renewing is right, else the reason why not. ``lost`` is None while
    the lease is known to be held.
    """

    def __init__(
        self,
        client: Renewable,
        *,
        name: str,
        ttl_ms: int,
        watch: Callable[[], str | None],
        clock: Clock = REAL_CLOCK,
    ) -> None:
        self._client = client
        self._name = name
        self._ttl_ms = ttl_ms
        self._watch = watch
        self._clock = clock
        self._renewed_ms = clock.monotonic_ms()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"renew {name}", daemon=True)
        self.lost: str | None = None

    def start(self) -> None:
        """Begin to renew; the lease has been lodged just before."""
        self._thread.start()

    def stop(self) -> None:
        """Renew no more, and be sure of it when this returns."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def require_held(self) -> None:
        """Raise :class:`ServiceError` with the reason if the lease is no longer held."""
        if self.lost is not None:
            message = f"the lease {self._name} is lost: {self.lost}"
            raise ServiceError(
                message, remedy="its undo has been or is being made; start the drill again"
            )

    def step(self) -> int | None:
        """Renew once if that is right.

        Returns the pause before the next step in milliseconds, None if there is none.
        """
        self.lost = self._watch()
        if self.lost is not None:
            return None
        asked_ms = self._clock.monotonic_ms()
        try:
            held = self._client.renew(self._name)
        except ServiceError as error:
            if self._clock.monotonic_ms() - self._renewed_ms < self._ttl_ms:
                return self._ttl_ms // RETRIES_PER_TTL
            self.lost = str(error)
            return None
        if not held:
            self.lost = "it expired"
            return None
        self._renewed_ms = asked_ms
        return self._ttl_ms // RENEWALS_PER_TTL

    def _run(self) -> None:
        pause_ms: int | None = self._ttl_ms // RENEWALS_PER_TTL
        while pause_ms is not None and not self._stopping.wait(pause_ms / 1_000):
            pause_ms = self.step()
