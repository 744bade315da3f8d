"""How much slower intake reserves once its tables hold many rows, within one long run.

The same load as of `benchmarks.reservations`, by two workers, until so many withdrawals are
reserved. The rate at which the last tenth of them was committed stands beside that of the second
tenth: the first one fills caches.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.database import running_server
from benchmarks.figures import Figure
from benchmarks.reservations import BATCH, CUSTOMERS, reserve_batch
from seawall.controls.steady import SteadyClock
from tests.testing.venue_harness import Founded, found, heartbeat
from venue.api.directory import Directory
from venue.database import Pool, open_pool

DRIFT_PERCENT_MAX = 10.0
WORKERS = 2
BATCHES_MIN = 20
"""A tenth of fewer is no rate."""


def measure(*, rows: int, seed: int) -> list[Figure]:
    """The drift over ``rows`` withdrawals, in percent; negative if it became faster."""
    with (
        tempfile.TemporaryDirectory(prefix="seawall-bench-") as name,
        running_server(Path(name), second_disk=False) as server,
    ):
        url = server.new_database("soak")
        return asyncio.run(_measure(url, Path(name) / "venue.json", rows=rows, seed=seed))


async def _measure(url: str, config: Path, *, rows: int, seed: int) -> list[Figure]:
    founded = await found(url, config, customers=CUSTOMERS)
    pool = await open_pool(founded.database.api, name="bench", size=WORKERS)
    try:
        directory = Directory(founded.policy, pool)
        await directory.load()
        committed_s = [time.monotonic()]
        async with heartbeat(founded.database.owner):
            await asyncio.gather(
                *(
                    _worker(
                        founded, directory, pool, seed=seed + number, rows=rows, done=committed_s
                    )
                    for number in range(WORKERS)
                )
            )
    finally:
        pool.terminate()
    early, late = rates(committed_s)
    return [
        Figure(
            name=f"drift of reservations over {(len(committed_s) - 1) * BATCH:,}",
            value=100 * (1 - late / early),
            unit="%",
            goal=DRIFT_PERCENT_MAX,
            at_most=True,
        ),
        Figure(name="reservations, the second tenth of them", value=early, unit="/s"),
        Figure(name="reservations, the last tenth of them", value=late, unit="/s"),
    ]


async def _worker(
    founded: Founded, directory: Directory, pool: Pool, *, seed: int, rows: int, done: list[float]
) -> None:
    """Commit batches until all have reserved ``rows``, and note when each was ``done``."""
    drawn, clock = random.Random(seed), SteadyClock()
    while len(done) <= rows // BATCH:
        await reserve_batch(founded, directory, pool, drawn=drawn, clock=clock)
        done.append(time.monotonic())


def rates(committed_s: Sequence[float]) -> tuple[float, float]:
    """Reservations a second of the second and of the last tenth of all batches.

    Args:
        committed_s: The beginning, and when each batch was committed, in seconds.

    Raises ValueError for fewer than :data:`BATCHES_MIN` batches.
    """
    batches = len(committed_s) - 1
    if batches < BATCHES_MIN:
        raise ValueError(f"{batches} batches are too few for a rate of a tenth of them")
    tenth = batches // 10
    early, late = (
        BATCH * tenth / (committed_s[end] - committed_s[end - tenth])
        for end in (2 * tenth, batches)
    )
    return early, late
