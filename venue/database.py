"""Connections to the venue's PostgreSQL: money is ``int``, errors are ours.

``numeric`` columns hold whole base units, so they are decoded as ``int``; a fraction raises instead
of being rounded. Cast ``extract(epoch from ...)`` and averages to ``float8`` in SQL. For commit
times use :data:`COMMITTED_AT_US`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeAlias

import asyncpg

from seawall.errors import ServiceError

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""What a failed statement or connection raises; a loop catches these to survive a restart.

InternalClientError is what asyncpg raises for a statement that begins while the server ends the
session.
"""


def reason_of(error: BaseException) -> str:
    """Why ``error`` came about, for a log.

    Of a session that the server has ended, asyncpg says only that it is closed when the transaction
    is left; what the server said came before that.
    """
    before = error.__cause__ or error.__context__
    if isinstance(error, asyncpg.InterfaceError) and isinstance(before, FAILURES):
        return f"{reason_of(before)}; then the connection was closed"
    return f"{type(error).__name__}: {error}" if isinstance(error, FAILURES) else str(error)


TRANSACTION_MS_MAX = 10_000
"""The longest transaction of a process of the venue; the server ends the session that has it.

A client that is frozen or cut off in the middle of one would else keep its locks for ever, and with
them the locks of everybody who waits behind it (design section 5, "Alive").
"""
IDLE_IN_TRANSACTION_MS_MAX = 1_000
"""The longest pause of a client within a transaction; the server ends the session."""
LOCK_MS_MAX = 5_000
"""The longest wait for one lock; the statement fails, and its transaction is tried again."""
ANSWER_S_MAX = 15.0
"""The longest wait of a client for an answer of the server, which may be cut off as well."""

_BOUNDS = {
    "transaction_timeout": str(TRANSACTION_MS_MAX),
    "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS_MAX),
    "lock_timeout": str(LOCK_MS_MAX),
    # A peer that is gone without a word is noticed in seconds, not after the two hours of the
    # kernel's default. Over a Unix socket, where nothing can be cut off, these mean nothing.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    # While a statement runs, the server looks whether its client is still there.
    "client_connection_check_interval": "1000",
    # Every statement is planned for what the tables hold now and for the arrays that it gets. A
    # plan that the server keeps is one for the tables as they were at the process's start, which
    # are empty after a founding: in a run it read whole tables again for each row, until the next
    # ANALYZE (PostgreSQL 18, "PREPARE", Notes). A plan costs about a millisecond.
    "plan_cache_mode": "force_custom_plan",
}
"""Settings of every session (PostgreSQL 18, "Client Connection Defaults", "Connection Settings").

``transaction_timeout`` is there since 17, ``client_connection_check_interval`` since 14.
"""

COMMITTED_AT_US = "(extract(epoch from pg_xact_commit_timestamp({row}.xmin)) * 1000000)::bigint"
"""SQL for the commit time of an insert-only row, in Unix microseconds; ``format(row=alias)``."""


async def _prepare(connection: Connection) -> None:
    await connection.set_type_codec(
        "numeric", encoder=str, decoder=int, schema="pg_catalog", format="text"
    )


async def _keep(_connection: Connection) -> None:
    """Reset nothing: no session state is ever set, and open transactions are rolled back before."""


async def connect(
    url: str, *, name: str, bounded: bool = True
) -> asyncpg.Connection[asyncpg.Record]:
    """One connection at READ COMMITTED that shows as ``name`` in ``pg_stat_activity``.

    Its transactions and waits are bounded by the constants above, unless it is not ``bounded``: a
    program that runs before the venue does may take its time.

    Raises :class:`ServiceError`.
    """
    try:
        connection = await asyncpg.connect(
            url,
            timeout=10,
            command_timeout=ANSWER_S_MAX if bounded else None,
            server_settings={"application_name": name} | (_BOUNDS if bounded else {}),
        )
        await _prepare(connection)
    except FAILURES as error:
        raise ServiceError(f"{name} cannot reach its database: {error}") from error
    return connection


async def open_pool(url: str, *, name: str, size: int, statement_ms_max: int | None = None) -> Pool:
    """A pool of at most ``size`` connections like :func:`connect`, all bounded.

    The server ends each statement that takes longer than ``statement_ms_max``.

    Raises :class:`ServiceError`.
    """
    bounds = (
        _BOUNDS
        if statement_ms_max is None
        else _BOUNDS | {"statement_timeout": str(statement_ms_max)}
    )
    try:
        # The default of `reset` would send the server a statement after every use.
        pool: Pool | None = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            init=_prepare,
            reset=_keep,
            timeout=10,
            command_timeout=ANSWER_S_MAX,
            server_settings={"application_name": name} | bounds,
        )
    except FAILURES as error:
        raise ServiceError(f"{name} cannot reach its database: {error}") from error
    assert pool is not None  # None only for a pool that is not to connect at once
    return pool


_NO_LIMIT_S = 86_400.0
"""asyncpg cannot be told to wait for ever for one statement of a connection that has a limit."""


async def commit(connection: Connection) -> None:
    """Commit the transaction, and wait for it no longer than for any answer.

    A wait for a commit must never be cancelled. While the receiver of the log is gone, the server
    has committed already, and waits before it shows that to anybody. If the wait is cancelled, it
    shows it, and says that it is done, although the second disk does not have it (PostgreSQL 18,
    ``synchronous_commit``). asyncpg's own time limit would have it cancelled, and so would a
    cancelled task. Who waits no longer closes the connection instead, which the server does not
    notice before it is done.

    Raises :data:`FAILURES`; it is then not known whether it was committed.
    """
    working = asyncio.ensure_future(connection.execute("commit", timeout=_NO_LIMIT_S))
    try:
        done, _ = await asyncio.wait((working,), timeout=ANSWER_S_MAX)
    except asyncio.CancelledError:
        await _abandon(connection, working)
        raise
    if not done:
        await _abandon(connection, working)
        raise TimeoutError(f"no answer to a commit within {ANSWER_S_MAX:g} s")
    working.result()


async def _abandon(connection: Connection, working: asyncio.Future[str]) -> None:
    """Close ``connection``, which ends ``working`` here and not at the server."""
    connection.terminate()
    await asyncio.gather(working, return_exceptions=True)


async def while_open(
    listener: asyncpg.Connection[asyncpg.Record], work: Coroutine[Any, Any, None]
) -> None:
    """Do ``work`` for as long as ``listener`` is open, which hears what it is woken by.

    Without it the work would go on, but late, and nobody would know why.

    Raises :class:`ServiceError` if it closes before the work is done.
    """
    closed = asyncio.Event()
    listener.add_termination_listener(lambda _: closed.set())
    if listener.is_closed():
        closed.set()
    working, closing = asyncio.create_task(work), asyncio.create_task(closed.wait())
    try:
        await asyncio.wait((working, closing), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ServiceError("the connection that listens was lost")
        working.result()
    finally:
        working.cancel()
        closing.cancel()
        await asyncio.gather(working, closing, return_exceptions=True)
