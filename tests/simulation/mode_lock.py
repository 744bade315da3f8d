"""The advisory lock of the mode, as PostgreSQL's: shared or alone, first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeAlias

import asyncpg

LOCK_S_MAX = 5.0
"""``lock_timeout`` of every session (venue/database.py)."""
Owner: TypeAlias = Hashable
"""A transaction."""


@dataclass(kw_only=True)
class ModeLock:
    """The advisory lock that claims share and a flip takes alone; first come, first served."""

    shared: set[Owner] = field(default_factory=set)
    alone: Owner | None = None
    queue: deque[tuple[Owner, bool, asyncio.Future[None]]] = field(default_factory=deque)

    async def take(self, tx: Owner, *, alone: bool) -> None:
        """Wait for it. Raises LockNotAvailableError after ``lock_timeout``."""
        if tx in self.shared or self.alone is tx:
            return
        if not self.queue and self._free(alone=alone):
            self._give(tx, alone=alone)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (tx, alone, future)
        self.queue.append(entry)
        try:
            async with asyncio.timeout(LOCK_S_MAX):
                await future
        except BaseException as error:
            if entry in self.queue:
                self.queue.remove(entry)
                self._next()
            else:
                self.release(tx)
            if isinstance(error, TimeoutError):
                raise asyncpg.LockNotAvailableError(
                    "canceling statement due to lock timeout"
                ) from None
            raise

    def _free(self, *, alone: bool) -> bool:
        return self.alone is None and not (alone and self.shared)

    def _give(self, tx: Owner, *, alone: bool) -> None:
        if alone:
            self.alone = tx
        else:
            self.shared.add(tx)

    def release(self, tx: Owner) -> None:
        """Give it back, if ``tx`` has it."""
        self.shared.discard(tx)
        if self.alone is tx:
            self.alone = None
        self._next()

    def _next(self) -> None:
        while self.queue and self._free(alone=self.queue[0][1]):
            tx, alone, future = self.queue.popleft()
            if future.done():
                continue
            self._give(tx, alone=alone)
            future.set_result(None)
