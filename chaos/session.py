"""One fault, from its lease until it is observed to be gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from chaos.faults import Fault, Observation, RestoredFault
from seawall.errors import ServiceError
from seawall.lease import Clock, Renewer, UndoCall

PROBE_EVERY_S = 0.05
"""While waiting for a fault to be effective or gone: 20 probes a second."""
HOLD_STEP_S = 0.1
"""How soon a lost lease or a dead runner ends the holding of a fault."""

Record = Callable[[str, float, Mapping[str, Any]], None]
"""Writes (event, Unix seconds, detail) to the timeline."""


class Leases(Protocol):
    """The part of the lease client that a session needs."""

    def lodge(self, name: str, *, ttl_ms: int, undo: tuple[UndoCall, ...]) -> None:
        """Ask the holder to keep the undo."""

    def renew(self, name: str) -> bool:
        """Put the expiry off; False once the lease has expired."""

    def release(self, name: str) -> bool:
        """Give the lease back; False if it had expired."""

    def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True, kw_only=True)
class _Observed:
    """The first observation of an awaited state, and when its probe began (Unix seconds)."""

    at: float
    observation: Observation


class _Watch:
    """Counts what a fault's own observer sees while the fault is in force."""

    def __init__(self, fault: Fault, clock: Clock, *, since_ms: int) -> None:
        self._fault, self._clock = fault, clock
        self._last_ms, self._gap_ms = since_ms, 0
        self._states: dict[str, int] = {"effective": 0, "clear": 0, "unclear": 0}

    def look(self, *, until: str | None = None) -> Observation:
        """Observe once; what shows the state ``until`` is waited for, and not counted."""
        seen = self._fault.observe()
        if seen.state == until:
            return seen
        now_ms = self._clock.monotonic_ms()
        self._gap_ms = max(self._gap_ms, now_ms - self._last_ms)
        self._last_ms = now_ms
        self._states[seen.state] += 1
        return seen

    def counts(self) -> dict[str, int]:
        """``samples``, ``effective``, ``clear``, and ``gap_ms``, the longest time without one."""
        return {
            "samples": sum(self._states.values()),
            "effective": self._states["effective"],
            "clear": self._states["clear"],
            "gap_ms": self._gap_ms,
        }


