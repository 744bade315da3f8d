"""The books: one SQLite file that both processes open.

A write is durable when its transaction has returned (WAL with synchronous=FULL), so a payout that
was acknowledged survives the death of every process. Amounts are text, because base units of 18
decimals do not fit into SQLite's integers.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from tests.testing.second_venue.amounts import to_units
from tests.testing.second_venue.config import Config

BUSY_S_MAX = 20.0
"""How long a writer waits for the other process; on a crowded machine that may be seconds."""

_SCHEMA = """
create table if not exists facts (name text primary key, value text not null);
create table if not exists customers (name text primary key, secret_sha256 blob not null);
create table if not exists holdings (
    customer text not null references customers, coin text not null, free text not null,
    primary key (customer, coin)
) without rowid;
create table if not exists payouts (
    number integer primary key autoincrement,
    customer text not null references customers, ref text not null, coin text not null,
    network text not null, amount text not null, address text not null,
    status text not null default 'queued' check (status in ('queued', 'sent', 'paid', 'refused')),
    note text, chain_tx text
);
create {unique} index if not exists payouts_of_ref on payouts (customer, ref);
create index if not exists payouts_waiting on payouts (network, number) where status = 'queued';
create table if not exists sends (
    network text not null, nonce integer not null,
    payout integer not null references payouts, copy integer not null,
    raw blob not null, tx_hash text not null,
    state text not null default 'open' check (state in ('open', 'done', 'failed')),
    primary key (network, nonce), unique (payout, copy)
);
create index if not exists sends_open on sends (network, nonce) where state = 'open';
"""
"""A payout has one send, of copy 0: the unique pair is what keeps an honest venue from a second."""


def connect(config: Config) -> sqlite3.Connection:
    """A connection of the calling program, on books that are founded; any thread may close it."""
    connection = sqlite3.connect(
        config.database, timeout=BUSY_S_MAX, isolation_level=None, check_same_thread=False
    )
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute("pragma foreign_keys = on")
    _found(connection, config)
    return connection


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction that has the write lock from its beginning: committed whole, or undone."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def secret_hash(secret: str) -> bytes:
    """What the books keep of a customer's secret."""
    return hashlib.sha256(secret.encode()).digest()


def change_holding(
    connection: sqlite3.Connection, customer: str, coin: str, change: int
) -> int | None:
    """Add ``change`` base units; the new holding, or None if there would be too little."""
    row = connection.execute(
        "select free from holdings where customer = ? and coin = ?", (customer, coin)
    ).fetchone()
    free = int(row[0] if row else 0) + change
    if free < 0:
        return None
    connection.execute(
        "insert or replace into holdings (customer, coin, free) values (?, ?, ?)",
        (customer, coin, str(free)),
    )
    return free


def _found(connection: sqlite3.Connection, config: Config) -> None:
    """Make tables and opening holdings once, whichever process comes first."""
    with writing(connection):
        known = connection.execute(
            "select 1 from sqlite_master where type = 'table' and name = 'facts'"
        ).fetchone()
        if known:
            return
        unique = "" if config.vice == "accepts-twice" else "unique"
        # Not as a script: that would commit before its first statement.
        for statement in _SCHEMA.format(unique=unique).split(";"):
            connection.execute(statement)
        connection.execute("insert into facts values ('session key', ?)", (secrets.token_hex(32),))
        connection.executemany(
            "insert into customers values (?, ?)",
            ((name, secret_hash(each.secret)) for name, each in config.customers.items()),
        )
        connection.executemany(
            "insert into holdings values (?, ?, ?)",
            (
                (name, coin, str(to_units(amount, decimals=config.coins[coin].decimals) or 0))
                for name, each in config.customers.items()
                for coin, amount in each.holdings.items()
            ),
        )
