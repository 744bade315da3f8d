"""The simulated PostgreSQL: tables in memory, transactions, row locks, and what connections do.

The settler's own classes run on it unchanged: they send their SQL, and a handler written for that
very text (tests/simulation/sql) does in Python what the text does. Isolation is READ COMMITTED: a
statement sees what was committed before it, and what its own transaction wrote. Whoever writes a
row holds it until the transaction ends; others wait, and then see the newest version. The rules of
schema.sql hold here as well (tests/simulation/rules.py). How honest all this is, is shown by
tests/integration/test_simulated_parts.py, which does the same on both.

A commit is atomic. Its request may be lost before it happens and its answer after it happened; the
client sees the same error.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg

from tests.simulation.loop import nap
from tests.simulation.mode_lock import LOCK_S_MAX, ModeLock
from tests.simulation.processes import KilledError, Life, held_up, pass_through, running, travel
from tests.simulation.trace import Trace
from tests.simulation.weather import Weather
from venue.contracts.calls import packed

IDLE_S_MAX = 1.0
"""``idle_in_transaction_session_timeout`` of every session."""
_TAKES_TIME = 0.5
"""The part of the ways to the database that take time at all."""

Key: TypeAlias = Any
Stored: TypeAlias = dict[str, Any]


class Row(dict[str, Any]):
    """A row of an answer; iterating gives its values, as a record of asyncpg does."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())


Handler: TypeAlias = Callable[..., Awaitable[Iterable[Row]]]
HANDLERS: dict[str, Handler] = {}


def statement(text: str) -> Callable[[Handler], Handler]:
    """Register what ``text`` does: a coroutine of the transaction and the statement's arguments.

    It returns the rows of the answer.
    """

    def register(handler: Handler) -> Handler:
        if HANDLERS.setdefault(text, handler) is not handler:
            raise ValueError(f"two handlers for {text}")
        return handler

    return register


SIGN_LOG_TABLES = ("sign_log", "sign_log_replacements", "signed_amounts")
"""Those of the signers' own database."""
TABLES = (
    "lanes",
    "settler_leases",
    "lane_log",
    "slots",
    "slot_events",
    "replacements",
    "withdrawals",
    "attempts",
    "resolutions",
    "asset_pauses",
    "topups",
    "gas_refills",
    "approval_requests",
    "approval_signatures",
    "approvals",
    "approval_calls",
    "floats",
    "balances",
    "postings",
    "entries",
    "mode",
    "mode_controller_lease",
    "rail_providers",
    "rail_lines",
    "rail_instructions",
    "rail_log",
    "rail_funds",
)
Rule: TypeAlias = "Callable[[Transaction, Stored | None, Stored | None], None]"


@dataclass(kw_only=True)
class Database:
    """All committed rows, and everybody's locks.

    Attributes:
        trace: Where commits are noted.
        weather: Of the ways to it.
        clock: Seconds of the server's clock.
        rules: By table, what the schema demands of a change.
        without: Names of safeguards that are switched off, for the ablations.
        committed: Called after each commit with the changed rows, by table, old and new.
        names: Of its tables.
    """

    trace: Trace
    weather: Weather
    clock: Callable[[], float]
    rules: Mapping[str, Rule]
    without: frozenset[str] = frozenset()
    committed: Callable[
        [Transaction, dict[str, dict[Key, tuple[Stored | None, Stored | None]]]], None
    ]
    names: Sequence[str] = TABLES
    tables: dict[str, dict[Key, Stored]] = field(init=False)
    down: bool = False
    generation: int = 0
    """Of the ledger: a later one than its contracts pay yet, if it was restored just before."""
    key: str = "first"
    """What tells two ledgers of one generation apart."""
    chain_nonce: Callable[[str], int] = lambda _: 0
    """The next nonce of an address on the chain; only an ablated store looks at it."""
    locks: dict[Any, Transaction] = field(default_factory=dict)
    waiting: dict[Any, deque[asyncio.Future[None]]] = field(default_factory=dict)
    mode_lock: ModeLock = field(default_factory=ModeLock)
    connections: dict[Connection, None] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tables = {table: {} for table in self.names}

    def number(self, table: str) -> int:
        """The next number of an identity column; numbers of what is rolled back are lost."""
        self._numbers[table] = self._numbers.get(table, 0) + 1
        return self._numbers[table]

    def next_seq(self) -> int:
        """The next number of a withdrawal, in the generation in force."""
        return packed(self.generation, self.number("withdrawals"))

    @property
    def mark(self) -> str:
        """The id that it uses up at providers of rails to open its generation."""
        return f"generation-{self.generation}-{self.key}"

    def pool(self) -> Pool:
        """A pool of the process in progress."""
        return Pool(self)

    def transaction(self) -> Transaction:
        """A transaction of the world's own, without a connection and its weather."""
        return Transaction(self)

    def drop_connections(self) -> None:
        """End every session, as a restart of the server does."""
        for connection in tuple(self.connections):
            connection.break_off()

    def saved(self) -> Any:
        """What a backup of this moment holds."""
        rows = {
            table: {key: dict(row) for key, row in of.items()} for table, of in self.tables.items()
        }
        return rows, dict(self._numbers)

    def restore(self, backup: Any) -> None:
        """Go back to a backup: whatever was committed since is lost."""
        self.drop_connections()
        self.tables, self._numbers = copy.deepcopy(backup)


