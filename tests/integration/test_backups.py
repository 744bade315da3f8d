"""A database with its stream and its base backup is lost, and restored to its last commit."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.parts.postgres import binaries
from seawall.errors import ServiceError, UsageError
from tests.testing.cluster_harness import (
    WITHOUT_STANDBY,
    Server,
    backup_bucket,
    given_to_server,
    make_cluster_files,
    serving,
    socket_folder,
    streaming,
    until_open,
)
from tests.testing.venue_harness import HANGS_AFTER_S, connected
from venue import database
from venue.backups.base import take_backup
from venue.backups.bucket import LAST, BackupBucket
from venue.backups.role import ROLE, create_role
from venue.backups.stream import folder_of
from venue.database import FAILURES
from venue.restore.cluster import make_cluster

pytestmark = pytest.mark.integration


@pytest.fixture
def bucket() -> Iterator[BackupBucket]:
    """An empty bucket for backups."""
    with backup_bucket() as made:
        yield made


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server with a table of what was committed, and the role that copies it."""
    make_cluster_files(tmp_path / "pg")
    with (
        socket_folder() as socket,
        serving(tmp_path / "pg", socket, log=tmp_path / "pg.log") as running,
    ):
        await until_open(running)
        async with connected(running.url()) as owner:
            await owner.execute("create table committed (n bigint primary key)")
            await create_role(owner, running.url(ROLE))
        yield running


async def restored_files(server: Server, bucket: BackupBucket, folder: Path) -> Path:
    """A cluster made of the newest backup and the log."""
    files = folder / "restored"
    await make_cluster(files, bucket=bucket, log=folder / "wal", scratch=folder)
    given_to_server(files)
    return files


async def commit(server: Server, first: int, acknowledged: list[int]) -> None:
    """Commit numbers from ``first`` on until the server is gone; keep what it acknowledged."""
    async with connected(server.url()) as client:
        for n in range(first, first + 1_000_000):
            try:
                await client.execute("insert into committed values ($1)", n)
            except FAILURES:
                return
            acknowledged.append(n)


async def test_whatever_was_acknowledged_is_there_after_the_loss_of_the_database(
    server: Server, bucket: BackupBucket, tmp_path: Path
) -> None:
    """And the restored one is streamed and backed up like the first: it can be lost as well."""
    acknowledged: list[int] = []
    async with streaming(server, tmp_path / "wal"):
        await take_backup(server.url(ROLE), programs=binaries(), bucket=bucket, scratch=tmp_path)
        clients = [
            asyncio.create_task(commit(server, client * 1_000_000, acknowledged))
            for client in range(1, 5)
        ]
        await asyncio.sleep(1.5)
        server.lose()
        await asyncio.gather(*clients, return_exceptions=True)
    assert len(acknowledged) > 100

    files = await restored_files(server, bucket, tmp_path)
    with serving(files, server.socket, *WITHOUT_STANDBY, log=tmp_path / "pg2.log") as second:
        await until_open(second)
        async with connected(second.url()) as owner:
            rows = await owner.fetch("select n from committed")
        assert {row["n"] for row in rows} >= set(acknowledged)
        later = await take_backup(
            second.url(ROLE), programs=binaries(), bucket=bucket, scratch=tmp_path
        )
        assert later.timeline == 2
        second.stop()
    with serving(files, server.socket, log=tmp_path / "pg3.log") as third:
        await until_open(third)
        async with streaming(third, tmp_path / "wal"):
            async with connected(third.url()) as client:
                await client.execute("insert into committed values (-1)")
            third.lose()

    again = tmp_path / "again"
    again.mkdir()
    (again / "wal").symlink_to(tmp_path / "wal")
    files = await restored_files(third, bucket, again)
    with serving(files, server.socket, *WITHOUT_STANDBY, log=tmp_path / "pg4.log") as fourth:
        await until_open(fourth)
        async with connected(fourth.url()) as owner:
            rows = await owner.fetch("select n from committed")
        assert {row["n"] for row in rows} >= {-1, *acknowledged}


