"""``python -m venue.rails --config FILE``: pay over the rails of the configuration, to SIGTERM."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

import httpx

from seawall.conventions.components import RAILS_PROCESS, SIDES
from seawall.errors import UsageError
from seawall.formats.venue_config import (
    Endpoint,
    config_from_arguments,
    database_url,
    rail_credentials,
)
from seawall.policy import Policy
from venue.database import connect, open_pool
from venue.process import pause, run, say_ready, serve_metrics, start_over
from venue.rails import metrics
from venue.rails.pay import Ports, pay_through

_DATABASE_CONNECTIONS = 6
"""Of each rail; they share nothing, so that one that waits keeps none from another."""
_START_AGAIN_S = 0.5
_AFTER_ERROR_S = 5.0
_log = logging.getLogger(__name__)


async def main(stop: asyncio.Event) -> None:
    """Pay until ``stop``. Raises :class:`UsageError` for a configuration that makes no sense."""
    config, _ = config_from_arguments("Pay withdrawals over the venue's rails.")
    credentials = rail_credentials()
    for rail in config.rails:
        if set(credentials.get(rail, {})) != set(SIDES):
            raise UsageError(f"there are no credentials for both providers of {rail}")
        metrics.initialise(rail)
    serve_metrics(config.metrics_ports[RAILS_PROCESS])
    policy, url, begun = config.load_policy(), database_url(), set[str]()

    def ready(rail: str) -> None:
        if rail not in begun:
            begun.add(rail)
            if len(begun) == len(config.rails):
                say_ready()

    await asyncio.gather(
        *(
            _keep_paying(
                rail,
                lambda rail=rail, endpoint=endpoint: _pay(  # type: ignore[misc]
                    policy, url, rail, endpoint, credentials[rail], stop, lambda: ready(rail)
                ),
                stop,
            )
            for rail, endpoint in config.rails.items()
        )
    )


async def _keep_paying(rail: str, work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """Pay over ``rail`` until ``stop``, whatever becomes of it; others must not end with it."""
    while not stop.is_set():
        try:
            await start_over(f"who pays over {rail}", work, stop, after_s=_START_AGAIN_S)
        except Exception:  # noqa: BLE001 - whatever it is, it is of this rail alone
            _log.exception("paying over %s has failed", rail)
            metrics.FAILURES.labels(rail).inc()
            await pause(stop, _AFTER_ERROR_S)


async def _pay(  # noqa: PLR0917 - each is of another kind
    policy: Policy,
    url: str,
    rail: str,
    endpoint: Endpoint,
    credentials: Mapping[str, str],
    stop: asyncio.Event,
    begun: Callable[[], None],
) -> None:
    """Pay over one rail, until ``stop`` or its first error."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(url, name="rails", size=_DATABASE_CONNECTIONS)
        stack.callback(pool.terminate)
        ports = Ports(
            pool=pool,
            listen=lambda: connect(url, name="rails-wake"),
            client=await stack.enter_async_context(httpx.AsyncClient(trust_env=False)),
        )
        await pay_through(ports, policy, rail, endpoint, credentials, stop, begun)


if __name__ == "__main__":
    run(main)
