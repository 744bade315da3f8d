"""Loses the database of a sandbox, and restores it as the runbook says (recovery-steps, 3 and 4).

Lost is the server with all its processes, and every file of its cluster. Restored it is by the
venue's own programs, one after the other: a cluster of the newest base backup and of the stream of
the log; a server on it beside the venue's address, so that nobody uses it yet; what the chains know
more than it; a backup of the new timeline. Only then does it serve where the venue's processes have
been asking all the time; none of them is told.

A venue that has no stream is restored from its backup alone. What is lost with that is listed by
`venue.restore catch-up`, which changes nothing then; here all money is play money, so it is said
that the drill accepts the loss, and the list stays in the log.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import asyncpg
import psutil

from sandbox import reaper, unprivileged
from sandbox.bring_up import IDENTITIES, VENUE_CONFIG, WAL
from sandbox.identities import Identities
from sandbox.parts import postgres
from sandbox.ports import LOOPBACK, pick_port
from sandbox.stack_environment import STACK
from sandbox.supervisor import Sandbox
from seawall.cache import repository_root
from seawall.conventions import aws
from seawall.conventions.components import POSTGRES_PROXY, SIGN_LOG_PROXY
from seawall.conventions.database import NOT_ON_RECORD
from seawall.conventions.environment import DATABASE_VARIABLE, SIGN_LOG_VARIABLE
from seawall.errors import ExitCode, ServiceError
from seawall.policy_file import load_policy
from seawall.processes.components import NICENESS
from seawall.processes.environment import inherited
from seawall.processes.failures import os_failure, tail
from seawall.processes.niceness import set_process, set_session
from seawall.processes.postgres import look
from seawall.processes.procedure import Say

WITHIN_S = 300.0
"""How long any step may take; a sandbox holds little."""
_LOOK_EVERY_S = 0.05
_REASON = "A drill lost the database."
_ACCEPTED = "the drill, because all money is play money"


class Server(Protocol):
    """The server of the ledger, on a cluster in a folder that does not change."""

    @property
    def pid(self) -> int:
        """Of its first process, which leads all others."""

    @property
    def address(self) -> str:
        """Where it serves (host:port), past any proxy."""

    def freeze(self) -> None:
        """Make the first process stand still, so that it starts no more."""

    def kill(self) -> None:
        """Kill the first process; it is no death of its own."""

    def start(self) -> None:
        """Start it again."""


@dataclass(kw_only=True)
class Restoration:
    """Loses and restores one database.

    Args:
        server: Its server.
        files: The cluster that the server serves.
        log: Folder of the stream of its log.
        logs: Folder for what the steps print.
        bucket: The bucket of the base backups; ``region`` and ``endpoint`` say where it is.
        backups: Variables with the AWS credentials of whoever backs up.
        config: The venue's configuration.
        url: PostgreSQL URL of a role for a server at an address (host:port).
        sign_log: URL of the signers' own database, as its auditor; it is not lost.
        environment: Variables of a process that ends with the sandbox.
    """

    server: Server
    files: Path
    log: Path
    logs: Path
    bucket: str
    region: str
    endpoint: str
    backups: Mapping[str, str]
    config: Path
    url: Callable[[str, str], str]
    sign_log: str
    environment: Mapping[str, str]
    root: Path
    _at: Literal["whole", "lost", "made", "placed"] = field(default="whole")

    @property
    def _made(self) -> Path:
        return self.files.with_name(f"{self.files.name}-restored")

    def lose(self) -> None:
        """Kill the server with all its processes, and remove its cluster for good.

        Raises :class:`ServiceError` if a process would not end, and what the server raises.
        """
        self.server.freeze()
        # Each of them leads a session of its own, so that no signal to a group reaches them all.
        own = _children(self.server.pid)
        for child in own:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self.server.kill()
        _until(lambda: not any(map(_lives, own)), what="every process of the database is gone")
        _removed(self.files)
        self._at = "lost"

    def restore(self, say: Say) -> None:
        """Make it again, and have it served at its address; goes on where an earlier call failed.

        Raises :class:`ServiceError` that names the step and ends with its last words.
        """
        if self._at == "whole":  # it was not lost to the end
            self.lose()
        if self._at == "lost":
            self._make(say)
            self._at = "made"
        if self._at == "made":
            self._made.rename(self.files)
            self._at = "placed"
        if look(self.server.address) == "gone":
            self.server.start()
        _until(lambda: look(self.server.address) == "serving", what="the restored server serves")
        say("it serves at its address")
        self._at = "whole"

    def _make(self, say: Say) -> None:
        _removed(self._made)
        log = ("--log", str(self.log)) if _holds_files(self.log) else ("--without-log",)
        scratch = str(self.files.parent)
        of_bucket = [*("--bucket", self.bucket), *("--region", self.region)]
        of_bucket += ["--endpoint", self.endpoint, "--scratch", scratch]
        self._run(
            "cluster",
            ["venue.restore", "cluster", "--files", str(self._made), *log, *of_bucket],
            say,
            env=self.backups,
        )
        _given_to_server(self._made)
        with self._serving_aside() as address:
            asyncio.run(_applied(self.url("owner", address), say))
            self._catch_up(address, say)
            programs = ["--programs", str(postgres.binaries())]
            copies = {DATABASE_VARIABLE: self.url("wal", address), **self.backups}
            self._run("base", ["venue.backups", "base", *programs, *of_bucket], say, env=copies)

    def _catch_up(self, address: str, say: Say) -> None:
        module = ["venue.restore", "catch-up", "--config", str(self.config), "--reason", _REASON]
        owner = {DATABASE_VARIABLE: self.url("owner", address), SIGN_LOG_VARIABLE: self.sign_log}
        if self._run("catch-up", module, say, env=owner, lossy=True) is ExitCode.FAIL:
            self._run("catch-up-again", [*module, "--accept-losses", _ACCEPTED], say, env=owner)

    @contextmanager
    def _serving_aside(self) -> Iterator[str]:
        """A server on the new cluster where the venue does not look, and no commit waits."""
        port = pick_port()
        options = ("-c", f"listen_addresses={LOOPBACK}", "-c", f"port={port}")
        argv = postgres.as_server(
            *(postgres.binaries() / "postgres", "-D", self._made, *options),
            *("-c", "synchronous_standby_names="),
        )
        process = self._begin("server", argv, {})
        try:
            yield f"{LOOPBACK}:{port}"
            process.send_signal(signal.SIGINT)
            process.wait(timeout=WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise ServiceError("the server beside the venue's address would not end") from error
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGQUIT)
                process.wait()

    def _run(
        self,
        name: str,
        module: Sequence[str],
        say: Say,
        *,
        env: Mapping[str, str],
        lossy: bool = False,
    ) -> ExitCode:
        """Run a program of the venue to its end, and say its last line.

        FAIL is returned of one that is ``lossy``; any other failure raises :class:`ServiceError`.
        """
        process = self._begin(name, [sys.executable, "-P", "-m", *module], env)
        try:
            code = process.wait(timeout=WITHIN_S)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise ServiceError(f"{name} did not end within {WITHIN_S:g} s") from error
        text = self._output(name).read_text(encoding="utf-8", errors="replace")
        lines = [line for line in text.splitlines() if line.strip()] or ["it said nothing"]
        if code == ExitCode.PASS:
            say(f"{name}: {lines[-1]}")
            return ExitCode.PASS
        if code == ExitCode.FAIL and lossy and NOT_ON_RECORD in text:
            say(f"{name} refused: {lines[0]}")
            return ExitCode.FAIL
        raise ServiceError(f"{name} ended with {code}: {tail(text)}")

    def _begin(
        self, name: str, argv: Sequence[str | Path], env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a program as nice as the sandbox's parts are, below load and observers."""
        with self._output(name).open("wb") as output:
            process = subprocess.Popen(
                [str(word) for word in argv],
                cwd=self.root,
                env={**inherited(), **self.environment, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        set_process(process.pid, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
        threading.Thread(target=set_session, args=(process.pid, NICENESS), daemon=True).start()
        return process

    def _output(self, name: str) -> Path:
        return self.logs / f"restore-{name}.log"


async def _applied(url: str, say: Say) -> None:
    """Wait until the server has applied its log to the end, and say how far that was."""
    give_up = time.monotonic() + WITHIN_S
    while True:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            connection = await asyncpg.connect(url, timeout=5)
            try:
                if not await connection.fetchval("select pg_is_in_recovery()"):
                    last = await connection.fetchval("select pg_last_wal_replay_lsn()::text")
                    now = "pg_walfile_name(pg_current_wal_insert_lsn())"
                    timeline = await connection.fetchval(f"select left({now}, 8)")
                    say(f"the log is applied up to {last}; timeline {timeline} begins")
                    return
            finally:
                await connection.close()
        if time.monotonic() > give_up:
            raise ServiceError("the restored server does not come to the end of its log")
        await asyncio.sleep(_LOOK_EVERY_S)


def _until(holds: Callable[[], bool], *, what: str) -> None:
    give_up = time.monotonic() + WITHIN_S
    while not holds():
        if time.monotonic() > give_up:
            raise ServiceError(f"not within {WITHIN_S:g} s: {what}")
        time.sleep(_LOOK_EVERY_S)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _lives(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended and that nobody has asked after does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _holds_files(folder: Path) -> bool:
    """Whether a stream was ever received there."""
    return folder.is_dir() and any(path.is_file() for path in folder.rglob("*"))


def _removed(folder: Path) -> None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise os_failure(f"{folder} cannot be removed", error) from error


def _given_to_server(files: Path) -> None:
    """Make the account that the server runs in the owner of its cluster."""
    if unprivileged.is_root():
        who = unprivileged.account()
        for each in (files, *files.rglob("*")):
            os.chown(each, who.pw_uid, who.pw_gid)


@dataclass(frozen=True, kw_only=True)
class _OfSandbox:
    """The server of a sandbox, which its supervisor alone can start again."""

    sandbox: Sandbox

    @property
    def pid(self) -> int:
        pid = self.sandbox.deployment.processes[postgres.NAME].pid
        assert pid is not None  # it is a process of this machine
        return pid

    @property
    def address(self) -> str:
        return self.sandbox.deployment.proxies[POSTGRES_PROXY].upstream

    def freeze(self) -> None:
        self.sandbox.freeze(postgres.NAME)

    def kill(self) -> None:
        self.sandbox.kill(postgres.NAME)

    def start(self) -> None:
        self.sandbox.bring_back(postgres.NAME)


def restoration_of(sandbox: Sandbox) -> Restoration:
    """How the database of ``sandbox`` is lost and restored; its venue must be up.

    Raises :class:`UsageError` if its files cannot be read, :class:`PolicyError`.
    """
    folder, deployment = sandbox.data_dir, sandbox.deployment
    policy = load_policy(deployment.policy)
    region = policy.regions.primary
    return Restoration(
        server=_OfSandbox(sandbox=sandbox),
        files=folder / postgres.FOLDERS[postgres.NAME],
        log=folder / WAL,
        logs=folder / reaper.LOGS,
        bucket=aws.backup_bucket(policy.venue.name, region, policy.accounts[STACK]),
        region=region,
        endpoint=deployment.urls.required("aws"),
        backups=Identities.read(folder / IDENTITIES).backups.environment(),
        config=folder / VENUE_CONFIG,
        url=lambda role, address: sandbox.database_url(role, address=address),
        sign_log=sandbox.database_url("auditor", database=SIGN_LOG_PROXY),
        environment=sandbox.environment,
        root=repository_root(),
    )
