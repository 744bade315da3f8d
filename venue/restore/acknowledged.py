"""What customers were told, by a log that was not lost with the ledger.

A restore without the stream of the log forgets what was accepted since the backup. Withdrawals that
were sent are on a chain. Everything else is nowhere but in what was answered: what still waited,
what was cancelled, swaps, bids and their ends, requests for help. So whoever keeps a log of that
before the api may hand it in: a CSV with the columns ``kind`` and ``id``
(:mod:`seawall.conventions.promises`), one line for each request that was acknowledged. Further
columns are passed over.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from seawall.conventions.promises import PROMISE_KINDS, PromiseKind
from seawall.errors import UsageError

if TYPE_CHECKING:
    from venue.database import Connection

_TICKET_MAX = (1 << 63) - 1
_KNOWN: Mapping[PromiseKind, str] = {
    "withdrawal": "select 1 from withdrawals w where w.id = a.id",
    # One that a payment was tried of is held until its number is used up, and then given back.
    "cancellation": """
        select 1 from withdrawals w
        where w.id = a.id
          and (w.state = 'voided'
               or exists (select 1 from resolutions r
                          where (r.withdrawal_id, r.decision) = (w.id, 'void')))""",
    "swap": "select 1 from swaps s where s.id = a.id",
    "listing": "select 1 from listings l where l.id = a.id",
    "bid": "select 1 from bids b where b.id = a.id",
    "settlement": "select 1 from bids b where (b.id, b.state) = (a.id, 'settled')",
    "refund": "select 1 from bids b where (b.id, b.state) = (a.id, 'refunded')",
    "ticket": "select 1 from tickets t where t.id = a.id",
}
"""By kind: what finds the promise ``a.id`` on record."""
_TOLD: Mapping[PromiseKind, str] = {
    "cancellation": "is cancelled, so that it is not paid",
    "swap": "is booked",
    "settlement": "is settled",
    "refund": "is given back",
}
"""By kind: what its customer was told of it, where that is more than that it is accepted."""


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A request that a customer was told is done, or accepted; of a ticket ``id`` is its number."""

    kind: PromiseKind
    id: UUID | int

    def __str__(self) -> str:
        told = _TOLD.get(self.kind, "is accepted")
        return f"{self.kind} {self.id}: its customer was told that it {told}"


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
    for kind in PROMISE_KINDS:
        if row.get("kind") == kind:
            said = row.get("id") or ""
            try:
                return Promise(kind=kind, id=_ticket(said) if kind == "ticket" else UUID(said))
            except ValueError as error:
                raise UsageError(f"{where}: {row.get('id')!r} is no id") from error
    raise UsageError(
        f"{where}: {row.get('kind')!r} is none of {', '.join(map(repr, PROMISE_KINDS))}"
    )


def _ticket(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= _TICKET_MAX):
        raise ValueError(f"{text!r} is no number of a ticket")
    return int(text)


async def forgotten(
    connection: Connection, acknowledged: Collection[Promise]
) -> tuple[Promise, ...]:
    """Those of ``acknowledged`` that are not on record, by kind and id."""
    found: list[Promise] = []
    for kind in PROMISE_KINDS:
        asked = [each.id for each in acknowledged if each.kind == kind]
        of = "bigint" if kind == "ticket" else "uuid"
        rows = await connection.fetch(
            f"select id from unnest($1::{of}[]) as a (id) where not exists ({_KNOWN[kind]})"
            " order by id",
            asked,
        )
        ids = (int(row["id"]) if kind == "ticket" else UUID(str(row["id"])) for row in rows)
        found += [Promise(kind=kind, id=each) for each in ids]
    return tuple(found)
