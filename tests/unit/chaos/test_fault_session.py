"""One fault from its lease until it is gone; fault, lease holder and time are the test's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from chaos.faults.base import Fault, Observation, Parameters, RestoredFault
from chaos.session import FaultSession
from seawall.errors import DrillError, ServiceError
from seawall.lease import Clock, UndoCall
from seawall.policy import Policy


class World:
    """A fault, a lease holder, a clock and a timeline.

    ``log`` is the order in which they were used.
    """

    def __init__(
        self,
        *,
        blind: bool = False,
        stubborn: bool = False,
        expired: bool = False,
        gone: str | None = None,
        procedure_ms: int | None = None,
    ) -> None:
        self.log: list[str] = []
        self.recorded: list[tuple[str, float]] = []
        self.details: dict[str, Mapping[str, Any]] = {}
        self.now_ms = 1_000_000
        self.broken = False
        self.blind = blind
        self.expired = expired
        self.stopped: str | None = None
        self.on_sleep: Callable[[], None] = lambda: None
        self.mended_ms: int | None = None
        self.session = FaultSession(
            _Fault(self, stubborn=stubborn)
            if procedure_ms is None
            else _Restored(self, stubborn=stubborn, procedure_ms=procedure_ms),
            leases=self,
            ttl_ms=4_000,
            watch=lambda: gone or (self.stopped if self.broken else None),
            permit=self._permit,
            record=self._record,
            clock=Clock(
                monotonic_ms=lambda: self.now_ms,
                unix_s=lambda: self.now_ms / 1_000,
                sleep=self._sleep,
            ),
        )

    def _permit(self) -> None:
        if self.stopped is not None:
            raise DrillError(self.stopped)

    def lodge(self, name: str, *, ttl_ms: int, undo: tuple[UndoCall, ...]) -> None:
        """Keep the undo."""
        assert (ttl_ms, len(undo)) == (4_000, 1)
        self.log.append(f"lodge {name}")

    def renew(self, name: str) -> bool:
        """Whether it is still held."""
        return not self.expired

    def release(self, name: str) -> bool:
        """Take it back."""
        self.log.append(f"release {name}")
        return True

    def close(self) -> None:
        """Nothing is open."""

    def _sleep(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1_000)
        self.on_sleep()

    def _record(self, event: str, at: float, detail: Mapping[str, Any]) -> None:
        assert detail["fault"] == "test"
        self.log.append(event)
        self.recorded.append((event, at))
        self.details[event] = detail


class _Fault(Fault):
    """Takes effect at once; each probe takes 20 ms."""

    name = "test"
    part = "somewhere"

    def __init__(self, world: World, *, stubborn: bool) -> None:
        self.target, self.parameters, self.declared = "there", Parameters(), {}
        self._world = world
        self._stubborn = stubborn

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        return ()

    def undo(self) -> tuple[UndoCall, ...]:
        return (UndoCall(method="DELETE", url="http://127.0.0.1:1/fault"),)

    def apply(self) -> None:
        self._world.log.append("apply")
        self._world.broken = not self._world.blind

    def revert(self, *, within_ms: int) -> None:
        self._world.log.append("revert")
        if self._stubborn and self._world.broken:
            raise ServiceError("not undone")
        self._world.broken = False

    def observe(self) -> Observation:
        self._world.now_ms += 20
        mended_ms = self._world.mended_ms
        if mended_ms is not None and self._world.now_ms >= mended_ms:
            self._world.broken = False
        return Observation(state="effective" if self._world.broken else "clear", what="probed")


class _Restored(_Fault, RestoredFault):
    """A procedure mends it, 20 s after it has begun."""

    def __init__(self, world: World, *, stubborn: bool, procedure_ms: int) -> None:
        super().__init__(world, stubborn=stubborn)
        self.procedure_ms = procedure_ms

    def begin_undo(self) -> None:
        self._world.log.append("begin undo")
        self._world.mended_ms = self._world.now_ms + 20_000

    def account(self) -> Mapping[str, Any]:
        return {"steps": ["mended"]}


def test_what_takes_a_procedure_must_say_how_that_is_begun() -> None:
    """One that does not is refused when it is made, and not in the middle of a drill."""

    class Unfinished(_Fault, RestoredFault):
        procedure_ms = 1

    with pytest.raises(TypeError, match=r"abstract methods '?account'?, '?begin_undo"):
        Unfinished(World(), stubborn=False)  # type: ignore[abstract]


def test_a_fault_is_lodged_cleaned_applied_seen_held_reverted_and_seen_gone_in_that_order() -> None:
    """The undo is kept before anything breaks, and the lease is given back last.

    What an earlier run left is reverted first.
    """
    world = World()
    world.session.apply()
    world.session.hold(30_000)
    world.session.revert()
    assert world.log == [
        "lodge fault.test.there",
        "revert",
        "apply",
        "fault.applied",
        "fault.effective",
        "fault.held",
        "revert",
        "fault.reverted",
        "fault.cleared",
        "release fault.test.there",
    ]


def test_times_are_those_of_the_probes_and_the_fault_lasts_as_long_as_asked() -> None:
    """`effective` is when the unanswered probe began, so that no failover is measured too short."""
    world = World()
    world.session.apply()
    world.session.hold(30_000)
    world.session.revert()
    at = dict(world.recorded)
    assert at["fault.effective"] == at["fault.applied"] == 1_000.02
    assert at["fault.reverted"] - at["fault.effective"] == pytest.approx(30.02, abs=0.03)
    assert at["fault.cleared"] == at["fault.reverted"]


def test_what_a_fault_of_several_steps_causes_comes_after_it_was_applied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A venue that met the first step has already acted when the last one is done."""
    world = World()
    applied = _Fault.apply

    def slowly(fault: _Fault) -> None:
        applied(fault)
        world.now_ms += 700

    monkeypatch.setattr(_Fault, "apply", slowly)
    world.session.apply()
    at = dict(world.recorded)
    assert at["fault.effective"] - at["fault.applied"] == pytest.approx(0.7)


