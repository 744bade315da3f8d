"""One fault from lease to proven end, with fault, lease and time as ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from chaos.faults.base import Fault, Observation
from chaos.session import FaultSession
from seawall.errors import DrillError, ServiceError
from seawall.lease import Clock, UndoCall


class World:
    """A fault, a lease holder, a clock and a timeline in one.

    ``log`` is the order in which they were used.
    """

    def __init__(
        self,
        *,
        blind: bool = False,
        stubborn: bool = False,
        expired: bool = False,
        gone: str | None = None,
    ) -> None:
        self.log: list[str] = []
        self.told: list[tuple[str, float]] = []
        self.now_ms = 1_000_000
        self.broken = False
        self.blind = blind
        self.expired = expired
        self.stopped: str | None = None
        self.on_sleep: Callable[[], None] = lambda: None
        self.session = FaultSession(
            _Fault(self, stubborn=stubborn),
            leases=self,
            ttl_ms=4_000,
            watch=lambda: gone or (self.stopped if self.broken else None),
            permit=self._permit,
            tell=self._tell,
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

    def _tell(self, event: str, at: float, detail: Mapping[str, Any]) -> None:
        assert detail["fault"] == "test"
        self.log.append(event)
        self.told.append((event, at))


class _Fault(Fault):
    """Takes effect at once; each look takes 20 ms."""

    name = "test"
    reaches = ()
    target = "somewhere"

    def __init__(self, world: World, *, stubborn: bool) -> None:
        self._world = world
        self._stubborn = stubborn

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
        return Observation(state="effective" if self._world.broken else "clear", what="looked")


def test_a_fault_is_lodged_cleaned_applied_seen_held_reverted_and_seen_gone_in_that_order() -> None:
    """The undo is kept before anything breaks, what an earlier run left is reverted first, and the
    lease is given back last.
    """
    world = World()
    world.session.apply()
    world.session.hold(30_000)
    world.session.revert()
    assert world.log == [
        "lodge fault.test",
        "revert",
        "apply",
        "fault.applied",
        "fault.effective",
        "revert",
        "fault.reverted",
        "fault.cleared",
        "release fault.test",
    ]


def test_times_are_those_of_the_looks_and_the_dark_lasts_as_long_as_asked() -> None:
    """`effective` is when the look began that was not answered, so that a failover is never
    measured too short.
    """
    world = World()
    world.session.apply()
    world.session.hold(30_000)
    world.session.revert()
    told = dict(world.told)
    assert told["fault.effective"] == told["fault.applied"] == 1_000.02
    assert told["fault.reverted"] - told["fault.effective"] == pytest.approx(30.02)
    assert told["fault.cleared"] == told["fault.reverted"]


def test_reverting_again_tells_nothing_again() -> None:
    """The rollback after a reverted fault changes nothing and writes nothing."""
    world = World()
    world.session.apply()
    world.session.revert()
    told = list(world.told)
    world.session.revert()
    assert world.told == told


def test_without_a_runner_nothing_is_lodged_or_broken() -> None:
    """A dead runner has no use for a fault."""
    world = World(gone="the runner (process 7) is gone")
    with pytest.raises(ServiceError, match=r"^the runner \(process 7\) is gone"):
        world.session.apply()
    assert world.log == []


def test_an_expired_lease_keeps_the_fault_from_being_applied() -> None:
    """If its undo has been made already, nobody would undo what comes now."""
    world = World(expired=True)
    with pytest.raises(
        ServiceError, match=r"^the lease fault\.test expired before the fault was applied"
    ):
        world.session.apply()
    assert "apply" not in world.log
    world.session.revert()


def test_a_fault_that_nobody_sees_was_not_applied() -> None:
    """The injector's word is no proof.

    Without an effect seen from outside, the action fails, and only the revert is told.
    """
    world = World(blind=True)
    with pytest.raises(
        ServiceError, match=r"^somewhere was not seen effective within 4000 ms: looked"
    ):
        world.session.apply()
    world.session.revert()
    assert [event for event, _ in world.told] == [
        "fault.applied",
        "fault.reverted",
        "fault.cleared",
    ]


def test_a_fault_that_ends_early_was_not_held() -> None:
    """Someone mended it in the middle: the dark was shorter than the policy asks for."""
    world = World()
    world.session.apply()

    def mend() -> None:
        world.broken = False

    world.on_sleep = mend
    with pytest.raises(ServiceError, match=r"^the fault test did not last"):
        world.session.hold(30_000)
    world.session.revert()


def test_a_fault_that_does_not_revert_keeps_its_lease_for_the_holder_to_undo() -> None:
    """The lease is not given back, so that it expires and goes on trying.

    Nothing is told that is not so.
    """
    world = World(stubborn=True)
    world.session.apply()
    with pytest.raises(ServiceError, match=r"^not undone"):
        world.session.revert()
    assert "release fault.test" not in world.log
    assert [event for event, _ in world.told] == ["fault.applied", "fault.effective"]


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
    assert world.log[-2:] == ["fault.cleared", "release fault.test"]
