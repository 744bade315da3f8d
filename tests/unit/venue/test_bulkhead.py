"""The signer's bulkhead: a bucket that is over its share is throttled, and never another bucket."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from seawall.controls.bulkhead import RateLimit
from seawall.conventions import environment, sabotage
from venue.signer.bulkhead import Bulkhead
from venue.signer.protocol import SigningRefusedError

HOT, ESCROW = "customer-hot", "escrow-hot"


@dataclass(kw_only=True)
class Clock:
    """A clock that advances only when a task sleeps."""

    us: int = 1_000_000
    slept_s: list[float] = field(default_factory=list)

    def now_us(self) -> int:
        """The time, in microseconds."""
        return self.us

    async def sleep(self, seconds: float) -> None:
        """Advance the clock at once."""
        self.slept_s.append(seconds)
        self.us += round(seconds * 1_000_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bulkhead(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Bulkhead:
    monkeypatch.delenv(environment.SABOTAGE_VARIABLE, raising=False)
    limit = RateLimit(interval_us=100_000, burst_us=100_000, wait_us_max=50_000, in_flight_max=2)
    return Bulkhead(
        limits={"customer": limit, "escrow": limit},
        buckets={HOT: "customer", ESCROW: "escrow"},
        now_us=clock.now_us,
        sleep=clock.sleep,
    )


async def refused(bulkhead: Bulkhead, wallet: str) -> str:
    with pytest.raises(SigningRefusedError) as caught:
        async with bulkhead.inside(wallet):
            pass
    assert caught.value.code == "throttled"
    return caught.value.reason


async def test_a_bucket_that_spent_its_share_is_throttled_and_its_neighbour_is_not(
    bulkhead: Bulkhead,
) -> None:
    for _ in range(2):
        async with bulkhead.inside(HOT):
            pass
    assert "customer has used up its share" in await refused(bulkhead, HOT)
    async with bulkhead.inside(ESCROW):
        pass


async def test_a_bucket_whose_calls_hang_uses_its_own_places_only(bulkhead: Bulkhead) -> None:
    async with AsyncExitStack() as hanging:
        for _ in range(2):
            await hanging.enter_async_context(bulkhead.inside(HOT))
        assert "customer has 2 signatures under way" in await refused(bulkhead, HOT)
        async with bulkhead.inside(ESCROW):
            pass


async def test_a_request_that_comes_a_little_early_waits_for_its_turn(
    bulkhead: Bulkhead, clock: Clock
) -> None:
    for _ in range(2):
        async with bulkhead.inside(HOT):
            pass
    clock.us += 60_000
    async with bulkhead.inside(HOT):
        pass
    assert clock.slept_s == [0.04]


async def test_a_place_is_free_again_when_signing_failed(bulkhead: Bulkhead) -> None:
    for _ in range(2):
        with pytest.raises(OSError, match="dark"):
            async with bulkhead.inside(HOT):
                raise OSError("dark")
    assert "used up its share" in await refused(bulkhead, HOT)


async def test_a_sabotaged_bulkhead_admits_every_request(
    bulkhead: Bulkhead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With this sabotage the drill must fail."""
    monkeypatch.setenv(environment.SABOTAGE_VARIABLE, sabotage.SABOTAGE_BULKHEAD)

    async def enter() -> None:
        async with bulkhead.inside(HOT):
            await asyncio.sleep(0)

    await asyncio.gather(*(enter() for _ in range(50)))
