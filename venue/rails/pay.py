"""Pay over one rail: its providers, which of them is in force, and the worker, on given ports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg
import httpx

from seawall.conventions import database
from seawall.conventions.components import SIDES
from seawall.formats.venue_config import Endpoint
from seawall.policy import Policy
from venue.clock import monotonic_us
from venue.database import Pool, while_open
from venue.rails import metrics
from venue.rails.provider import Provider
from venue.rails.routing import Routing
from venue.rails.worker import RailWorker

Listener: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """All that who pays over a rail reaches outside its own process.

    The simulation (tests/simulation) runs the same worker on others. The clock of waits is the
    running loop's.

    Attributes:
        pool: The venue's database.
        listen: Opens the connection that hears notifications; raises :class:`ServiceError`.
        client: Asks the providers.
        now_us: A clock that never steps, microseconds.
    """

    pool: Pool
    listen: Callable[[], Awaitable[Listener]]
    client: httpx.AsyncClient
    now_us: Callable[[], int] = monotonic_us


async def pay_through(  # noqa: PLR0917 - each is of another kind
    ports: Ports,
    policy: Policy,
    rail: str,
    endpoint: Endpoint,
    credentials: Mapping[str, str],
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Pay over ``rail`` by way of ``ports``, which stay open, until ``stop`` or the first error.

    ``ready`` is called once it hears what wakes it.
    """
    providers = {
        side: Provider(
            rail=rail,
            side=side,
            url=getattr(endpoint, side),
            credential=credentials[side],
            client=ports.client,
            tell=lambda side, answered: metrics.REQUESTS.labels(
                rail, side, "answered" if answered else "silent"
            ).inc(),
        )
        for side in SIDES
    }
    routing = Routing(pool=ports.pool, rail=rail, now_us=ports.now_us)
    worker = RailWorker(
        pool=ports.pool, policy=policy, rail=rail, providers=providers, routing=routing
    )
    listener = await ports.listen()
    try:
        await listener.add_listener(database.WITHDRAWAL_CHANNEL, lambda *_: worker.wake.set())
        ready()
        await while_open(listener, worker.work(stop))
    finally:
        listener.terminate()
