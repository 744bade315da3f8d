"""What the ledger's older entries sum to, so that a turn of the treasury reads the newer ones only.

Entries are never changed, so the sum of those that are settled holds for ever: no transaction that
is still under way can add one among them. It must not be believed after a restore, so it counts for
one start of one server only.

An id is given out before its transaction commits, so the highest id that is seen settles nothing:
a lower one may still be under way. It is settled when every transaction that ran, or could have run
by then, has ended: a transaction has its number (xid) before it has an entry's id, because it
inserts the posting first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from venue.database import Connection

Account = tuple[str, str, str, str]
"""(bucket, network, asset, kind); all customers of a bucket are one."""

_CHUNK = 100_000
"""Entries that one statement adds up: a new treasury reads a long history in many short ones."""
_SERVER = """
    select pg_postmaster_start_time() as started_at, d.oid::bigint as database
    from pg_database d where d.datname = current_database()"""
_HIGHEST = "select coalesce(max(id), 0) from entries"
# In a statement of its own, later than the one before: no number below `next` is still to come.
_TRANSACTIONS = """
    select pg_snapshot_xmin(s)::text::bigint as oldest, pg_snapshot_xmax(s)::text::bigint as next
    from pg_current_snapshot() s"""
_SUMS = """
    select a.bucket, a.network, a.asset, a.kind, sum(e.amount) as amount
    from entries e join accounts a on a.id = e.account_id
    where e.id > $1 and e.id <= $2 group by a.bucket, a.network, a.asset, a.kind"""
_HIGHEST_OF_ALL = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Sums by account of all entries with an id up to ``up_to``."""

    up_to: int = 0
    sums: Mapping[Account, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """An id that is settled once no transaction below ``next_transaction`` is under way."""

    highest: int
    next_transaction: int


NOTHING = Settled()
"""Before anything was added up: every entry is read."""


class History:
    """Adds up entries as they settle; of one treasury."""

    def __init__(self) -> None:
        self.settled = NOTHING
        self._server: tuple[datetime, int] | None = None
        self._candidate: _Candidate | None = None

    async def settle(self, connection: Connection) -> Settled:
        """Add up what has settled since the last call, and return what is known.

        Args:
            connection: Not in a transaction.

        Raises the errors of the database; what was known before is then known still.
        """
        row = await connection.fetchrow(_SERVER)
        assert row is not None  # the database that is asked
        server = (row["started_at"], row["database"])
        if server != self._server:
            self.settled, self._candidate, self._server = NOTHING, None, server
        highest = await connection.fetchval(_HIGHEST)
        running = await connection.fetchrow(_TRANSACTIONS)
        assert running is not None
        candidate = self._candidate
        if candidate is None or running["oldest"] >= candidate.next_transaction:
            while candidate is not None and self.settled.up_to < candidate.highest:
                up_to = min(candidate.highest, self.settled.up_to + _CHUNK)
                self.settled = await self._add(connection, up_to)
            self._candidate = _Candidate(highest=highest, next_transaction=running["next"])
        return self.settled

    async def _add(self, connection: Connection, up_to: int) -> Settled:
        sums = Counter(self.settled.sums)  # not added with `+`, which drops what is negative
        sums.update(await sums_between(connection, self.settled.up_to, up_to))
        return Settled(up_to=up_to, sums=sums)


async def sums_between(
    connection: Connection, above: int, up_to: int = _HIGHEST_OF_ALL
) -> Counter[Account]:
    """Sums by account of the entries with ids ``above`` one and ``up_to`` another, as seen now."""
    rows = await connection.fetch(_SUMS, above, up_to)
    return Counter(
        {(row["bucket"], row["network"], row["asset"], row["kind"]): row["amount"] for row in rows}
    )
