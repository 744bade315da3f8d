"""From a dark signing region to the first broadcast of what the standby region signed.

A settler pays all the time. Then the primary region answers nothing more, as KMS does that is cut
off: each request hangs as long as the signer waits for it. What is timed ends with the commit of
the first broadcast that the standby signed, by the server's clock, which is this machine's. Before
the next round the region answers again, and the settler has gone back to it.

Only the lane that pays is measured: a reserve's lane has no work unless a wallet is low.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from benchmarks.figures import Figure
from benchmarks.venue import AMOUNT, ASSET, NETWORK, at_a_venue
from tests.testing.settler_harness import Venue, Wanted
from tests.testing.venue_harness import connected

P99_MS_MAX = 500.0
_EVERY_S = 0.05
_BEFORE_S = 2.0
"""Of payouts by the primary region in each round, before it is dark."""
_FIRST = """
    select extract(epoch from min(pg_xact_commit_timestamp(xmin)))::float8 from slot_events
    where state = 'broadcast' and signer_region = $1 and at > to_timestamp($2)"""
_BACK = "select bool_and(signer_region = $1) from lanes where network = $2"
_HUNG_S = 60.0


def measure(*, rounds: int) -> list[Figure]:
    """The slowest of ``rounds``, and the one in the middle."""
    return asyncio.run(at_a_venue(lambda venue: _measure(venue, rounds=rounds)))


async def _measure(venue: Venue, *, rounds: int) -> list[Figure]:
    regions = venue.policy.regions
    await venue.settler(NETWORK)
    took_ms = []
    async with connected(venue.database.owner) as own, _fed(replace(venue, owner=own)):
        for _ in range(rounds):
            await asyncio.sleep(_BEFORE_S)
            dark_at = time.time()
            venue.providers[regions.primary].dark = True
            first = None
            async with asyncio.timeout(_HUNG_S):
                while first is None:
                    await asyncio.sleep(_EVERY_S)
                    first = await venue.owner.fetchval(_FIRST, regions.standby, dark_at)
            took_ms.append((first - dark_at) * 1_000)
            venue.providers[regions.primary].dark = False
            await venue.until(_BACK, regions.primary, NETWORK, within_s=_HUNG_S)
    took_ms.sort()
    return [
        Figure(
            name=f"signing region dark to first standby broadcast, slowest of {rounds}",
            value=took_ms[-1],
            unit="ms",
            goal=P99_MS_MAX,
            at_most=True,
            peer="the round in the middle, ms",
            peer_value=took_ms[len(took_ms) // 2],
        )
    ]


@asynccontextmanager
async def _fed(venue: Venue) -> AsyncIterator[None]:
    """Twenty withdrawals a second, for as long as the block lasts."""

    async def feed() -> None:
        while True:
            await venue.reserve([Wanted(network=NETWORK, asset=ASSET, amount=AMOUNT)])
            await asyncio.sleep(_EVERY_S)

    feeding = asyncio.create_task(feed())
    try:
        yield
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