class Transaction:
    """One transaction: its own writes, its locks, its notifications."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.own: dict[str, dict[Key, Stored | None]] = {}
        self.written: list[tuple[str, Key, Stored | None]] = []  # each version, none undone
        self.held: list[Any] = []
        self.notes: list[str] = []
        self.began_s = database.clock()
        self.life = running.get()
        self.over = False
        self.as_owner = False
        """Whether a function of the schema's owner is writing, with the owner's rights."""
        self.mode_seen: Stored | None = None
        """The mode when the lock was asked for; only an ablated store looks at it."""

    @property
    def without(self) -> frozenset[str]:
        """Safeguards that are switched off."""
        return self.database.without

    def get(self, table: str, key: Key) -> Stored | None:
        """The row as this statement sees it."""
        own = self.own.get(table)
        if own is not None and key in own:
            return own[key]
        return self.database.tables[table].get(key)

    def rows(self, table: str) -> list[Stored]:
        """All rows of a table as this statement sees them, oldest first."""
        committed = self.database.tables[table]
        own = self.own.get(table)
        if not own:
            return list(committed.values())
        seen = [own.get(key, row) for key, row in committed.items()]
        seen += [row for key, row in own.items() if key not in committed]
        return [row for row in seen if row is not None]

    async def lock(self, what: Any) -> None:
        """Hold ``what`` until the end. Raises LockNotAvailableError after ``lock_timeout``."""
        locks = self.database.locks
        while (owner := locks.get(what)) is not None:
            if owner is self:
                return
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.database.waiting.setdefault(what, deque()).append(future)
            try:
                async with asyncio.timeout(LOCK_S_MAX):
                    await future
            except TimeoutError:
                raise asyncpg.LockNotAvailableError(
                    "canceling statement due to lock timeout"
                ) from None
        if self.over:
            raise _gone()
        locks[what] = self
        self.held.append(what)

    async def take(self, table: str, key: Key) -> Stored | None:
        """Lock a row and return its newest version."""
        await self.lock((table, key))
        return self.get(table, key)

    def is_locked_by_another(self, table: str, key: Key) -> bool:
        """What ``skip locked`` asks."""
        return self.database.locks.get((table, key), self) is not self

    def put(self, table: str, key: Key, row: Stored | None) -> None:
        """Write a row whose lock is held, or a new one; None deletes it.

        Raises what PostgreSQL raises if a rule of the schema forbids it.
        """
        rule = self.database.rules.get(table)
        if rule is not None:
            rule(self, self.get(table, key), row)
        self.own.setdefault(table, {})[key] = row
        self.written.append((table, key, row))

    async def update(self, table: str, key: Key, **changes: Any) -> Stored | None:
        """Lock a row and change some of its columns; None if there is no such row."""
        row = await self.take(table, key)
        if row is None:
            return None
        row = row | changes
        self.put(table, key, row)
        return row

    async def insert(self, table: str, key: Key, row: Stored, *unique: Any) -> None:
        """Insert a row under its primary key, and under other keys that must be ``unique``.

        As in PostgreSQL, it waits for another transaction that inserts the same.
        """
        await self.lock((table, key))
        for each in unique:
            await self.lock((table, "unique", each))
        if self.get(table, key) is not None:
            raise asyncpg.UniqueViolationError(f"duplicate key value violates {table}_pkey")
        self.put(table, key, row)

    def commit(self) -> None:
        """Make it so, at once and as a whole."""
        database = self.database
        changed = {
            table: {key: (database.tables[table].get(key), row) for key, row in own.items()}
            for table, own in self.own.items()
        }
        for table, own in self.own.items():
            rows = database.tables[table]
            for key, row in own.items():
                if row is None:
                    rows.pop(key, None)
                else:
                    rows[key] = row
        self.end()
        if changed:
            database.committed(self, changed)
        for channel in self.notes:
            for connection in tuple(database.connections):
                connection.hear(channel)

    def savepoint(self) -> Any:
        """What :meth:`back_to` goes back to."""
        own = {table: dict(rows) for table, rows in self.own.items()}
        return own, len(self.held), len(self.notes), len(self.written)

    def back_to(self, savepoint: Any) -> None:
        """Undo what was written since, and release what was locked since."""
        if self.over:
            return
        self.own, held, notes, written = savepoint
        self._release(self.held[held:])
        del self.held[held:], self.notes[notes:], self.written[written:]

    def _release(self, held: Sequence[Any]) -> None:
        locks, waiting = self.database.locks, self.database.waiting
        for what in held:
            del locks[what]
            for future in waiting.pop(what, ()):
                if not future.done():
                    future.set_result(None)

    def end(self) -> None:
        """Release everything; without a commit before, nothing has happened."""
        if self.over:
            return
        self.over = True
        self._release(self.held)
        self.database.mode_lock.release(self)


def _gone() -> asyncpg.PostgresError:
    return asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


class Connection:
    """A session, with those methods of asyncpg's that the venue uses."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tx: Transaction | None = None
        self._closed = False
        self._busy = False
        self._life: Life | None = running.get()
        self._listening: dict[str, Callable[..., None]] = {}
        self._at_end: list[Callable[[Any], None]] = []
        self._committing = False
        database.connections[self] = None
        if self._life is not None:
            self._life.sessions[self] = None

    def break_off(self) -> None:
        """The session ends, whatever the client thinks of it."""
        if self._closed:
            return
        self._closed = True
        self._database.connections.pop(self, None)
        if self._life is not None:
            self._life.sessions.pop(self, None)
        if self._tx is not None:
            self._tx.end()
        for tell in self._at_end:
            tell(self)

    def client_died(self) -> None:
        """The server notices at once."""
        # A commit that is on its way arrives or not; it has arrived in half of the cases.
        under_way = self._committing and self._tx is not None and not self._tx.over
        if under_way and self._tx is not None and self._database.weather.draw() < 0.5:
            self._tx.commit()
        self._at_end.clear()
        self.break_off()

    def client_froze(self) -> None:
        """The server ends the session if its transaction stays idle for too long."""
        if self._tx is not None:
            asyncio.get_running_loop().call_later(IDLE_S_MAX, self._end_if_idle, self._tx)

    def _end_if_idle(self, tx: Transaction) -> None:
        frozen = self._life is not None and self._life.frozen
        if self._tx is tx and frozen and not (tx.over or self._busy):
            self._database.trace.note("the server ends an idle session")
            self.break_off()

    def is_closed(self) -> bool:
        """Whether the session has ended."""
        return self._closed

    def terminate(self) -> None:
        """End the session."""
        self._at_end.clear()
        self.break_off()

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None:
        """Hear what is notified on ``channel``."""
        await self._way()
        self._listening[channel] = callback

    def add_termination_listener(self, callback: Callable[[Any], None]) -> None:
        """Be told when the session ends."""
        self._at_end.append(callback)

    def hear(self, channel: str) -> None:
        """A notification was committed."""
        callback = self._listening.get(channel)
        if callback is not None:
            way_s = self._database.weather.way_s()
            asyncio.get_running_loop().call_later(way_s, self._deliver, callback, channel)

    def _deliver(self, callback: Callable[..., None], channel: str) -> None:
        if not self._closed and not (self._life is not None and self._life.dead):
            callback(self, 0, channel, "")

    async def _way(self) -> None:
        """To the server: it takes a while, and may end here."""
        weather = self._database.weather
        if (life := held_up()) is not None:
            await life.pass_through()
        # The others take none, which costs less and is a schedule like any other.
        if weather.draw() < _TAKES_TIME:
            await travel(weather.way_s())
        if self._closed or self._database.down:
            self.break_off()
            raise _gone()
        if weather.happens(weather.cut):
            self._database.trace.reach("fault: connection cut")
            self.break_off()
            raise _gone()

    async def fetch(self, text: str, *arguments: Any) -> list[Row]:
        """The rows that a statement answers."""
        await self._way()
        handler = HANDLERS.get(text)
        if handler is None:
            raise NotImplementedError(f"no handler simulates the statement {text}")
        alone = self._tx is None
        tx = Transaction(self._database) if self._tx is None else self._tx
        self._busy = True
        try:
            rows = list(await handler(tx, *arguments))
        except BaseException:
            if alone:
                tx.end()
            raise
        finally:
            self._busy = False
        if alone:
            await self._commit(tx)
        return rows

    async def fetchrow(self, text: str, *arguments: Any) -> Row | None:
        """The first row of the answer."""
        rows = await self.fetch(text, *arguments)
        return rows[0] if rows else None

    async def fetchval(self, text: str, *arguments: Any) -> Any:
        """The first value of the first row of the answer."""
        rows = await self.fetch(text, *arguments)
        return next(iter(rows[0])) if rows else None

    async def execute(self, text: str, *arguments: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 - asyncpg's
        """Carry a statement out."""
        del timeout
        if text.startswith("begin; "):
            self._tx = Transaction(self._database)
            text = text.removeprefix("begin; ")
        elif text in ("commit", "rollback"):
            tx, self._tx = self._tx, None
            if tx is not None and text == "commit":
                await self._commit(tx)
            elif tx is not None:
                tx.end()
            return ""
        await self.fetch(text, *arguments)
        return ""

    async def _commit(self, tx: Transaction) -> None:
        """Its request travels, it happens, its answer travels; any of it may be lost."""
        weather = self._database.weather
        if not tx.own and not tx.notes:  # nothing that could be lost
            over = tx.over
            tx.end()
            self._lose_if(over, None)
            return
        self._committing, before = True, self._tx
        self._tx = tx
        try:
            await self._way()
            self._lose_if(tx.over, None)
            self._lose_if(weather.happens(weather.commit_lost), "commit lost")
            tx.commit()
            self._lose_if(weather.happens(weather.answer_lost), "answer to a commit lost")
            if weather.draw() < _TAKES_TIME:
                await travel(weather.way_s())
        except BaseException:
            if not tx.over and not (self._life is not None and self._life.dead):
                tx.end()
            raise
        finally:
            self._committing, self._tx = False, before

    def _lose_if(self, lost: bool, fault: str | None) -> None:
        """Break off if ``lost``, by a fault or because the server did before."""
        if not lost:
            return
        if fault is not None:
            self._database.trace.reach(f"fault: {fault}")
            self.break_off()
        raise _gone()

    def transaction(self) -> _Block:
        """A block that is one transaction; within another one, a savepoint of it."""
        return _Block(self)

    def begin(self) -> Any:
        """Start a transaction; within one, the savepoint that stands for it."""
        if self._tx is not None:
            return self._tx.savepoint()
        self._tx = Transaction(self._database)
        return None

    async def finish(self, *, commit: bool) -> None:
        """End the transaction in progress."""
        tx, self._tx = self._tx, None
        if tx is None:
            return
        if commit:
            await self._commit(tx)
        else:
            tx.end()


class _Block:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._savepoint: Any = None

    async def __aenter__(self) -> None:
        await pass_through()
        self._savepoint = self._connection.begin()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, KilledError):
            return  # the session has ended with its client
        tx = self._connection._tx
        if self._savepoint is not None:
            if kind is not None and tx is not None:
                tx.back_to(self._savepoint)
            return
        await self._connection.finish(commit=kind is None)


class _Lent:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None

    async def __aenter__(self) -> Connection:
        if (life := held_up()) is not None:
            await life.pass_through()
        if self._database.down:
            await nap(self._database.weather.way_s())
            raise ConnectionRefusedError("the database is not there")
        self._connection = Connection(self._database)
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.terminate()


class Pool:
    """A pool, with those methods of asyncpg's that the venue uses; it is never exhausted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self) -> _Lent:
        """A connection for a block."""
        return _Lent(self._database)

    async def fetch(self, text: str, *arguments: Any) -> list[Row]:
        """As a connection's."""
        async with _Lent(self._database) as connection:
            return await connection.fetch(text, *arguments)

    async def fetchrow(self, text: str, *arguments: Any) -> Row | None:
        """As a connection's."""
        rows = await self.fetch(text, *arguments)
        return rows[0] if rows else None

    async def fetchval(self, text: str, *arguments: Any) -> Any:
        """As a connection's."""
        rows = await self.fetch(text, *arguments)
        return next(iter(rows[0])) if rows else None

    async def execute(self, text: str, *arguments: Any) -> str:
        """As a connection's."""
        async with _Lent(self._database) as connection:
            return await connection.execute(text, *arguments)
