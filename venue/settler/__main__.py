"""``python -m venue.settler --config FILE --network NAME``: settle one network until SIGTERM."""

from __future__ import annotations

import asyncio
import os
import socket

from seawall.conventions import components
from seawall.errors import UsageError
from seawall.formats.venue_config import config_from_arguments
from venue.process import run, say_ready, serve_metrics, start_over
from venue.settler.metrics import SettlerMetrics
from venue.settler.settle import settle

_START_AGAIN_S = 0.5


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

    async def work() -> None:
        await settle(config, network, holder=holder, metrics=metrics, stop=stop, ready=ready)

    await start_over(f"the settler of {network}", work, stop, after_s=_START_AGAIN_S)


if __name__ == "__main__":
    run(_main)
