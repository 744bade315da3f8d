"""What a provider has been told to pay: one SQLite file, so that a restart forgets nothing.

Every change is one durable transaction that also writes a line of the statement. Two processes that
have the same file do no harm to each other: a writer waits for the other one.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from seawall.formats.payout_rail import (
    Instruction,
    Payout,
    PayoutState,
    Refusal,
    RefusalCode,
    Statement,
    StatementLine,
)
from seawall.policy import MICRO, Policy, Rail

STATEMENT_LINES_MAX = 500
_HOURS = 24
_DAY = timedelta(days=1)
_SCHEMA = """
    create table if not exists payouts (
        client_id text primary key, state text not null, asset text, amount text, destination text,
        reason text, due_at real);
    create index if not exists payouts_due on payouts (due_at) where state = 'accepted';
    create table if not exists lines (
        n integer primary key, at real not null, client_id text not null, state text not null,
        reason text);
    create table if not exists funds (asset text primary key, available text not null);"""


@dataclass(frozen=True, kw_only=True)
class BankHours:
    """When a processor settles: from ``opens`` to ``closes`` o'clock UTC, on ``weekdays``.

    Hours from 0 to 24; Monday is 0.
    """

    opens: int = 0
    closes: int = 24
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)

    def __post_init__(self) -> None:
        days = set(self.weekdays)
        if not (0 <= self.opens < self.closes <= _HOURS and days and days <= set(range(7))):
            message = f"no bank is open from {self.opens} to {self.closes} on {self.weekdays}"
            raise ValueError(message)

    def next_open(self, at: float) -> float:
        """The first instant from ``at`` on at which it is open; both Unix seconds."""
        moment = datetime.fromtimestamp(at, UTC)
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        while True:
            opens, closes = (day + timedelta(hours=hour) for hour in (self.opens, self.closes))
            if day.weekday() in self.weekdays and moment < closes:
                return max(at, opens.timestamp())
            day += _DAY


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a provider has agreed on with the venue.

    ``funding`` by asset, in base units. ``credit_micro`` is what it advances beyond that and
    ``payout_micro_max`` the largest payout, in millionths of the unit of account. A payout settles
    ``settles_after_s`` after it was accepted, or when the bank opens next. Destinations are
    ``destinations``; those that match ``returned`` have no account, so their money comes back.
    """

    funding: Mapping[str, int]
    credit_micro: int
    payout_micro_max: int
    value_micro: Callable[[str, int], int]
    destinations: re.Pattern[str]
    returned: re.Pattern[str]
    settles_after_s: float
    hours: BankHours = BankHours()


ADDRESSES = re.compile(r"0x[0-9a-f]{40}")
ACCOUNTS = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}")
CLOSED_ADDRESSES = re.compile(r"0xc105ed[0-9a-f]{34}")
"""An exchange's payout to one of these fails, for drills and tests."""
CLOSED_ACCOUNTS = re.compile(r"[A-Z]{2}[0-9]{2}CLOSED[A-Z0-9]*")
"""A processor's payout to one of these is returned, for drills and tests."""


def terms_of(
    policy: Policy, rail: Rail, *, settles_after_s: float, hours: BankHours | None = None
) -> Terms:
    """The terms of either provider of ``rail``."""
    addresses = rail.kind == "exchange"
    return Terms(
        funding={asset: policy.base_units(asset, amount) for asset, amount in rail.funding.items()},
        credit_micro=int(rail.credit_line * MICRO),
        payout_micro_max=int(rail.payout_value_max * MICRO),
        value_micro=policy.value_micro,
        destinations=ADDRESSES if addresses else ACCOUNTS,
        returned=CLOSED_ADDRESSES if addresses else CLOSED_ACCOUNTS,
        settles_after_s=settles_after_s,
        hours=hours or BankHours(),
    )


