"""What is made of the rows of a table, made anew only where a row has changed.

The invariants are looked at after every block, and most rows are then what they were at the one
before. No row is changed in place (`Transaction.put` replaces it), so what was made of a row holds
for as long as the table has that very row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from operator import is_
from typing import Any, Generic, TypeVar

from seawall.invariants import Posting
from tests.simulation.store import Key, Stored

T = TypeVar("T")


@dataclass(kw_only=True)
class Made(Generic[T]):
    """What ``make`` makes of each row of a table."""

    make: Callable[[Key, Stored], T]
    _rows: list[Stored] = field(default_factory=list)
    _made: dict[Key, T] = field(default_factory=dict)

    def of(self, table: Mapping[Key, Stored]) -> Mapping[Key, T]:
        """By key, in the order of the table."""
        rows, before = list(table.values()), self._rows
        if len(rows) == len(before) and all(map(is_, rows, before)):
            return self._made
        known = dict(zip(map(id, before), self._made.values(), strict=True))
        self._made = {
            key: known[id(row)] if id(row) in known else self.make(key, row)
            for key, row in table.items()
        }
        self._rows = rows
        return self._made


class Postings:
    """The postings of a ledger with their entries, which are only ever added to."""

    def __init__(self) -> None:
        self._made = Made(make=self._posting)
        self._entries: Mapping[Key, Stored] = {}
        self._amounts: dict[Key, list[tuple[str, str, int]]] = defaultdict(list)
        self._read = 0

    def of(self, tables: Mapping[str, Mapping[Key, Stored]]) -> list[Posting]:
        """All of them, in the order of their table."""
        entries = tables["entries"]
        if entries is not self._entries or len(entries) < self._read:  # another ledger
            self._entries, self._read, self._made = entries, 0, Made(make=self._posting)
            self._amounts.clear()
        added = list(islice(entries.values(), self._read, None))
        self._read = len(entries)
        if any(row["posting_id"] in self._amounts for row in added):
            self._made = Made(make=self._posting)  # one has more entries than when it was made
        for row in added:
            _, network, asset, *_ = row["account"]
            self._amounts[row["posting_id"]].append((network, asset, row["amount"]))
        return list(self._made.of(tables["postings"]).values())

    def _posting(self, number: Key, row: Stored) -> Posting:
        return Posting(
            kind=row["kind"],
            of=row["withdrawal_id"] or row["topup_id"] or number,
            amounts=tuple(self._amounts[number]),
        )


class Booked:
    """What the entries of a ledger, which are only ever added to, sum to by account."""

    def __init__(self) -> None:
        self._entries: Mapping[Key, Stored] = {}
        self._sums: dict[Any, int] = defaultdict(int)
        self._read = 0

    def at(self, entries: Mapping[Key, Stored], account: Any) -> int:
        """The balance of one account."""
        if entries is not self._entries or len(entries) < self._read:  # another ledger
            self._entries, self._read = entries, 0
            self._sums.clear()
        for row in islice(entries.values(), self._read, None):
            self._sums[row["account"]] += row["amount"]
        self._read = len(entries)
        return self._sums.get(account, 0)
