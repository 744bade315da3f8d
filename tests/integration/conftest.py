"""Fixtures that start real parts for integration tests, each on free loopback ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx
import pytest

from seawall.setup.programs import locate
from tests.testing.venue_harness import (
    database_url,
    founded,
    founded_template,
    new_database,
    postgres_server,
)


def free_port() -> int:
    """A loopback port that is free right now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


LONGEST_FILES = (
    "test_stack_lifecycle.py",
    "test_stack.py",
    "test_stack_drift.py",
    "test_settler.py",
    "test_change_review.py",
    "test_refused_stack.py",
    "test_stack_failures.py",
    "test_sandbox.py",
)
"""They start first, so that no worker begins a long file when the others have nothing left."""

AnvilStarter = Callable[..., str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the others stay in their order."""
    rank = {name: number for number, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture
def start_anvil() -> Iterator[AnvilStarter]:
    """Start an anvil and return its URL.

    ``block_time`` is in seconds, or None for a block per transaction.
    """
    running: list[subprocess.Popen[bytes]] = []

    def start(*, chain_id: int = 73311, block_time: int | None = None) -> str:
        port = free_port()
        argv = [
            str(locate("anvil").path),
            "--port",
            str(port),
            "--chain-id",
            str(chain_id),
            "--silent",
        ]
        argv += [
            "--slots-in-an-epoch",
            "1",
            "--balance",
            "100000000",
            "--accounts",
            "2",
            "--gas-limit",
            "60000000",
        ]
        argv += ["--block-time", str(block_time)] if block_time else []
        # A session of its own: npm's anvil is a script that starts the program, and killing the
        # script would leave it.
        running.append(
            subprocess.Popen(
                argv, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 20
        while True:
            try:
                httpx.post(
                    url, json={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
                )
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return url

    yield start
    for process in running:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


__all__ = [
    "database_url",
    "founded",
    "founded_template",
    "new_database",
    "postgres_server",
]  # fixtures of a founded venue, for pytest to find
