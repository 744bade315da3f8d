"""``python -m venue.mode_controller --config FILE``: control the mode until SIGTERM."""

import asyncio

from seawall.conventions.components import MODE_CONTROLLER_PROCESS
from seawall.conventions.database import FLOW_CHANNEL
from seawall.formats.venue_config import config_from_arguments, database_url
from venue.database import connect
from venue.mode_controller.controller import ModeController
from venue.process import run, say_ready, serve_metrics


async def _main(stop: asyncio.Event) -> None:
    policy = config.load_policy()
    serve_metrics(config.metrics_ports[MODE_CONTROLLER_PROCESS])
    connection = await connect(database_url(), name=MODE_CONTROLLER_PROCESS)
    listener = await connect(database_url(), name=f"{MODE_CONTROLLER_PROCESS}-listener")
    wake = asyncio.Event()
    stopped = asyncio.create_task(stop.wait())
    stopped.add_done_callback(lambda _: wake.set())
    await listener.add_listener(FLOW_CHANNEL, lambda *_: wake.set())
    say_ready()
    holder = f"{MODE_CONTROLLER_PROCESS}-{config.run_id}"
    await ModeController(policy, connection, wake=wake, holder=holder).work(stop)
    listener.terminate()
    await connection.close(timeout=1)


if __name__ == "__main__":
    config, _ = config_from_arguments("Control the venue's mode.")
    run(_main)
