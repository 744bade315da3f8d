"""Connections to the venue's PostgreSQL: money is ``int``, errors are ours.

``numeric`` columns hold whole base units, so they are decoded as ``int``; a fraction raises instead
of being rounded. Cast ``extract(epoch from ...)`` and averages to ``float8`` in SQL. For commit
times use :data:`COMMITTED_AT_US`.
"""

from __future__ import annotations

from typing import TypeAlias

import asyncpg

from seawall.errors import ServiceError

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
"""What a failed statement or connection raises; a loop catches these to survive a restart."""

COMMITTED_AT_US = "(extract(epoch from pg_xact_commit_timestamp({row}.xmin)) * 1000000)::bigint"
"""SQL for the commit time of an insert-only row, in Unix microseconds; ``format(row=alias)``."""


async def _prepare(connection: Connection) -> None:
    await connection.set_type_codec(
        "numeric", encoder=str, decoder=int, schema="pg_catalog", format="text"
    )


async def _keep(_connection: Connection) -> None:
    """Reset nothing: no session state is ever set, and open transactions are rolled back before."""


async def connect(url: str, *, name: str) -> asyncpg.Connection[asyncpg.Record]:
    """One connection at READ COMMITTED that shows as ``name`` in ``pg_stat_activity``.

    Raises :class:`ServiceError`.
    """
    try:
        connection = await asyncpg.connect(
            url, timeout=10, server_settings={"application_name": name}
        )
        await _prepare(connection)
    except FAILURES as error:
        raise ServiceError(f"{name} cannot reach its database: {error}") from error
    return connection


async def open_pool(url: str, *, name: str, size: int) -> Pool:
    """A pool of at most ``size`` connections like :func:`connect`. Raises :class:`ServiceError`."""
    settings = {"application_name": name}
    try:
        # The default of `reset` would send the server a statement after every use.
        pool: Pool | None = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            init=_prepare,
            reset=_keep,
            timeout=10,
            server_settings=settings,
        )
    except FAILURES as error:
        raise ServiceError(f"{name} cannot reach its database: {error}") from error
    assert pool is not None  # None only for a pool that is not to connect at once
    return pool
