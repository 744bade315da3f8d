"""Readings of the database's clock, which windows and ages survive being set."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seawall.controls.steady import SteadyClock
    from venue.database import Connection, Pool

NOW_US = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
"""SQL for the database's clock, in Unix microseconds."""
_READ = f"select {NOW_US}"


def monotonic_us() -> int:
    """This process's clock that is never set, in microseconds."""
    return time.monotonic_ns() // 1_000


async def read_clock(connection: Connection | Pool, clock: SteadyClock) -> int:
    """Take a reading of the database's clock into ``clock``; returns its steady time."""
    asked_us = monotonic_us()
    shown_us = await connection.fetchval(_READ)
    return clock.read(shown_us=shown_us, asked_us=asked_us, answered_us=monotonic_us())
