import asyncio

from seawall.conventions.components import GUARD_PROCESS
from seawall.conventions.database import FLOW_CHANNEL
from seawall.formats.venue_config import config_from_arguments, database_url
from venue.database import connect
from venue.mode_controller.loop import Guard
from venue.process import run, say_ready, serve_metrics


async def _main(stop: asyncio.Event) -> None:
    policy = config.load_policy()
    serve_metrics(config.metrics_ports[GUARD_PROCESS])
    connection = await connect(database_url(), name="guard")
    listener = await connect(database_url(), name="guard-listener")
    wake = asyncio.Event()
    stopped = asyncio.create_task(stop.wait())
    stopped.add_done_callback(lambda _: wake.set())
    await listener.add_listener(FLOW_CHANNEL, lambda *_: wake.set())
    say_ready()
    await Guard(policy, connection, wake=wake, holder=f"guard-{config.run_id}").work(stop)
    listener.terminate()
    await connection.close(timeout=1)


if __name__ == "__main__":
    config, _ = config_from_arguments("Guard the venue's mode.")
    run(_main)
