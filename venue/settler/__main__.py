"""``python -m venue.settler --config FILE --network NAME``: settle one network until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
import socket

import asyncpg

from seawall.conventions import components
from seawall.errors import InternalError, ServiceError, UsageError
from seawall.formats.venue_config import config_from_arguments
from venue.database import FAILURES
from venue.process import pause, run, say_ready, serve_metrics
from venue.settler.metrics import SettlerMetrics
from venue.settler.settle import settle

_START_AGAIN_S = 0.5
_log = logging.getLogger("venue.settler")


async def _main(stop: asyncio.Event) -> None:
    config, arguments = config_from_arguments(
        "Settle one network: pay its withdrawals and top-ups.", network="the network to settle"
    )
    network = arguments.network
    if network not in config.networks:
        raise UsageError(f"the configuration knows no network {network}")
    name = components.settler_process(network)
    serve_metrics(config.metrics_ports[name])
    metrics = SettlerMetrics(network, assets=config.load_policy().networks[network].assets)
    holder = f"{name}@{socket.gethostname()}:{os.getpid()}"
    said = asyncio.Event()

    def ready() -> None:
        if not said.is_set():
            said.set()
            say_ready()

    while not stop.is_set():
        try:
            await settle(config, network, holder=holder, metrics=metrics, stop=stop, ready=ready)
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.RaiseError) as error:
            raise InternalError(
                f"the ledger refused what the settler of {network} wanted to write: {error}"
            ) from error
        except (ServiceError, *FAILURES) as error:
            # Only what is committed counts: start over from there, under a new epoch.
            _log.warning("settling %s starts over: %s", network, error)
            await pause(stop, _START_AGAIN_S)


if __name__ == "__main__":
    run(_main)
