"""How cold transfers come to the journal: as everybody else does who shares it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx

from venue.treasury.cold import ColdTransfers
from venue.treasury.custodian import Custodian


class OneConnection:
    """A pool of a single connection, which is in use until it is given back."""

    def __init__(self) -> None:
        self.free = asyncio.Lock()
        self.said: list[str] = []

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        """It, once it is free."""
        async with self.free:
            yield SimpleNamespace(transaction=self._transaction)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        self.said.append("begin")
        yield
        self.said.append("commit")


async def test_whoever_waits_for_a_connection_does_not_keep_the_journal() -> None:
    """Comparisons hold every connection at times, and each wants the journal at its end."""
    pool, journal = OneConnection(), asyncio.Lock()
    async with httpx.AsyncClient() as client:
        cold = ColdTransfers(
            pool=pool,  # type: ignore[arg-type]
            config=SimpleNamespace(),  # type: ignore[arg-type]
            policy=SimpleNamespace(),  # type: ignore[arg-type]
            rpcs={},
            custodian=Custodian(url="http://127.0.0.1:1", credential=str(uuid4()), client=client),
            journal=journal,
        )

        async def on_record() -> None:
            async with cold._on_record(None):
                assert journal.locked()

        async with pool.acquire():
            waiting = asyncio.create_task(on_record())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            async with asyncio.timeout(10):
                async with journal:  # a comparison's end
                    assert not waiting.done()
        await waiting
    assert pool.said == ["begin", "commit"]
