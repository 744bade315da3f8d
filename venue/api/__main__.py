"""``python -m venue.api --config FILE``: serve customers until SIGTERM."""

import asyncio

from seawall.conventions.components import API_PROCESS
from seawall.errors import InternalError
from seawall.formats.venue_config import config_from_arguments, database_url
from venue.api import metrics
from venue.api.app import make_app
from venue.api.directory import Directory
from venue.api.flusher import Flusher
from venue.api.front import Services
from venue.api.market import Market
from venue.api.swaps import Exchange
from venue.database import open_pool
from venue.process import run, serve_http, serve_metrics


async def _main(stop: asyncio.Event) -> None:
    policy = config.load_policy()
    metrics.initialise(policy)
    pool = await open_pool(database_url(), name="api", size=6)
    intake_pool = await open_pool(database_url(), name="api-intake", size=1)
    market_pool = await open_pool(database_url(), name="api-market", size=2)
    directory = Directory(policy, pool)
    await directory.load()
    exchange = Exchange(policy, config.exchange)
    flusher = Flusher(policy, intake_pool)
    flushing = asyncio.create_task(flusher.work())
    # Without a flusher no request would ever be answered.
    flushing.add_done_callback(lambda _: stop.set())
    app = make_app(
        Services(
            policy=policy,
            pool=pool,
            directory=directory,
            flusher=flusher,
            exchange=exchange,
            own_addresses=config.own_addresses(policy),
            market=Market(policy=policy, directory=directory, pool=market_pool),
        )
    )
    serve_metrics(config.metrics_ports[API_PROCESS])
    await serve_http(app, port=config.api_listen_port, stop=stop)
    if flushing.done():
        raise InternalError("the flusher ended on its own") from flushing.exception()
    flushing.cancel()
    await exchange.close()
    pool.terminate()
    intake_pool.terminate()
    market_pool.terminate()


if __name__ == "__main__":
    config, _ = config_from_arguments("Serve the venue's customers over HTTP.")
    run(_main)
