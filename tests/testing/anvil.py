"""A network of one development node (anvil), on a free loopback port."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import httpx

from seawall.ethereum.rpc import AsyncRpcClient
from seawall.ethereum.values import word
from seawall.setup.programs import locate
from tests.testing.venue_harness import free_port

AnvilStarter: TypeAlias = Callable[..., str]
BLOCK_GAS = 60_000_000
_ANSWERS_WITHIN_S = 20.0
_QUESTION = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}


@contextmanager
def running_anvil(
    *, chain_id: int, block_time: int | None, block_gas: int, behind_s: int = 0
) -> Iterator[str]:
    """The URL of a node that answers; it is killed with the block.

    ``block_time`` is in seconds, or None for a block per transaction. ``behind_s`` is how far its
    clock is behind.
    """
    port = free_port()
    argv = [
        *(str(locate("anvil").path), "--port", str(port), "--chain-id", str(chain_id)),
        *("--silent", "--slots-in-an-epoch", "1", "--balance", "100000000"),
        *("--accounts", "2", "--gas-limit", str(block_gas)),
        *(("--block-time", str(block_time)) if block_time else ()),
        *(("--timestamp", str(int(time.time()) - behind_s)) if behind_s else ()),
    ]
    # A session of its own: npm's anvil is a script that starts the program, and killing the script
    # would leave it.
    process = subprocess.Popen(
        argv, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def anvil_starter(running: ExitStack, *, block_gas: int = BLOCK_GAS) -> AnvilStarter:
    """Starts a node and returns its URL; each ends with ``running``.

    ``block_time`` is in seconds, or None for a block per transaction. ``behind_s`` is how far the
    node's clock is behind.
    """

    def start(*, chain_id: int = 73311, block_time: int | None = None, behind_s: int = 0) -> str:
        node = running_anvil(
            chain_id=chain_id, block_time=block_time, block_gas=block_gas, behind_s=behind_s
        )
        return running.enter_context(node)

    return start


async def mined(rpc: AsyncRpcClient, transaction: dict[str, Any]) -> str:
    """Send a transaction of an unlocked account; its hash, once a block has it.

    The node answers with the hash before it has made the block, even where each transaction gets
    a block of its own. Raises TimeoutError after 20 s.
    """
    tx_hash = await rpc.ask(word, "eth_sendTransaction", transaction)
    async with asyncio.timeout(_ANSWERS_WITHIN_S):
        while await rpc.receipt(tx_hash) is None:  # noqa: ASYNC110  (a node is polled)
            await asyncio.sleep(0.02)
    return tx_hash


def _wait_for(url: str) -> None:
    """Return once the node answers. Raises httpx.TransportError if it does not in time."""
    deadline = time.monotonic() + _ANSWERS_WITHIN_S
    while True:
        try:
            httpx.post(url, json=_QUESTION)
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
