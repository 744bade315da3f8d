"""A database whose clock can be set, for tests of what happens then.

A function in a schema of its own, which every later session finds first, takes the place of the
server's clock; commit times follow it. Nothing that the venue does asks for a clock by its schema,
except functions that run as their owner.
"""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from venue import clock
from venue.database import Connection

_INSTALL = """
    create schema stepping;
    create table stepping.steps (at timestamptz not null, ahead interval not null);
    create function stepping.clock_timestamp() returns timestamptz language sql volatile as
        'select pg_catalog.clock_timestamp() + coalesce(
             (select s.ahead from stepping.steps s order by s.at desc limit 1), interval ''0'')';
    create function stepping.pg_xact_commit_timestamp(of xid) returns timestamptz
    language sql volatile as
        'select c.at + coalesce(
             (select s.ahead from stepping.steps s where s.at <= c.at order by s.at desc limit 1),
             interval ''0'')
         from (select pg_catalog.pg_xact_commit_timestamp(of) as at) c';
    grant usage on schema stepping to public;
    grant select on stepping.steps to public;
    do $$
    declare c record;
    begin
        for c in select table_name, column_name from information_schema.columns
                 where table_schema = 'public' and column_default = 'clock_timestamp()' loop
            execute format('alter table public.%I alter %I set default stepping.clock_timestamp()',
                           c.table_name, c.column_name);
        end loop;
        execute format('alter database %I set search_path = stepping, pg_catalog, public',
                       current_database());
    end $$"""
_SET = """
    insert into stepping.steps values (pg_catalog.clock_timestamp(), make_interval(secs => $1))"""
REAL_COMMIT_US = (
    "(extract(epoch from pg_catalog.pg_xact_commit_timestamp({row}.xmin)) * 1000000)::bigint"
)
"""SQL for the commit time of a row by the server's real clock; ``format(row=alias)``."""


async def install_stepping_clock(owner: Connection) -> None:
    """Let the clock of this database be one that can be set; sessions from now on see it."""
    await owner.execute(_INSTALL)


async def set_clock(owner: Connection, *, ahead_s: float) -> None:
    """Set the database's clock to so many seconds ahead of the real one; negative: behind."""
    await owner.execute(_SET, ahead_s)


async def pass_time(
    owner: Connection, monkeypatch: pytest.MonkeyPatch, *, seconds: float, ahead_s: float = 0.0
) -> None:
    """Let so much time pass for the database and for the venue's code in this process, at once.

    The database's clock was ``ahead_s`` before. For once in a test: it counts from now.
    """
    passed_ns = round(seconds * 1e9)
    await set_clock(owner, ahead_s=ahead_s + seconds)
    later = SimpleNamespace(monotonic_ns=lambda: time.monotonic_ns() + passed_ns)
    monkeypatch.setattr(clock, "time", later)
