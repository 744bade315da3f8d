"""The stream of the write-ahead log: no commit is acknowledged before it is on a second disk.

``pg_receivewal --synchronous`` writes the log as the server does, flushes it, and says so. While it
is the server's synchronous standby, whoever commits waits for that (PostgreSQL 18, "Synchronous
Replication"). So what the log lacks, nobody was told.

If the receiver is gone, commits wait, and the venue stands still: that is wanted, and why whoever
runs this must start it again when it ends. With two receivers on two machines one could be spared.
Until when the receiver has all is a metric: people are paged when that is too long ago.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client import Gauge

from seawall.conventions import metrics, sabotage
from seawall.errors import ServiceError
from seawall.processes.failures import os_failure
from venue.backups.programs import libpq_environment, program
from venue.backups.role import ROLE
from venue.database import Connection, connect
from venue.process import start_over

NAME = ROLE
"""Of the replication slot, and the name under which the server waits for the receiver."""
START_AGAIN_S = 0.2
_STREAMING_WITHIN_S = 10.0
_LOOK_EVERY_S = 0.05
_GRACE_S = 2.0

# Of the log that is being written; the control file may show the timeline of before a restore.
_TIMELINE = """
    select case when not pg_is_in_recovery()
                then left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) end"""
SLOT = """
    select pg_create_physical_replication_slot($1, true)
    where not exists (select 1 from pg_replication_slots where slot_name = $1)"""
"""From then on the server keeps its log until the receiver has it."""
_STATE = """
    select sync_state from pg_stat_replication
    where application_name = $1 and state = 'streaming'"""
_POSITIONS = """
    select pg_current_wal_flush_lsn() - '0/0'::pg_lsn as flushed,
           (select flush_lsn - '0/0'::pg_lsn from pg_stat_replication
            where application_name = $1 and state = 'streaming') as received"""
_DEMANDED = "select current_setting('synchronous_standby_names') = $1"
_DEMAND = f"alter system set synchronous_standby_names = '{NAME}'"
_RELOAD = "select pg_reload_conf()"

_MEASURE_EVERY_S = 0.25

_log = logging.getLogger(__name__)
# With a label, so that it is not served before the receiver had anything.
_received = Gauge(metrics.WAL_RECEIVED, "Until when the receiver has the log", ["receiver"])


def folder_of(into: Path, timeline: int) -> Path:
    """Where the log of a timeline lies below ``into``; each restore begins a timeline.

    Its name is the first part of the names of the files in it.
    """
    return into / f"{timeline:08X}"


async def stream(
    url: str, *, programs: Path, into: Path, stop: asyncio.Event, ready: Callable[[], None]
) -> None:
    """Receive the log of the server at ``url`` until ``stop``.

    Args:
        url: Of the server, as :data:`~venue.backups.role.ROLE`.
        programs: Folder of PostgreSQL's programs.
        into: Folder for the log, on another disk than the server's.
        stop: Ends it.
        ready: Called once, when every commit waits for the receiver.

    Raises :class:`WorldError` if ``into`` cannot be written.
    """
    if sabotage.sabotaged(sabotage.SABOTAGE_WAL_STREAM):
        _log.warning("the stream is switched off: commits wait for one disk alone")
        ready()
        await stop.wait()
        return
    receiver = program(programs, "pg_receivewal")
    said = False

    async def work() -> None:
        connection = await connect(url, name="wal-stream", bounded=False)
        try:
            folder = await _prepare(connection, into)
            await _receive(connection, receiver, url, folder, stop=stop, ready=say)
        finally:
            connection.terminate()

    def say() -> None:
        nonlocal said
        if not said:
            said = True
            ready()

    await start_over("the stream of the log", work, stop, after_s=START_AGAIN_S)


async def _prepare(connection: Connection, into: Path) -> Path:
    """A folder for the server's timeline, and a slot that keeps the log until it is received."""
    timeline = await connection.fetchval(_TIMELINE)
    if timeline is None:
        raise ServiceError("the server is being restored")
    folder = folder_of(into, int(timeline, 16))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise os_failure(f"{folder} cannot be made", error) from error
    await connection.execute(SLOT, NAME)
    return folder


async def _receive(
    connection: Connection,
    receiver: Path,
    url: str,
    folder: Path,
    *,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Run the receiver until it ends or ``stop``. Raises :class:`ServiceError` if it ends."""
    process = await asyncio.create_subprocess_exec(
        receiver,
        f"--directory={folder}",
        f"--slot={NAME}",
        "--synchronous",
        "--no-loop",
        "--status-interval=1",
        "--no-password",
        f"--dbname=application_name={NAME}",
        stdin=asyncio.subprocess.DEVNULL,
        env={**os.environ, **libpq_environment(url)},
    )
    ended = asyncio.create_task(process.wait())
    stopped = asyncio.create_task(stop.wait())
    measuring: asyncio.Task[None] | None = None
    try:
        await _demand(connection, ended)
        _log.info("every commit waits until its log is in %s", folder)
        ready()
        measuring = asyncio.create_task(_measure(connection))
        await asyncio.wait((ended, stopped, measuring), return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise ServiceError(f"pg_receivewal ended with {ended.result()}; commits wait for it")
        if measuring.done():
            measuring.result()
    finally:
        stopped.cancel()
        if measuring is not None:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(_GRACE_S):
                    await ended
            except TimeoutError:
                process.kill()
        await asyncio.gather(ended, stopped, return_exceptions=True)


async def _demand(connection: Connection, ended: asyncio.Task[int]) -> None:
    """Have every commit wait for the receiver, once it streams.

    Raises :class:`ServiceError` if it does not within some seconds.
    """
    try:
        async with asyncio.timeout(_STREAMING_WITHIN_S):
            while (state := await connection.fetchval(_STATE, NAME)) != "sync":
                if ended.done():
                    raise ServiceError(f"pg_receivewal ended with {ended.result()}")
                if state is not None and not await connection.fetchval(_DEMANDED, NAME):
                    await connection.execute(_DEMAND)
                    await connection.execute(_RELOAD)
                await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError as error:
        raise ServiceError(
            f"pg_receivewal does not stream after {_STREAMING_WITHIN_S:g} s"
        ) from error


async def _measure(connection: Connection) -> None:
    """Note again and again until when the receiver has all that the server had on its disk.

    A position of the server counts as received when the receiver has come that far, and the time at
    which it was asked for is then known to be covered.
    """
    wanted: tuple[int, float] | None = None
    while True:
        asked_at = time.time()
        row = await connection.fetchrow(_POSITIONS, NAME)
        assert row is not None
        if wanted is not None and row["received"] is not None and row["received"] >= wanted[0]:
            _received.labels(NAME).set(wanted[1])
            wanted = None
        wanted = wanted or (row["flushed"], asked_at)
        await asyncio.sleep(_MEASURE_EVERY_S)
