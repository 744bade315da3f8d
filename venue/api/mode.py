"""The mode as the api reads it: the committed row, at least stressed while the lease is stale.

It is never cached. :func:`holding_mode` is the lock that every money transaction of the api takes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seawall.controls.heartbeat import stale, tier_without_heartbeat
from seawall.conventions.database import MODE_LOCK
from seawall.errors import InternalError, ServiceError
from venue.database import FAILURES, commit

if TYPE_CHECKING:
    import asyncpg

    from seawall.policy import Tier
    from venue.database import Connection, Pool

READ_MODE = """
    select epoch, tier, reason, extract(epoch from since)::float8 as since_s,
           (select (extract(epoch from clock_timestamp() - renewed_at) * 1000)::bigint
            from mode_controller_lease) as lease_age_ms
    from mode"""
_SILENT = (
    "The mode controller is silent; "
    "until it answers, payouts wait and the venue counts as stressed."
)
_BEGIN = f"begin; select pg_advisory_xact_lock_shared({MODE_LOCK})"


# Written to the log and read by nobody.
_CONFIRM = "select pg_logical_emit_message(true, 'seawall', 'told again')"


class CommitInDoubtError(ServiceError):
    """A commit was sent and its reply never came: it may have happened or not."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """The tier under which customers are served; ``epoch`` is that of the committed row."""

    tier: Tier
    epoch: int
    since_s: float
    reason: str


@asynccontextmanager
async def holding_mode(connection: Connection) -> AsyncIterator[None]:
    """A transaction during which no flip can commit; read the mode inside, in a later statement.

    The lock is a statement of its own, with its own snapshot; otherwise a flip that commits during
    the wait would not be seen (design section 5, ring 0). Begin and lock are sent together, which
    saves a round trip per batch.

    Raises :class:`CommitInDoubtError`.
    """
    await connection.execute(_BEGIN)
    try:
        yield
    except BaseException:
        if not connection.is_closed():
            await connection.execute("rollback")
        raise
    try:
        await commit(connection)
    except FAILURES as error:
        raise CommitInDoubtError(f"the reply to a commit was lost: {error!r}") from error


async def confirm(connection: Connection | Pool) -> None:
    """Have it wait for the second disk if what was done before is told as done again.

    Whoever did it may have given up waiting, or the server was killed meanwhile. The log goes on
    with something that commits later, so that an answer after it is true on both disks.
    """
    await connection.execute(_CONFIRM)


async def read_mode(connection: Connection | Pool) -> Mode:
    """The mode in force, as of this statement.

    Raises :class:`InternalError` if genesis has not run.
    """
    row = await connection.fetchrow(READ_MODE)
    if row is None:
        raise InternalError("the venue has no mode row: genesis has not run")
    return mode_of(row)


def mode_of(row: asyncpg.Record) -> Mode:
    """The mode that a row of :data:`READ_MODE` states."""
    tier, reason = row["tier"], row["reason"]
    if stale(row["lease_age_ms"]):
        served = tier_without_heartbeat(tier)
        if served != tier:
            tier, reason = served, _SILENT
    return Mode(tier=tier, epoch=row["epoch"], since_s=row["since_s"], reason=reason)