class FaultSession:
    """Applies one fault under a lease, holds it and reverts it.

    Each fact is recorded once, with the time at which it was observed.

    Args:
        fault: What to apply.
        leases: Where its undo is kept.
        ttl_ms: Time to live of the lease, and the bound of each step.
        watch: Gives the reason why the fault must end, or None.
        permit: Raises :class:`DrillError` unless the fault may be applied.
        record: Writes to the timeline.
        clock: Time.
    """

    def __init__(
        self,
        fault: Fault,
        *,
        leases: Leases,
        ttl_ms: int,
        watch: Callable[[], str | None],
        permit: Callable[[], None],
        record: Record,
        clock: Clock,
    ) -> None:
        self._fault = fault
        self._leases = leases
        self._ttl_ms = ttl_ms
        self._watch = watch
        self._permit = permit
        self._record_fact = record
        self._clock = clock
        self._lease = f"fault.{fault.label}"
        self._renewer: Renewer | None = None
        self._effective_ms: int | None = None
        self._unrecorded: list[Literal["fault.reverted", "fault.cleared"]] = []

    def apply(self) -> None:
        """Apply the fault, and return when it is observed to be effective.

        First its undo is lodged, what an earlier run left is reverted, and the target is observed
        to be whole.

        Raises:
            DrillError: The kill switch does not permit it.
            ServiceError: The runner is gone, no lease is to be had, or the fault is not observed.
                The lease and the experiment's rollback then undo whatever was done.
        """
        reason = self._watch()
        if reason is not None:
            raise ServiceError(reason, remedy="this fault is not applied")
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
            raise ServiceError(
                f"the lease {self._lease} expired before the fault was applied",
                remedy="the machine is too busy for this time to live",
            )
        self._unrecorded = ["fault.reverted", "fault.cleared"]
        # A fault of several steps is met before the last one is done, so its beginning counts.
        begins = self._clock.unix_s()
        self._fault.apply()
        self._record("fault.applied", begins)
        seen = self._await("effective", purpose="a fault that cannot be observed proves nothing")
        elapsed_ms = round((self._clock.unix_s() - seen.at) * 1_000)
        self._effective_ms = self._clock.monotonic_ms() - elapsed_ms
        self._record("fault.effective", seen.at, seen.observation)
        self._renewer.require_held()

    def hold(self, duration_ms: int) -> None:
        """Keep the fault for ``duration_ms`` from the moment at which it was effective.

        It is observed all the time, and ``fault.held`` counts what was seen: ``samples``, those
        that showed it ``effective`` or ``clear``, and the longest time without one in ``gap_ms``.
        If a procedure undoes it, that is begun then, and the fault is held until it has ended.

        Raises:
            ServiceError: It was never effective, its lease is lost, or it was seen to be gone.
        """
        if self._renewer is None or self._effective_ms is None:
            raise ServiceError(
                f"the fault {self._fault.name} is not in force, so there is nothing to hold",
                remedy="see why it was not applied",
            )
        watch = _Watch(self._fault, self._clock, since_ms=self._effective_ms)
        while self._clock.monotonic_ms() < self._effective_ms + duration_ms:
            self._renewer.require_held()
            seen = watch.look()
            if seen.state == "clear":
                raise ServiceError(f"the fault {self._fault.name} did not last: {seen.what}")
            rest_ms = self._effective_ms + duration_ms - self._clock.monotonic_ms()
            self._clock.sleep(max(0.0, min(HOLD_STEP_S, rest_ms / 1_000)))
        last = watch.look()
        self._renewer.require_held()
        if last.state != "effective":
            raise ServiceError(f"the fault {self._fault.name} did not last: {last.what}")
        if isinstance(self._fault, RestoredFault):
            self._watch_procedure(self._fault, watch)
        self._record("fault.held", self._clock.unix_s(), more=watch.counts())

    def _watch_procedure(self, fault: RestoredFault, watch: _Watch) -> None:
        """Begin the undo, and go on observing ``fault`` until it is gone.

        Raises :class:`ServiceError` if the lease is lost, or it is not gone in time.
        """
        assert self._renewer is not None
        self._record("fault.undoing", self._clock.unix_s())
        fault.begin_undo()
        give_up_ms = self._clock.monotonic_ms() + fault.procedure_ms
        while (seen := watch.look(until="clear")).state != "clear":
            self._renewer.require_held()
            if self._clock.monotonic_ms() >= give_up_ms:
                raise ServiceError(
                    f"{fault.part} was not restored within {fault.procedure_ms} ms: {seen.what}",
                    remedy="see what the procedure said; the lease's holder goes on with it",
                )
            self._clock.sleep(HOLD_STEP_S)

    def revert(self) -> None:
        """Undo the fault and return when it is observed to be gone; idempotent.

        Only then is the lease given back.

        Raises:
            ServiceError: It is not gone within the lease's time to live. The lease then expires,
                and its holder goes on trying.
        """
        try:
            restored = self._fault if isinstance(self._fault, RestoredFault) else None
            within_ms = 0 if restored is None else restored.procedure_ms
            self._fault.revert(within_ms=max(self._ttl_ms, within_ms))
            at = self._clock.unix_s()
            said = None if restored is None else {"procedure": restored.account()}
            self._record_once("fault.reverted", at, more=said)
            seen = self._await("clear", purpose="a fault that is still there is not reverted")
            self._record_once("fault.cleared", seen.at, seen.observation)
        finally:
            if self._renewer is not None:
                self._renewer.stop()
        if self._renewer is not None:
            self._leases.release(self._lease)
            self._renewer = None
        self._effective_ms = None

    def close(self) -> None:
        """Stop renewing, and close the connection to the lease holder.

        A fault that is still in force is then undone by its lease.
        """
        if self._renewer is not None:
            self._renewer.stop()
        self._leases.close()

    def _await(self, state: str, *, purpose: str) -> _Observed:
        """Probe until ``state`` is observed, for at most one time to live."""
        give_up_ms = self._clock.monotonic_ms() + self._ttl_ms
        while True:
            at = self._clock.unix_s()
            observation = self._fault.observe()
            if observation.state == state:
                return _Observed(at=at, observation=observation)
            if self._clock.monotonic_ms() >= give_up_ms:
                raise ServiceError(
                    f"{self._fault.part} was not seen {state} within {self._ttl_ms} ms: "
                    f"{observation.what}",
                    remedy=purpose,
                )
            self._clock.sleep(max(0.0, at + PROBE_EVERY_S - self._clock.unix_s()))

    def _record_once(
        self,
        event: Literal["fault.reverted", "fault.cleared"],
        at: float,
        observation: Observation | None = None,
        *,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        if event in self._unrecorded:
            self._record(event, at, observation, more=more)
            self._unrecorded.remove(event)

    def _record(
        self,
        event: str,
        at: float,
        observation: Observation | None = None,
        *,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        detail: dict[str, Any] = {
            "fault": self._fault.name,
            "target": self._fault.target,
            "part": self._fault.part,
            "parameters": self._fault.declared,
        }
        if observation is not None:
            detail["seen"] = observation.what
        detail |= more or {}
        self._record_fact(event, at, detail)
