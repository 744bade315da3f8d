"""A PostgreSQL server of its own, with the stream of its log and a bucket for its backups.

Unlike the session's server it can be lost.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import boto3
from moto import mock_aws

from sandbox import reaper, unprivileged
from sandbox.parts.postgres import as_server, binaries
from tests.testing.venue_harness import HANGS_AFTER_S, connected
from venue.backups.bucket import BackupBucket
from venue.backups.role import ROLE
from venue.backups.stream import stream

_SETTINGS = {
    "listen_addresses": "",
    "dynamic_shared_memory_type": "mmap",
    "shared_buffers": "32MB",
    "track_commit_timestamp": "on",
}


WITHOUT_STANDBY = ("-c", "synchronous_standby_names=")
"""Options of a server that is not used by the venue yet, so that no commit waits."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server with its cluster in ``files``.

    It trusts whoever reaches its socket in the folder ``socket``.
    """

    files: Path
    socket: Path
    process: subprocess.Popen[bytes]

    def url(self, role: str = "postgres") -> str:
        """Where ``role`` finds it."""
        return f"postgresql://{role}:secret@/postgres?host={self.socket}"

    def lose(self) -> None:
        """Kill it and remove its cluster, as if its machine were gone."""
        self.kill()
        shutil.rmtree(self.files)

    def kill(self) -> None:
        """Kill it with all its processes, each of which leads a session of its own."""
        self.process.send_signal(signal.SIGSTOP)  # it starts no more of them
        own = {
            each for each, (parent, _) in reaper.processes().items() if parent == self.process.pid
        }
        for pid, _ in own:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait(timeout=HANGS_AFTER_S)
        while own & reaper.processes().keys():
            time.sleep(0.01)

    def stop(self) -> None:
        """Let it end in order."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=HANGS_AFTER_S)


def make_cluster_files(files: Path) -> None:
    """A new cluster."""
    files.mkdir(mode=0o700)
    given_to_server(files)
    initdb = (binaries() / "initdb", "-D", files, "-U", "postgres", "--auth=trust", "--no-sync")
    subprocess.run(
        [str(word) for word in as_server(*initdb)], check=True, stdout=subprocess.DEVNULL
    )
    with (files / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.writelines(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())


def given_to_server(files: Path) -> None:
    """Make the account that the server runs in the owner of its cluster."""
    if unprivileged.is_root():
        who = unprivileged.account()
        for each in (files, *files.rglob("*")):
            os.chown(each, who.pw_uid, who.pw_gid)


@contextmanager
def socket_folder() -> Iterator[Path]:
    """A folder for a server's socket, whose path must be short."""
    folder = Path(tempfile.mkdtemp(prefix="seawall-pg-"))
    given_to_server(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(files: Path, socket: Path, *options: str, log: Path) -> Iterator[Server]:
    """A server on the cluster in ``files``, until the block ends; see :func:`until_open`."""
    where = ("-c", f"unix_socket_directories={socket}")
    argv = as_server(binaries() / "postgres", "-D", files, *where, *options)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in argv],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(files=files, socket=socket, process=process)
    try:
        yield server
    finally:
        if process.poll() is None:
            server.kill()


async def until_open(server: Server) -> None:
    """Wait until it takes writes: a cluster that is restored applies its log first."""
    async with asyncio.timeout(HANGS_AFTER_S):
        while True:
            try:
                async with connected(server.url()) as owner:
                    if not await owner.fetchval("select pg_is_in_recovery()"):
                        return
            except Exception:  # noqa: BLE001, S110 - it is starting
                pass
            assert server.process.poll() is None, "the server ended"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def streaming(server: Server, into: Path) -> AsyncIterator[None]:
    """The log of ``server`` goes to ``into``, and commits wait for that, until the block ends."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(
        stream(server.url(ROLE), programs=binaries(), into=into, stop=stop, ready=ready.set)
    )
    try:
        async with asyncio.timeout(HANGS_AFTER_S):
            await ready.wait()
        yield
    finally:
        stop.set()
        await task


@contextmanager
def backup_bucket() -> Iterator[BackupBucket]:
    """A bucket in memory."""
    with mock_aws():
        client = boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        client.create_bucket(Bucket="backups")
        yield BackupBucket(client=client, bucket="backups")
