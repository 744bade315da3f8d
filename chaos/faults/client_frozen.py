"""The fault in which clients of the ledger's database hold the mode lock, and are silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import asyncpg

from chaos.faults.base import Observation
from chaos.repeated import RepeatedFault
from seawall.conventions import components, faults
from seawall.conventions.database import MODE_LOCK
from seawall.errors import ServiceError, UsageError
from seawall.formats.credentials import read_credential
from seawall.formats.deployment import Deployment
from seawall.lease import UndoCall
from seawall.policy import Policy

_CLIENTS = 2
"""One holds the lock while the other begins a new session."""
_ANSWER_S_MAX = 2.0
_GONE_FOR_S = 0.3
"""A session that was ended is begun again within a few milliseconds; later it is gone."""
_LOOK_S = 0.02
_READ_S = 0.001
"""For what the server said in the meantime to be read: it may have ended a session."""
_FROZEN = "seawall-drill-client-frozen"
_WATCH = "seawall-drill-client-watch"
_HOLD = f"begin; select pg_advisory_xact_lock_shared({MODE_LOCK})"
_SEEN = f"""
    select count(*) as sessions,
           count(*) filter (where a.state = 'idle in transaction' and exists (
               select from pg_locks l
               where l.pid = a.pid and l.granted and l.locktype = 'advisory' and l.objsubid = 1
                 and (l.classid::bigint << 32 | l.objid::bigint) = {MODE_LOCK})) as holding
    from pg_stat_activity a
    where a.application_name = '{_FROZEN}' and a.datname = current_database()"""
_FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class ClientFrozen(RepeatedFault):
    """Clients take the lock that claims and reservations share, in a transaction, and are silent.

    A flip of the mode wants that lock alone, and everybody who comes later waits behind the flip:
    a venue that lets such a client be stands still with it. These set no bound of their own to
    their sessions, as a program that nobody wrote with care, and begin a new session whenever one
    is ended, as processes do that a platform starts again.

    It is seen in the server's own views, from a session of its own. Nothing is left of it when the
    runner is gone, because the server ends the sessions of a client whose connection is closed.
    """

    name = faults.CLIENT_FROZEN
    every_s = 0.05

    def __init__(
        self, deployment: Deployment, *, target: str, parameters: Mapping[str, str]
    ) -> None:
        super().__init__(deployment, target=target, parameters=parameters)
        self.part = target
        if target != components.DATABASE_LOCK_TARGET:
            raise UsageError(
                f"the fault {self.name} cannot be aimed at {target}",
                remedy=f"there is {components.DATABASE_LOCK_TARGET}",
            )
        if deployment.database is None or deployment.database.client is None:
            raise UsageError(
                f"the fault {self.name} cannot be applied: the deployment file names no client of"
                " the ledger's database",
                remedy="name a file with the URL of a role that may connect to it under"
                " `database.client`; a sandbox has one while a game day runs on it",
            )
        self._url_file = deployment.database.client
        self._runner: asyncio.Runner | None = None
        self._clients: list[_Connection] = []
        self._watching: asyncio.Runner | None = None
        self._watcher: _Connection | None = None

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """The mode lock of the one database of the ledger."""
        del policy
        return (components.DATABASE_LOCK_TARGET,)

    def undo(self) -> tuple[UndoCall, ...]:
        """None that a lease could make: the clients end with the runner."""
        return ()

    def step(self) -> None:
        """Have every client hold the lock in a transaction; those that do are left alone."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            self._runner.run(self._hold())
        except _FAILURES as error:
            raise ServiceError(f"no client holds {self.part}: {error}") from error

    def rest(self) -> None:
        """Close the clients' connections; the server then ends their transactions."""
        if self._runner is not None:
            self._runner.run(_closed(self._clients))
            self._runner.close()
            self._runner, self._clients = None, []

    def observe(self) -> Observation:
        """Ask the server which sessions of the clients there are, and which hold the lock."""
        deadline = time.monotonic() + _GONE_FOR_S
        while True:
            try:
                sessions, holding = self._watch()
            except (*_FAILURES, UsageError) as error:
                return Observation(state="unclear", what=f"{type(error).__name__}: {error}")
            what = f"{holding} of {sessions} silent clients hold {self.part}"
            if holding:
                return Observation(state="effective", what=what)
            if sessions:
                return Observation(state="unclear", what=what)
            if time.monotonic() >= deadline:
                self._leave()
                return Observation(state="clear", what=f"no client holds {self.part} in silence")
            time.sleep(_LOOK_S)

    def _watch(self) -> tuple[int, int]:
        """Sessions of the clients, and those that hold the lock. Raises what asyncpg raises."""
        if self._watching is None:
            self._watching = asyncio.Runner()
        try:
            return self._watching.run(self._look())
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        """Close the session that watches; the next observation begins another."""
        watching, self._watching = self._watching, None
        watcher, self._watcher = self._watcher, None
        if watching is not None:
            if watcher is not None:
                watching.run(_closed([watcher]))
            watching.close()

    async def _hold(self) -> None:
        await asyncio.sleep(_READ_S)
        self._clients = [client for client in self._clients if not client.is_closed()]
        while len(self._clients) < _CLIENTS:
            client = await self._connect(_FROZEN)
            try:
                await client.execute(_HOLD, timeout=_ANSWER_S_MAX)
            except BaseException:
                client.terminate()
                raise
            self._clients.append(client)

    async def _look(self) -> tuple[int, int]:
        if self._watcher is None:
            self._watcher = await self._connect(_WATCH)
        row = await self._watcher.fetchrow(_SEEN, timeout=_ANSWER_S_MAX)
        assert row is not None  # it counts
        return row["sessions"], row["holding"]

    async def _connect(self, name: str) -> _Connection:
        url = read_credential(self._url_file)
        settings = {"application_name": name}
        return await asyncpg.connect(url, timeout=_ANSWER_S_MAX, server_settings=settings)


async def _closed(connections: Sequence[_Connection]) -> None:
    """Close them without a word to the server."""
    for connection in connections:
        connection.terminate()
    await asyncio.sleep(_READ_S)
