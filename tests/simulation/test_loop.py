"""Virtual time: waits cost nothing, happen in order, and a standstill is an error."""

from __future__ import annotations

import asyncio

import pytest

from tests.simulation.loop import DeadlockError, VirtualLoop, nap


def test_an_hour_passes_at_once_and_timers_fire_in_the_order_of_their_times() -> None:
    loop = VirtualLoop()
    seen: list[tuple[float, str]] = []

    async def wait(seconds: float, name: str) -> None:
        await asyncio.sleep(seconds)
        seen.append((loop.time(), name))

    async def main() -> None:
        await asyncio.gather(wait(3_600, "late"), wait(2, "first"), wait(2, "second"))

    loop.run(main())
    assert seen == [(2.0, "first"), (2.0, "second"), (3_600.0, "late")]


def test_a_timeout_ends_a_nap_and_a_cancelled_timer_never_fires() -> None:
    loop = VirtualLoop()

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await nap(60)
        await nap(100)
        return loop.time()

    assert loop.run(main()) == 101.5


def test_a_world_in_which_nothing_can_happen_any_more_is_an_error() -> None:
    with pytest.raises(DeadlockError, match=r"^nothing happens any more after 1\.000 s$"):
        VirtualLoop().run(_stand_still())


async def _stand_still() -> None:
    await asyncio.sleep(1)
    await asyncio.Event().wait()
