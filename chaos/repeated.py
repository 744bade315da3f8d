"""What faults have in common that somebody must go on doing, or they end by themselves."""

from __future__ import annotations

import threading
from abc import abstractmethod

from chaos.faults.base import Fault
from seawall.errors import ServiceError

_STOPS_WITHIN_S = 5.0


class RepeatedFault(Fault):
    """A thread of the runner repeats one step, from ``apply`` until it is undone.

    If the runner is killed or stands still, so does its thread, and the fault ends: nothing of it
    outlives the runner but what :meth:`undo` takes back.
    """

    every_s: float
    """Seconds between two steps."""
    _stop: threading.Event | None = None
    _thread: threading.Thread | None = None

    @abstractmethod
    def step(self) -> None:
        """Do it once more.

        Raises:
            ServiceError: It could not be done. The first step must be; a later one is tried again.
        """

    def rest(self) -> None:
        """What the thread does last, when the steps have ended; nothing unless a fault says so."""

    def apply(self) -> None:
        """Do the first step, and have the others done beside whoever called this."""
        if self._thread is not None:
            return
        stop, done = threading.Event(), threading.Event()
        failures: list[ServiceError] = []
        thread = threading.Thread(
            target=self._repeat, args=(stop, done, failures), name=self.label, daemon=True
        )
        self._stop, self._thread = stop, thread
        thread.start()
        done.wait()
        if failures:
            self._end()
            raise failures[0]

    def revert(self, *, within_ms: int) -> None:
        """Let the steps end, and then undo what they left; idempotent."""
        self._end()
        super().revert(within_ms=within_ms)

    def _repeat(
        self, stop: threading.Event, done: threading.Event, failures: list[ServiceError]
    ) -> None:
        try:
            while not stop.is_set():
                try:
                    self.step()
                except ServiceError as error:
                    if not done.is_set():
                        failures.append(error)
                        break
                done.set()
                stop.wait(self.every_s)
        finally:
            done.set()
            self.rest()

    def _end(self) -> None:
        """Wait until the thread has ended.

        Raises:
            ServiceError: It goes on with a step that does not end.
        """
        if self._thread is None or self._stop is None:
            return
        self._stop.set()
        self._thread.join(_STOPS_WITHIN_S)
        if self._thread.is_alive():
            raise ServiceError(
                f"{self.label} did not stop within {_STOPS_WITHIN_S:g} s",
                remedy="end the runner: its thread ends with it",
            )
        self._stop = self._thread = None
