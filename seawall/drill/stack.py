"""The stack that is drilled: a sandbox that is started for it, or one that a user's file describes.

A drill needs of it its deployment file, what became of its processes, and to be alone on it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

from seawall import setup
from seawall.cache import cache_root, repository_root
from seawall.conventions.environment import FAULTS_VARIABLE, RUNNER_VARIABLE
from seawall.errors import ComponentDiedError, ServiceError, UsageError, WorldError
from seawall.formats.atomic import write_private
from seawall.formats.component_status import ComponentStatus
from seawall.formats.deployment import Deployment, load_deployment
from seawall.lease import await_undone
from seawall.processes.components import Component
from seawall.processes.environment import inherited, of_deployment
from seawall.processes.readiness import log_line

LEASE = "lease"
SESSION_FILE = "session.json"
"""The deployment file of a run in progress: the user's, with all paths absolute and a lease holder.
"""
_LEASE_READY_S_MAX = 20.0


class Stack(Protocol):
    """A running stack, as a drill sees it."""

    deployment: Deployment

    def components(self) -> list[ComponentStatus]:
        """The state of every process that the kit watches on it."""
        ...

    def check(self) -> None:
        """Raise :class:`ComponentDiedError` or :class:`ServiceError` if a part of it ended."""
        ...


class GivenStack:
    """A stack that somebody else runs; the kit watches only what it started itself."""

    def __init__(self, deployment: Deployment, own: Sequence[Component]) -> None:
        self.deployment = deployment
        self._own = own

    def components(self) -> list[ComponentStatus]:
        """The lease holder, if the kit had to start one."""
        return [component.status() for component in self._own]

    def check(self) -> None:
        """Raise :class:`ComponentDiedError` if the lease holder ended."""
        for component in self._own:
            if component.died:
                tail = component.status().log_tail or "(no output)"
                raise ComponentDiedError(component.name, log_tail=tail)


@contextmanager
def given_stack(path: Path, *, logs: Path, report: Callable[[str], None]) -> Iterator[GivenStack]:
    """The stack that the file at ``path`` describes, alone, with a lease holder.

    Nothing is touched before the file is read, its permission is checked and the stack is free.
    However the drill ended, the holder first makes the undo of what is still in force; what it did
    not make in time is reported with the calls, and its sentinel goes on trying.

    Raises :class:`UsageError` for a file that is wrong, that permits no drill, or that describes a
    stack on which another drill runs; :class:`WorldError` if its state cannot be written.
    """
    deployment = load_deployment(path)
    deployment.permit()
    with ExitStack() as opened:
        opened.enter_context(alone_on(deployment))
        own = []
        if deployment.urls.lease is None:
            holder = _lease_holder(deployment, logs)
            # Its group is left alone: were its sentinel killed too, nobody would undo what is left.
            opened.callback(holder.leave)
            holder.wait_ready(log_line("^lease holder ready on "), timeout_s=_LEASE_READY_S_MAX)
            url = holder.log_text().split("lease holder ready on ")[1].split()[0]
            urls = deployment.urls.model_copy(update={"lease": url})
            deployment = deployment.model_copy(update={"urls": urls})
            own.append(holder)
            opened.callback(_report_left, url, report)
        session = deployment.kept_as(deployment.data_dir / SESSION_FILE)
        opened.callback(session.path.unlink, missing_ok=True)
        yield GivenStack(session, own)


def _report_left(lease: str, report: Callable[[str], None]) -> None:
    try:
        await_undone(lease)
    except ServiceError as error:
        report(str(error))


@contextmanager
def alone_on(deployment: Deployment) -> Iterator[None]:
    """Be the only drill on ``deployment``: by its folder of state, and by the address of its api.

    The address counts as it is written, and by everything that its host resolves to: one venue has
    many names. Runners of one account on one machine see each other, and so do those that share
    the folder.

    Raises :class:`UsageError` if another drill runs on it.
    """
    api = urlsplit(deployment.urls.api)
    port = api.port or {"http": 80, "https": 443}[api.scheme]
    # The same host has many spellings, and the path does not make another venue of it.
    hosts = sorted({str(api.hostname), *_resolved(str(api.hostname), port)})
    named = [hashlib.sha256(f"{host}:{port}".encode()).hexdigest()[:16] for host in hosts]
    locks = cache_root() / "locks"
    files = (deployment.data_dir / "drill.lock", *(locks / f"drill-{name}" for name in named))
    with ExitStack() as opened:
        for file in files:
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                lock = opened.enter_context(file.open("a+", encoding="utf-8"))
            except OSError as error:
                message = f"the lock {file} cannot be made: {error.strerror}"
                raise WorldError(message) from error
            _take(lock, deployment)
        yield


def _resolved(host: str, port: int) -> set[str]:
    """The addresses of ``host``; none if its name does not resolve."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {str(address[0]) for *_, address in found}


def use_seed(deployment: Deployment, seed: int, drills: Sequence[str]) -> None:
    """Note that drills with this seed were run on the stack.

    A seed gives the same requests again, which the venue knows already and perhaps has paid.

    Raises :class:`UsageError` if it was used for one of ``drills`` before.
    """
    used = deployment.data_dir / "used-seeds"
    try:
        known = used.read_text(encoding="utf-8").splitlines() if used.is_file() else []
    except OSError as error:
        raise WorldError(f"{used} cannot be read: {error.strerror}") from error
    lines = [f"{seed} {drill}" for drill in drills]
    again = [line for line in lines if line in known]
    if again:
        raise UsageError(
            f"the seed {seed} was used for {again[0].partition(' ')[2]} on {deployment.stack}"
            " before, so its requests would be repetitions of those",
            remedy="leave out --seed, or take another one",
        )
    write_private(used, "".join(f"{line}\n" for line in (*known, *dict.fromkeys(lines))))


def _take(lock: IO[str], deployment: Deployment) -> None:
    """Take the lock and write into it who has it; the kernel drops it when this process ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        owner = lock.read().strip() or "it does not say which"
        raise UsageError(
            f"another drill runs on {deployment.stack} ({owner})",
            remedy="wait for its end; two shocks at once prove nothing",
        ) from error
    lock.truncate(0)
    lock.write(f"process {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S %Z')}\n")
    lock.flush()


def _lease_holder(deployment: Deployment, logs: Path) -> Component:
    logs.mkdir(parents=True, exist_ok=True)
    return Component(
        name=LEASE,
        argv=[*module("seawall.lease"), *("--data-dir", str(deployment.data_dir), "--port", "0")],
        env=process_environment(deployment),
        log=logs / f"{LEASE}.log",
        cwd=repository_root(),
    )


def process_environment(deployment: Deployment, **more: str) -> dict[str, str]:
    """Variables of a process that works on ``deployment`` and ends with this one.

    On a stack of the user's, their AWS configuration and proxies count; in a sandbox nothing does.
    """
    own_stack = deployment.kind != "sandbox"
    given = of_deployment(
        deployment.path,
        policy=deployment.policy,
        path=setup.environment()["PATH"],
        run_id=deployment.run_id,
        own_stack=own_stack,
    )
    runner = {RUNNER_VARIABLE: str(os.getpid())}
    return {**inherited(own_stack=own_stack), **given, **more, **runner}


def environment_of_run(deployment: Deployment, faults: str) -> dict[str, str]:
    """Variables of a process of a drill; ``faults`` are folders with faults of the user's own."""
    return process_environment(deployment, **({FAULTS_VARIABLE: faults} if faults else {}))


def module(name: str) -> list[str]:
    """The command that runs a module of the kit as a program."""
    return [sys.executable, "-P", "-m", name]
