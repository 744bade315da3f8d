"""The treasury's loops: gauges, top-ups and reconciliation, each at its own interval."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from typing import TYPE_CHECKING

from seawall.errors import ServiceError
from venue.database import FAILURES
from venue.ledger.chart import Book, books, payout_routes
from venue.ledger.journal import append
from venue.process import pause
from venue.treasury import metrics
from venue.treasury.metrics import expose_queue, expose_sums
from venue.treasury.reconcile import Comparisons, reconcile
from venue.treasury.topups import WRITER, request_topups

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from seawall.ethereum.rpc import AsyncRpcClient
    from seawall.formats.venue_config import VenueConfig
    from seawall.policy import Policy
    from venue.database import Pool

GAUGES_EVERY_S = 1.0
_log = logging.getLogger(__name__)


class Treasury:
    """Runs all loops; ``rpcs`` are by network.

    It is the only writer of the treasury's journal, so only one may run.
    """

    def __init__(
        self, config: VenueConfig, policy: Policy, *, pool: Pool, rpcs: Mapping[str, AsyncRpcClient]
    ) -> None:
        self._config = config
        self._policy = policy
        self._pool = pool
        self._rpcs = rpcs
        self._comparisons = Comparisons(
            every_s={
                book.key: policy.buckets[book.bucket].reconciliation_every / 1_000
                for book in books(policy)
            }
        )
        self._paying = [route.book_key for route in payout_routes(policy).values()]
        self._obstacle: str | None = None
        self._journal = asyncio.Lock()  # two loops write to one hash chain

    async def work(self, stop: asyncio.Event) -> None:
        """Run all loops until ``stop``.

        After a failure of the database or a node, the next turn tries again.
        """
        loops = [
            self._every(GAUGES_EVERY_S, self._gauges, stop),
            self._every(self._policy.treasury.top_up_every / 1_000, self._top_up, stop),
        ]
        for book in books(self._policy):
            every_s = self._comparisons.every_s[book.key]
            loops.append(self._every(every_s, functools.partial(self._reconcile, book), stop))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(loop) for loop in loops]
            await stop.wait()
            for task in tasks:
                task.cancel()

    async def _every(
        self, seconds: float, work: Callable[[], Awaitable[None]], stop: asyncio.Event
    ) -> None:
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            began = loop.time()
            try:
                await work()
            except (*FAILURES, ServiceError) as error:
                _log.warning("a turn failed, the next one tries again: %s", error)
            await pause(stop, max(0.0, began + seconds - loop.time()))

    async def _gauges(self) -> None:
        for key in self._comparisons.stale(time.monotonic()):
            for asset in self._comparisons.assets(key):
                metrics.LEDGER_DRIFT.remove(*key, asset)
        async with self._pool.acquire() as connection:
            await expose_queue(connection, self._policy)

    async def _top_up(self) -> None:
        # The drift of another bucket raises that bucket's alarm; it must not stop top-ups of the
        # wallets that pay customers.
        drift = self._comparisons.drift(time.monotonic(), self._paying)
        async with self._pool.acquire() as connection, self._journal:
            obstacle = await request_topups(connection, self._policy, drift=drift)
        if obstacle != self._obstacle:
            if obstacle:
                _log.warning("top-ups stopped: %s", obstacle)
            else:
                _log.info("top-ups continue")
        self._obstacle = obstacle

    async def _reconcile(self, book: Book) -> None:
        what = f"{book.bucket} on {book.network}"
        async with self._pool.acquire() as connection:
            drift = await reconcile(
                connection, self._config, self._policy, book, self._rpcs[book.network]
            )
            if drift is None:
                _log.warning(
                    "%s: the ledger was not level with the chain in time; not compared", what
                )
                return
            changed = self._comparisons.note(book.key, drift, now_s=time.monotonic())
            for asset, amount in drift.items():
                metrics.LEDGER_DRIFT.labels(*book.key, asset).set(amount)
            for asset, amount in changed.items():
                await self._note_drift(book, asset, amount)
            await expose_sums(connection)

    async def _note_drift(self, book: Book, asset: str, amount: int) -> None:
        what = f"{book.bucket} on {book.network}"
        why = (
            f"{what}: ledger and chain differ by {amount} base units of {asset}"
            if amount
            else f"{what}: {asset} agrees again"
        )
        _log.warning("%s", why)
        async with self._journal, self._pool.acquire() as connection, connection.transaction():
            body = {
                "bucket": book.bucket,
                "network": book.network,
                "asset": asset,
                "drift": str(amount),
            }
            await append(connection, writer=WRITER, kind="drift", justification=why, body=body)
