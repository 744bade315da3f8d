"""One fault from its lease to its proven end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from chaos.faults import Fault, Observation
from seawall.errors import ServiceError
from seawall.lease import Clock, Renewer, UndoCall

LOOK_EVERY_S = 0.05
"""20 looks a second while waiting for a fault to be seen or gone."""
HOLD_STEP_S = 0.1
"""How soon a lost lease or a dead runner ends the holding of a fault."""

Tell = Callable[[str, float, Mapping[str, Any]], None]
"""Writes (event, Unix seconds, detail) to the timeline."""


class Leases(Protocol):
    """The part of the lease client that a session needs."""

    def lodge(self, name: str, *, ttl_ms: int, undo: tuple[UndoCall, ...]) -> None:
        """Have the undo kept."""

    def renew(self, name: str) -> bool:
        """Put the expiry off; False once the lease has expired."""

    def release(self, name: str) -> bool:
        """Give the lease back; False if it had expired."""

    def close(self) -> None:
        """Let go of the holder."""


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """When a look began that showed the awaited state, and what it showed."""

    at: float
    observation: Observation


class FaultSession:
    """Applies one fault under a lease, holds it, reverts it, and writes each fact once, with the
    time at which it was seen.

    ``watch`` says why it must end, if it must; ``permit`` raises :class:`DrillError` unless it may
    begin.
    """

    def __init__(
        self,
        fault: Fault,
        *,
        leases: Leases,
        ttl_ms: int,
        watch: Callable[[], str | None],
        permit: Callable[[], None],
        tell: Tell,
        clock: Clock,
    ) -> None:
        self._fault = fault
        self._leases = leases
        self._ttl_ms = ttl_ms
        self._watch = watch
        self._permit = permit
        self._tell = tell
        self._clock = clock
        self._lease = f"fault.{fault.name}"
        self._renewer: Renewer | None = None
        self._effective_ms: int | None = None
        self._untold: list[Literal["fault.reverted", "fault.cleared"]] = []

    def apply(self) -> None:
        """Lodge the undo, make sure that nothing is broken yet, break it, and wait until that is
        seen from outside.

        Raises :class:`DrillError` if the kill switch does not permit it, :class:`ServiceError` if
        the runner is gone, no lease is to be had, or the fault cannot be proven; the lease, and the
        experiment's rollback, then undo whatever was done.
        """
        gone = self._watch()
        if gone is not None:
            raise ServiceError(gone, remedy="this fault is not applied")
        self._permit()
        self._leases.lodge(self._lease, ttl_ms=self._ttl_ms, undo=self._fault.undo())
        self._renewer = Renewer(
            self._leases,
            name=self._lease,
            ttl_ms=self._ttl_ms,
            watch=self._watch,
            clock=self._clock,
        )
        self._renewer.start()
        self._fault.revert(within_ms=self._ttl_ms)
        self._await("clear", purpose="it must be whole before it is broken")
        if not self._leases.renew(self._lease):
            message = f"the lease {self._lease} expired before the fault was applied"
            raise ServiceError(message, remedy="the machine is too busy for this time to live")
        self._untold = ["fault.reverted", "fault.cleared"]
        self._fault.apply()
        self._say("fault.applied", self._clock.unix_s())
        seen = self._await("effective", purpose="a fault that nobody can see proves nothing")
        self._effective_ms = self._clock.monotonic_ms() - round(
            (self._clock.unix_s() - seen.at) * 1_000
        )
        self._say("fault.effective", seen.at, seen.observation)
        self._renewer.require_held()

    def hold(self, duration_ms: int) -> None:
        """Keep the fault for ``duration_ms`` from the moment it was effective, and see that it
        still is at the end.

        Raises :class:`ServiceError` if it was never effective, its lease is lost, or it ended
        early.
        """
        if self._renewer is None or self._effective_ms is None:
            message = f"the fault {self._fault.name} is not in force, so there is nothing to hold"
            raise ServiceError(message, remedy="see why it was not applied")
        while (rest_ms := self._effective_ms + duration_ms - self._clock.monotonic_ms()) > 0:
            self._renewer.require_held()
            self._clock.sleep(min(HOLD_STEP_S, rest_ms / 1_000))
        last = self._fault.observe()
        self._renewer.require_held()
        if last.state != "effective":
            message = f"the fault {self._fault.name} did not last: {last.what}"
            raise ServiceError(message)

    def revert(self) -> None:
        """Mend it and see that it is mended; idempotent. The lease is given back only after that.

        Raises :class:`ServiceError` if it is not mended within the lease's time to live; the lease
        then expires and goes on trying.
        """
        try:
            self._fault.revert(within_ms=self._ttl_ms)
            self._say_once("fault.reverted", self._clock.unix_s())
            seen = self._await("clear", purpose="a fault that is still there is not reverted")
            self._say_once("fault.cleared", seen.at, seen.observation)
        finally:
            if self._renewer is not None:
                self._renewer.stop()
        if self._renewer is not None:
            self._leases.release(self._lease)
            self._renewer = None
        self._effective_ms = None

    def close(self) -> None:
        """Renew no more and let go of the lease holder.

        A fault still in force is then the lease's to undo.
        """
        if self._renewer is not None:
            self._renewer.stop()
        self._leases.close()

    def _await(self, state: str, *, purpose: str) -> _Seen:
        """Look 20 times a second until ``state`` is seen, for at most one time to live."""
        give_up_ms = self._clock.monotonic_ms() + self._ttl_ms
        while True:
            at = self._clock.unix_s()
            observation = self._fault.observe()
            if observation.state == state:
                return _Seen(at=at, observation=observation)
            if self._clock.monotonic_ms() >= give_up_ms:
                message = f"{self._fault.target} was not seen {state} within {self._ttl_ms} ms: {observation.what}"
                raise ServiceError(message, remedy=purpose)
            self._clock.sleep(max(0.0, at + LOOK_EVERY_S - self._clock.unix_s()))

    def _say_once(
        self,
        event: Literal["fault.reverted", "fault.cleared"],
        at: float,
        observation: Observation | None = None,
    ) -> None:
        if event in self._untold:
            self._say(event, at, observation)
            self._untold.remove(event)

    def _say(self, event: str, at: float, observation: Observation | None = None) -> None:
        detail = {"fault": self._fault.name, "target": self._fault.target}
        self._tell(
            event, at, detail if observation is None else {**detail, "seen": observation.what}
        )
