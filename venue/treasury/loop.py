"""The treasury's loops: gauges, what moves, reconciliation, each at its own interval."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from typing import TYPE_CHECKING

from seawall.errors import ServiceError
from venue.database import FAILURES, reason_of
from venue.ledger.chart import Book, books, cold_routes, payout_routes
from venue.ledger.journal import append
from venue.process import pause
from venue.treasury import metrics
from venue.treasury.cold import ColdTransfers
from venue.treasury.gas import Gas
from venue.treasury.metrics import (
    expose_cold,
    expose_gas,
    expose_held,
    expose_queue,
    expose_rebalances,
    expose_reviews,
    expose_sums,
    expose_unidentified,
)
from venue.treasury.rebalancing import Rebalancing
from venue.treasury.reconcile import Comparisons, reconcile
from venue.treasury.settled import History
from venue.treasury.surplus import book_surpluses
from venue.treasury.sweeps import request_sweeps
from venue.treasury.topups import WRITER, request_topups

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from seawall.ethereum.rpc import AsyncRpcClient
    from seawall.formats.venue_config import VenueConfig
    from seawall.policy import Policy
    from venue.database import Connection, Pool
    from venue.treasury.custodian import Custodian
    from venue.treasury.reconcile import Holding
    from venue.treasury.watch import Watch

GAUGES_EVERY_S = 1.0
GAS_EVERY_S = 10.0
COLD_EVERY_S = 2.0
REBALANCE_EVERY_S = 2.0
_log = logging.getLogger(__name__)


class Treasury:
    """Runs all loops; ``rpcs`` are by network.

    Without a ``custodian`` nothing comes from cold, without a ``watch`` over a carrier nothing goes
    from one network to another.

    It is the only writer of the treasury's journal, so only one may run.
    """

    def __init__(
        self,
        config: VenueConfig,
        policy: Policy,
        *,
        pool: Pool,
        rpcs: Mapping[str, AsyncRpcClient],
        custodian: Custodian | None = None,
        watch: Watch | None = None,
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
        self._routes = payout_routes(policy)
        self._obstacles: dict[tuple[str, str], str] = {}
        self._journal = asyncio.Lock()  # two loops write to one hash chain
        self._history = History()
        self._settling = asyncio.Lock()
        self._cold = (
            None
            if custodian is None
            else ColdTransfers(
                config=config,
                policy=policy,
                pool=pool,
                rpcs=rpcs,
                custodian=custodian,
                journal=self._journal,
            )
        )

        self._rebalancing = (
            None
            if watch is None
            else Rebalancing(
                config=config,
                policy=policy,
                pool=pool,
                rpcs=rpcs,
                watch=watch,
                journal=self._journal,
            )
        )

    async def work(self, stop: asyncio.Event) -> None:
        """Run all loops until ``stop``.

        After a failure of the database or a node, the next turn tries again.
        """
        loops = [
            self._every(GAUGES_EVERY_S, self._gauges, stop),
            self._every(self._policy.treasury.top_up_every / 1_000, self._top_up, stop),
        ]
        loops += [
            self._every(GAS_EVERY_S, functools.partial(self._gas, network), stop)
            for network in self._routes
        ]
        if self._cold is not None:
            networks = {route.network for route in cold_routes(self._policy)}
            loops += [
                self._every(COLD_EVERY_S, functools.partial(self._fill, self._cold, network), stop)
                for network in networks
            ]
        if self._rebalancing is not None:
            loops += [
                self._every(
                    REBALANCE_EVERY_S,
                    functools.partial(self._rebalance, self._rebalancing, asset),
                    stop,
                )
                for asset in self._rebalancing.terms.assets
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
                _log.warning("a turn failed, the next one tries again: %s", reason_of(error))
            await pause(stop, max(0.0, began + seconds - loop.time()))

    async def _gauges(self) -> None:
        for key in self._comparisons.stale(time.monotonic()):
            for holding in self._comparisons.holdings(key):
                metrics.LEDGER_DEFICIT.remove(*key, *holding)
        async with self._pool.acquire() as connection:
            await expose_queue(connection, self._policy)
            await expose_unidentified(connection)
            await expose_held(connection, self._policy)
            await expose_reviews(connection, self._policy)
            await expose_cold(connection, self._policy)
            await expose_rebalances(connection, self._policy)

    async def _gas(self, network: str) -> None:
        keys = self._config.signers[self._policy.regions.primary].keys
        addresses = {wallet: keys[wallet].address for wallet in self._routes[network].lanes}
        await expose_gas(self._rpcs[network], addresses)
        gas = Gas.of(self._config, self._policy, network)
        if gas is None:
            return
        due = await gas.due(self._rpcs[network], addresses)
        if due:
            async with self._pool.acquire() as connection, self._journal:
                await gas.request(connection, due)

    async def _top_up(self) -> None:
        now_s = time.monotonic()
        deficits = {
            network: self._comparisons.deficits(route.book_key, now_s=now_s)
            for network, route in self._routes.items()
        }
        async with self._pool.acquire() as connection, self._journal:
            obstacles = await request_topups(connection, self._policy, deficits=deficits)
            await request_sweeps(connection, self._policy, stopped=obstacles.keys())
        for (network, asset), obstacle in obstacles.items():
            if obstacle != self._obstacles.get((network, asset)):
                _log.warning("top-ups and sweeps of %s on %s stopped: %s", asset, network, obstacle)
        for network, asset in self._obstacles.keys() - obstacles.keys():
            _log.info("top-ups and sweeps of %s on %s continue", asset, network)
        self._obstacles = obstacles

    async def _fill(self, cold: ColdTransfers, network: str) -> None:
        now_s = time.monotonic()
        deficits = {
            route.book_key: self._comparisons.deficits(route.book_key, now_s=now_s)
            for route in cold_routes(self._policy)
        }
        await cold.turn(network, deficits)

    async def _rebalance(self, rebalancing: Rebalancing, asset: str) -> None:
        now_s, lacking = time.monotonic(), {}
        for name in rebalancing.terms.assets[asset].between:
            wallet = self._policy.wallets[name]
            found = self._comparisons.deficits((wallet.network, wallet.bucket), now_s=now_s)
            lacking[name] = None if found is None else found.get((name, asset))
        await rebalancing.turn(asset, lacking)

    async def _reconcile(self, book: Book) -> None:
        what = f"{book.bucket} on {book.network}"
        view = await self._rpcs[book.network].view()
        if self._cold is not None:
            # What has arrived from cold in this view is in no slot: posted, it is on both sides.
            await self._cold.settle(book.network, view)
        if self._rebalancing is not None:
            await self._rebalancing.settle(book.network, view)
        async with self._pool.acquire() as connection:
            async with self._settling:
                settled = await self._history.settle(connection)
            found = await reconcile(
                connection,
                self._config,
                self._policy,
                book,
                self._rpcs[book.network],
                view=view,
                settled=settled,
            )
            if found is None:
                _log.warning(
                    "%s: the ledger was not level with the chain in time; not compared", what
                )
                return
            for holding, amount in found.deficits.items():
                metrics.LEDGER_DEFICIT.labels(*book.key, *holding).set(amount)
            self._comparisons.note(book.key, found.deficits, now_s=time.monotonic())
            booked: dict[Holding, int] = {}
            async with self._journal:
                for holding, amount in self._comparisons.unrecorded(book.key).items():
                    await _note_deficit(connection, book, holding, amount)
                    self._comparisons.record(book.key, holding, amount)
                if found.surpluses and found.confirmed:
                    booked = await book_surpluses(connection, book, found.cut, settled)
            for (wallet, asset), amount in booked.items():
                _log.warning("%s: %d %s from an unknown sender were booked", wallet, amount, asset)
            for wallet, asset in found.surpluses.keys() - booked.keys():
                _log.warning("%s: more %s than the ledger says could not be booked", wallet, asset)
            await expose_sums(connection, settled)


async def _note_deficit(connection: Connection, book: Book, holding: Holding, amount: int) -> None:
    wallet, asset = holding
    why = (
        f"{wallet} lacks {amount} base units of the {asset} that the ledger says it holds"
        if amount
        else f"{wallet} lacks no {asset} any more"
    )
    _log.warning("%s", why)
    async with connection.transaction():
        body = {
            "bucket": book.bucket,
            "network": book.network,
            "wallet": wallet,
            "asset": asset,
            "deficit": str(amount),
        }
        await append(connection, writer=WRITER, kind="deficit", justification=why, body=body)
