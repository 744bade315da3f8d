"""Runs the emulated AWS as a process, for tests."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any

from botocore.config import Config
from botocore.session import Session

from seawall.conventions.local_aws import ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY

ROOT_KEY = {
    "AWS_ACCESS_KEY_ID": ROOT_ACCESS_KEY_ID,
    "AWS_SECRET_ACCESS_KEY": ROOT_SECRET_ACCESS_KEY,
}
PRIMARY, STANDBY = "us-east-1", "us-west-2"
MESSAGE_BYTES_MAX = 65_536
"""Options for an emulator, and their answer, at most."""


@dataclass(frozen=True, kw_only=True)
class _Warm:
    """The process of ``tests.testing.warm_aws`` that forks for this one."""

    channel: socket.socket
    process: subprocess.Popen[bytes]
    turn: Lock = field(default_factory=Lock)

    def fork(self, options: Sequence[str], output: int) -> int:
        """Start an emulator that writes to the descriptor ``output``; its process id."""
        with self.turn:
            socket.send_fds(self.channel, [json.dumps(options).encode()], [output])
            answer = self.channel.recv(MESSAGE_BYTES_MAX)
        assert answer, "the process that forks emulators has ended"
        return int(answer)

    def end(self) -> None:
        """End it, and what it has started."""
        self.channel.close()
        self.process.wait()


@cache
def _warm() -> _Warm:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.testing.warm_aws", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # Ctrl-C is for the tests, which then end it
        )
    found = _Warm(channel=ours, process=process)
    atexit.register(found.end)
    return found


@dataclass(frozen=True, kw_only=True)
class Aws:
    """An emulator that is ready at ``endpoint``."""

    endpoint: str
    pid: int

    def send_signal(self, number: int) -> None:
        """Send its process a signal; raises ProcessLookupError if it has ended."""
        os.kill(self.pid, number)


@contextmanager
def aws_process(*options: str) -> Iterator[Aws]:
    """Run the emulator with ``options`` in a process of its own, which ends with the block."""
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as output:
        try:
            pid = _warm().fork(["--port", "0", *options], writing)
        finally:
            os.close(writing)
        port = output.readline().strip()
        assert output.readline() == "ready\n"
        aws = Aws(endpoint=f"http://127.0.0.1:{port}", pid=pid)
        try:
            yield aws
        finally:
            aws.send_signal(signal.SIGKILL)
            output.read()  # ends when the process does


@contextmanager
def running_aws(*options: str) -> Iterator[str]:
    """Run the emulator with ``options``; gives its endpoint."""
    with aws_process(*options) as aws:
        yield aws.endpoint


@cache
def _session() -> Session:
    """One for all clients: each session reads the models of AWS's services anew."""
    return Session()


def client(service: str, endpoint: str, who: dict[str, str], *, region: str = PRIMARY) -> Any:
    """Return a client of ``service``; ``who`` has the credentials as environment variables."""
    return _session().create_client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=who["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=who["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=who.get("AWS_SESSION_TOKEN"),
        config=Config(retries={"total_max_attempts": 1}),
    )
