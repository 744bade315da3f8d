"""The treasury's three rhythms.

Gauges each second, top-ups and reconciliation as the policy says.
"""

from __future__ import annotations

import asyncio
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
_LOG = logging.getLogger(__name__)


class TreasuryDesk:
    """Works over ``pool`` and one ``rpcs`` entry per network.

    The journal's writer, so there may be one only.
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
        self._red: str | None = None
        self._journal = asyncio.Lock()  # two rhythms write to one chain

    async def work(self, stop: asyncio.Event) -> None:
        """Keep all rhythms until ``stop``.

        A database or node that fails is tried again at the next beat.
        """
        beats = [
            self._every(GAUGES_EVERY_S, self._gauges, stop),
            self._every(self._policy.treasury.top_up_every / 1_000, self._top_up, stop),
        ]
        for book in books(self._policy):
            every_s = self._comparisons.every_s[book.key]
            beats.append(self._every(every_s, lambda book=book: self._reconcile(book), stop))  # type: ignore[misc]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(beat) for beat in beats]
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
                _LOG.warning("skipped a beat: %s", error)
            await pause(stop, max(0.0, began + seconds - loop.time()))

    async def _gauges(self) -> None:
        for key in self._comparisons.stale(time.monotonic()):
            for asset in self._comparisons.assets(key):
                metrics.LEDGER_DRIFT.remove(*key, asset)
        async with self._pool.acquire() as connection:
            await expose_queue(connection, self._policy)

    async def _top_up(self) -> None:
        # Another bucket's difference is its owner's alarm; it must not keep customers from their
        # money.
        drift = self._comparisons.drift(time.monotonic(), self._paying)
        async with self._pool.acquire() as connection, self._journal:
            red = await request_topups(connection, self._policy, drift=drift)
        if red != self._red:
            _LOG.warning("top-ups stopped: %s", red) if red else _LOG.info("top-ups go on")
        self._red = red

    async def _reconcile(self, book: Book) -> None:
        what = f"{book.bucket} on {book.network}"
        async with self._pool.acquire() as connection:
            drift = await reconcile(
                connection, self._config, self._policy, book, self._rpcs[book.network]
            )
            if drift is None:
                _LOG.warning(
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
        _LOG.warning("%s", why)
        async with self._journal, self._pool.acquire() as connection, connection.transaction():
            body = {
                "bucket": book.bucket,
                "network": book.network,
                "asset": asset,
                "drift": str(amount),
            }
            await append(connection, writer=WRITER, kind="drift", justification=why, body=body)
