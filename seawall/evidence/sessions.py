"""The probe of sessions that the ledger's database itself has ended, by the server's own counts.

A client that is silent within a transaction may let go of its locks in three ways: it goes on, its
connection ends, or the server ends its session. Only the last shows that the venue rids itself of
such a client, and only the server can tell it from the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import asyncpg

from seawall.conventions.evidence import SESSIONS_EVERY_MS, SESSIONS_PROBE
from seawall.errors import ServiceError, UsageError
from seawall.evidence.probes import Probe, Sample
from seawall.formats.credentials import read_credential

_ANSWER_S_MAX = 1.0
_ENDED = """
    select sessions_killed + sessions_fatal
    from pg_stat_database where datname = current_database()"""
"""PostgreSQL 14 and newer. Somebody's word, such as `pg_terminate_backend`, counts as killed, and a
time-out of the server as fatal. A client whose connection ended between two statements is
`abandoned`, and not here.
"""
_FAILURES = (
    UsageError,
    OSError,
    TimeoutError,
    ValueError,  # no URL
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a statement that begins while the server ends its session
)
_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class SessionsProbe:
    """How many sessions of the database the server has ended so far.

    Anybody who may connect sees that count. It is taken when a session is over.

    Args:
        url_file: File of mode 0600 with the URL of a role that may connect to the database.
    """

    def __init__(self, *, url_file: Path) -> None:
        self._url_file = url_file
        self._connection: _Connection | None = None

    def probes(self) -> Sequence[Probe]:
        """The probe and its period."""
        return (Probe(name=SESSIONS_PROBE, period_s=SESSIONS_EVERY_MS / 1_000, ask=self.count),)

    async def count(self) -> Sequence[Sample]:
        """One sample; ``detail.ended`` is the count.

        Raises :class:`ServiceError` if the server does not say it, or the file holds no URL:
        whoever needs the count finds none, and all other probes go on.
        """
        try:
            async with asyncio.timeout(_ANSWER_S_MAX):
                if self._connection is None:
                    self._connection = await asyncpg.connect(read_credential(self._url_file))
                ended = await self._connection.fetchval(_ENDED)
        except _FAILURES as error:
            self.close()
            raise ServiceError(f"the database's sessions cannot be counted: {error}") from error
        return [Sample(probe=SESSIONS_PROBE, ok=True, detail={"ended": int(ended)})]

    def close(self) -> None:
        """End the connection; the next count begins another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