async def test_no_commit_is_acknowledged_while_the_receiver_stands_still(
    server: Server, tmp_path: Path
) -> None:
    """One that is killed is started again, and what waited is acknowledged then."""
    async with streaming(server, tmp_path / "wal"), connected(server.url()) as client:
        pid = receiver_of(tmp_path / "wal")
        os.kill(pid, signal.SIGSTOP)
        waiting = asyncio.create_task(client.execute("insert into committed values (1)"))
        await asyncio.sleep(1)
        assert not waiting.done()
        async with connected(server.url()) as other:
            assert await other.fetchval("select count(*) from committed") == 0

        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(HANGS_AFTER_S):
            await waiting
        assert receiver_of(tmp_path / "wal") != pid


@pytest.mark.parametrize("end", ["too long", "cancelled"])
async def test_nobody_who_gives_up_waiting_makes_a_commit_be_on_one_disk_alone(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """A time limit or a shutdown of a client; others see it once the second disk has it, too."""
    monkeypatch.setattr(database, "ANSWER_S_MAX", 0.5 if end == "too long" else HANGS_AFTER_S)
    async with streaming(server, tmp_path / "wal"), connected(server.url()) as other:
        pid = receiver_of(tmp_path / "wal")
        os.kill(pid, signal.SIGSTOP)
        client = await database.connect(server.url(), name="client")
        await client.execute("begin; insert into committed values (1)")
        waiting = asyncio.create_task(database.commit(client))
        if end == "cancelled":
            await asyncio.sleep(0.5)
            waiting.cancel()
        with pytest.raises((TimeoutError, asyncio.CancelledError)):
            await waiting
        await asyncio.sleep(0.5)
        assert await other.fetchval("select count(*) from committed") == 0

        os.kill(pid, signal.SIGCONT)
        async with asyncio.timeout(HANGS_AFTER_S):
            # a database is polled
            while not await other.fetchval("select count(*) from committed"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def receiver_of(into: Path) -> int:
    """The process that writes the log to a folder below ``into``."""
    directory = f"--directory={folder_of(into, 1)}".encode()
    found = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if directory in _words(path)
    ]
    assert len(found) == 1
    return found[0]


def _words(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\0")
    except OSError:
        return []


async def test_a_backup_that_is_damaged_or_not_whole_is_not_restored(
    server: Server, bucket: BackupBucket, tmp_path: Path
) -> None:
    """Nor one that would go over something, nor one without its log."""
    arguments: dict[str, Any] = {"bucket": bucket, "scratch": tmp_path}
    log = tmp_path / "wal"
    with pytest.raises(UsageError, match="there is no backup"):
        await make_cluster(tmp_path / "new", log=log, **arguments)
    async with streaming(server, log):
        name = await take_backup(server.url(ROLE), programs=binaries(), **arguments)
    with pytest.raises(UsageError, match="is not empty"):
        await make_cluster(server.files, log=log, **arguments)
    with pytest.raises(UsageError, match="cannot be read"):
        await make_cluster(tmp_path / "nowhere", log=tmp_path / "elsewhere", **arguments)
    folder_of(tmp_path / "empty", 1).mkdir(parents=True)
    with pytest.raises(ServiceError, match="lacks every file"):
        await make_cluster(tmp_path / "gap", log=tmp_path / "empty", **arguments)

    key = f"{name.folder}base.tar.gz"
    packed = bucket.client.get_object(Bucket=bucket.bucket, Key=key)["Body"].read()
    bucket.client.put_object(Bucket=bucket.bucket, Key=key, Body=changed(packed))
    with pytest.raises(ServiceError, match="is damaged"):
        await make_cluster(tmp_path / "damaged", log=log, **arguments)
    bucket.client.delete_object(Bucket=bucket.bucket, Key=name.folder + LAST)
    with pytest.raises(UsageError, match="there is no backup"):
        await make_cluster(tmp_path / "new", log=log, **arguments)


def changed(packed: bytes) -> bytes:
    """The archive with one byte of one table changed."""
    made = io.BytesIO()
    done = False
    with (
        tarfile.open(fileobj=io.BytesIO(packed)) as old,
        tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as new,
    ):
        for member in old:
            content = old.extractfile(member)
            data = b"" if content is None else content.read()
            if not done and member.name.startswith("base/5/") and len(data) > 1_000:
                data, done = data[:-1] + bytes([data[-1] ^ 1]), True
            new.addfile(member, io.BytesIO(data))
    assert done
    return made.getvalue()
