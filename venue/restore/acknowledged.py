"""What customers were told, by a log that was not lost with the ledger.

A restore without the stream of the log forgets what was accepted since the backup. Withdrawals that
were sent are on a chain; bids, and what still waited, are nowhere but in what was answered. So
whoever keeps a log of that before the api may hand it in: a CSV with the columns ``kind``
(``withdrawal`` or ``bid``) and ``id``, one line for each request that was acknowledged. Further
columns are passed over.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args
from uuid import UUID

from seawall.errors import UsageError

if TYPE_CHECKING:
    from venue.database import Connection

Kind = Literal["withdrawal", "bid"]
_UNKNOWN: Mapping[Kind, str] = {
    "withdrawal": "select id from unnest($1::uuid[]) as a (id)"
    " where not exists (select 1 from withdrawals w where w.id = a.id) order by id",
    "bid": "select id from unnest($1::uuid[]) as a (id)"
    " where not exists (select 1 from bids b where b.id = a.id) order by id",
}


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A request that a customer was told is accepted."""

    kind: Kind
    id: UUID

    def __str__(self) -> str:
        return f"{self.kind} {self.id}: its customer was told that it is accepted"


def read_acknowledged(path: Path) -> frozenset[Promise]:
    """The requests in the log at ``path``. Raises :class:`UsageError` for what is none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.DictReader(file)
            if not {"kind", "id"} <= set(lines.fieldnames or ()):
                raise UsageError(
                    f"{path} does not begin with the names of its columns, kind and id: a log that"
                    " is empty or cut off would look like one in which nothing is missing"
                )
            return frozenset(
                _promise(row, where=f"{path}, line {number}")
                for number, row in enumerate(lines, start=2)
            )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _promise(row: Mapping[str, str | None], *, where: str) -> Promise:
    for kind in get_args(Kind):
        if row.get("kind") == kind:
            try:
                return Promise(kind=kind, id=UUID(row.get("id")))
            except (ValueError, TypeError) as error:
                raise UsageError(f"{where}: {row.get('id')!r} is no id") from error
    raise UsageError(
        f"{where}: {row.get('kind')!r} is neither {' nor '.join(map(repr, get_args(Kind)))}"
    )


async def forgotten(
    connection: Connection, acknowledged: Collection[Promise]
) -> tuple[Promise, ...]:
    """Those of ``acknowledged`` that are not on record, by kind and id."""
    found: list[Promise] = []
    for kind in get_args(Kind):
        asked = [each.id for each in acknowledged if each.kind == kind]
        rows = await connection.fetch(_UNKNOWN[kind], asked)
        found += [Promise(kind=kind, id=UUID(str(row["id"]))) for row in rows]
    return tuple(found)