def test_a_fault_is_observed_all_the_time_that_it_is_held() -> None:
    """What was seen is counted for the judge: here a probe of 20 ms every 0.1 s."""
    world = World()
    world.session.apply()
    world.session.hold(30_000)

    held = world.details["fault.held"]
    assert held["samples"] == held["effective"] == pytest.approx(250, abs=3)
    assert (held["clear"], held["gap_ms"]) == (0, 120)


def test_reverting_again_records_nothing_again() -> None:
    """The rollback after a reverted fault changes nothing and writes nothing."""
    world = World()
    world.session.apply()
    world.session.revert()
    before = list(world.recorded)
    world.session.revert()
    assert world.recorded == before


def test_without_a_runner_nothing_is_lodged_or_broken() -> None:
    """A fault is of no use once its runner is dead."""
    world = World(gone="the runner (process 7) is gone")
    with pytest.raises(ServiceError, match=r"^the runner \(process 7\) is gone"):
        world.session.apply()
    assert world.log == []


def test_an_expired_lease_keeps_the_fault_from_being_applied() -> None:
    """If the undo has been made already, a fault that is applied now would not be undone."""
    world = World(expired=True)
    with pytest.raises(
        ServiceError, match=r"^the lease fault\.test\.there expired before the fault was applied"
    ):
        world.session.apply()
    assert "apply" not in world.log
    world.session.revert()


def test_a_fault_that_is_not_observed_was_not_applied() -> None:
    """That the injector took the fault proves nothing: without an observed effect, it fails."""
    world = World(blind=True)
    with pytest.raises(
        ServiceError, match=r"^somewhere was not seen effective within 4000 ms: probed"
    ):
        world.session.apply()
    world.session.revert()
    assert [event for event, _ in world.recorded] == [
        "fault.applied",
        "fault.reverted",
        "fault.cleared",
    ]


def test_a_fault_that_ends_early_was_not_held() -> None:
    """If it is mended in the middle, it was shorter than the policy asks for."""
    world = World()
    world.session.apply()

    def mend() -> None:
        world.broken = False

    world.on_sleep = mend
    with pytest.raises(ServiceError, match=r"^the fault test did not last"):
        world.session.hold(30_000)
    world.session.revert()


def test_a_fault_that_does_not_revert_keeps_its_lease_for_the_holder_to_undo() -> None:
    """The lease expires and its holder goes on trying; no revert is recorded."""
    world = World(stubborn=True)
    world.session.apply()
    with pytest.raises(ServiceError, match=r"^not undone"):
        world.session.revert()
    assert "release fault.test.there" not in world.log
    assert [event for event, _ in world.recorded] == ["fault.applied", "fault.effective"]


def test_a_fault_is_not_applied_when_drills_are_stopped() -> None:
    """Nothing is lodged and nothing is touched, not even to clean up."""
    world = World()
    world.stopped = "the kill switch in us-west-2 says 'stopped'"
    with pytest.raises(DrillError, match="says 'stopped'"):
        world.session.apply()
    assert world.log == []


def test_a_stop_while_a_fault_is_held_ends_the_holding_and_the_rollback_undoes_it() -> None:
    """The lease is renewed no more, so even a rollback that never runs leaves nothing broken."""
    world = World()
    world.session.apply()
    renewer = world.session._renewer
    assert renewer is not None

    def stop_midway() -> None:
        world.stopped = "the kill switch in us-west-2 says 'stopped'"
        renewer.step()  # what its thread does three times in each time to live

    world.on_sleep = stop_midway
    with pytest.raises(ServiceError, match="the kill switch in us-west-2 says 'stopped'"):
        world.session.hold(30_000)
    assert renewer.step() is None
    world.on_sleep = lambda: None
    world.session.revert()
    assert not world.broken
    assert world.log[-2:] == ["fault.cleared", "release fault.test.there"]


def test_a_fault_that_a_procedure_undoes_is_held_and_observed_until_that_has_ended() -> None:
    """The judge counts it as in force all the time, and hears what the procedure said."""
    world = World(procedure_ms=60_000)
    world.session.apply()
    world.session.hold(6_000)
    world.session.revert()
    at = dict(world.recorded)
    held = world.details["fault.held"]

    assert world.log[4:] == [
        "fault.effective",
        "fault.undoing",
        "begin undo",
        "fault.held",
        "revert",
        "fault.reverted",
        "fault.cleared",
        "release fault.test.there",
    ]
    assert at["fault.undoing"] - at["fault.effective"] == pytest.approx(6, abs=0.1)
    assert at["fault.held"] - at["fault.effective"] == pytest.approx(26, abs=0.2)
    assert at["fault.reverted"] - at["fault.held"] < 0.1
    assert held["samples"] == held["effective"] == pytest.approx(217, abs=5)
    assert (held["clear"], held["gap_ms"]) == (0, 120)
    assert world.details["fault.reverted"]["procedure"] == {"steps": ["mended"]}


def test_a_procedure_that_does_not_end_in_its_time_is_left_to_the_lease() -> None:
    world = World(procedure_ms=5_000)
    world.session.apply()
    with pytest.raises(ServiceError, match=r"^somewhere was not restored within 5000 ms: probed"):
        world.session.hold(1_000)
    assert "fault.held" not in world.details