class PayoutBook:
    """The payouts of one provider, in the file at ``path``."""

    def __init__(self, path: Path, terms: Terms) -> None:
        self._terms = terms
        self._database = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._database.row_factory = sqlite3.Row
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = full")
        self._database.executescript(_SCHEMA)
        with self._writing():
            for asset, amount in terms.funding.items():
                self._database.execute(
                    "insert or ignore into funds values (?, ?)", (asset, str(amount))
                )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def submit(self, asked: Instruction, *, now: float) -> tuple[Payout, bool] | Refusal:
        """Take ``asked``, once: its payout, and whether it is new."""
        with self._writing():
            known = self._find(asked.client_id)
            if known is not None:
                return self._replayed(asked, known)
            refused = self._refused(asked)
            if refused is not None:
                return refused
            due_at = self._terms.hours.next_open(now + self._terms.settles_after_s)
            self._database.execute(
                "insert into payouts values (?, 'accepted', ?, ?, ?, null, ?)",
                (asked.client_id, asked.asset, asked.amount, asked.destination, due_at),
            )
            self._change_funds(asked.asset, -int(asked.amount))
            self._line(asked.client_id, "accepted", None, now)
        return Payout(client_id=asked.client_id, state="accepted", instruction=asked), True

    def cancel(self, client_id: str, *, now: float) -> Payout | Refusal:
        """Use up ``client_id`` if nothing is known of it; it then is never paid."""
        with self._writing():
            known = self._find(client_id)
            if known is not None and known.state != "cancelled":
                return Refusal(code="too_late", reason=f"It is {known.state}.", payout=known)
            if known is None:
                self._database.execute(
                    "insert into payouts (client_id, state) values (?, 'cancelled')", (client_id,)
                )
                self._line(client_id, "cancelled", None, now)
        return Payout(client_id=client_id, state="cancelled", instruction=None)

    def find(self, client_id: str) -> Payout | Refusal:
        """What is known of ``client_id``."""
        known = self._find(client_id)
        return known or Refusal(code="unknown_id", reason="There is no payout with this id.")

    def settle(self, *, now: float) -> int:
        """Settle or return what is due; how many that were."""
        if not self._database.execute(
            "select exists (select 1 from payouts where state = 'accepted' and due_at <= ?)", (now,)
        ).fetchone()[0]:
            return 0
        with self._writing():
            due = self._database.execute(
                "select * from payouts where state = 'accepted' and due_at <= ?"
                " order by due_at, client_id",
                (now,),
            ).fetchall()
            for row in due:
                closed = self._terms.returned.fullmatch(row["destination"]) is not None
                state: PayoutState = "returned" if closed else "settled"
                reason = "There is no such account." if closed else None
                self._database.execute(
                    "update payouts set state = ?, reason = ? where client_id = ?",
                    (state, reason, row["client_id"]),
                )
                if closed:
                    self._change_funds(row["asset"], int(row["amount"]))
                self._line(row["client_id"], state, reason, now)
        return len(due)

    def statement(self, *, after: int) -> Statement:
        """The lines after number ``after``."""
        rows = self._database.execute(
            "select l.n, l.at, l.state, l.reason, p.client_id, p.asset, p.amount, p.destination"
            " from lines l join payouts p on p.client_id = l.client_id"
            " where l.n > ? order by l.n limit ?",
            (after, STATEMENT_LINES_MAX + 1),
        ).fetchall()
        return Statement(
            lines=tuple(
                StatementLine(n=row["n"], at=row["at"], payout=_payout(row))
                for row in rows[:STATEMENT_LINES_MAX]
            ),
            more=len(rows) > STATEMENT_LINES_MAX,
        )

    def available(self) -> dict[str, int]:
        """What is left of the venue's money by asset; negative: it was advanced."""
        rows = self._database.execute("select asset, available from funds order by asset")
        return {row["asset"]: int(row["available"]) for row in rows}

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._database.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._database.execute("rollback")
            raise
        self._database.execute("commit")

    def _find(self, client_id: str) -> Payout | None:
        row = self._database.execute(
            "select * from payouts where client_id = ?", (client_id,)
        ).fetchone()
        return None if row is None else _payout(row)

    @staticmethod
    def _replayed(asked: Instruction, known: Payout) -> tuple[Payout, bool] | Refusal:
        if known.state == "cancelled":
            return Refusal(code="cancelled", reason="This id was cancelled.", payout=known)
        if known.instruction != asked:
            return Refusal(
                code="id_reused", reason="This id was used for another payout.", payout=known
            )
        return known, False

    def _refused(self, asked: Instruction) -> Refusal | None:
        terms, amount = self._terms, int(asked.amount)
        code: RefusalCode
        if asked.asset not in terms.funding:
            code, reason = "unknown_asset", f"{asked.asset} is not paid here."
        elif terms.destinations.fullmatch(asked.destination) is None:
            code, reason = "bad_destination", "Nothing can be paid there."
        elif terms.value_micro(asked.asset, amount) > terms.payout_micro_max:
            code, reason = "over_limit", "The amount is more than one payout may carry."
        elif self._advanced_micro(asked.asset, amount) > terms.credit_micro:
            code, reason = "insufficient_funds", "Neither funds nor credit cover it."
        else:
            return None
        return Refusal(code=code, reason=reason)

    def _advanced_micro(self, asset: str, amount: int) -> int:
        """What would be advanced if ``amount`` left, over all assets."""
        left = self.available()
        left[asset] -= amount
        return sum(self._terms.value_micro(name, max(0, -each)) for name, each in left.items())

    def _change_funds(self, asset: str, amount: int) -> None:
        self._database.execute(
            "update funds set available = ? where asset = ?",
            (str(self.available()[asset] + amount), asset),
        )

    def _line(self, client_id: str, state: PayoutState, reason: str | None, now: float) -> None:
        self._database.execute(
            "insert into lines select coalesce(max(n), 0) + 1, ?, ?, ?, ? from lines",
            (now, client_id, state, reason),
        )


def _payout(row: Any) -> Payout:
    instruction = (
        None
        if row["asset"] is None
        else Instruction(
            client_id=row["client_id"],
            asset=row["asset"],
            amount=row["amount"],
            destination=row["destination"],
        )
    )
    return Payout(
        client_id=row["client_id"],
        state=row["state"],
        instruction=instruction,
        reason=row["reason"],
    )
