"""``python -m venue.mode_controller --config FILE``: control the mode until SIGTERM.

A second one with ``--standby`` waits until the first is silent, and takes over.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid
from contextlib import AsyncExitStack

from seawall.controls.heartbeat import BEAT_EVERY_MS, TAKEN_AFTER_MS
from seawall.controls.steady import SteadyClock
from seawall.conventions import components
from seawall.conventions.database import FLOW_CHANNEL
from seawall.formats.venue_config import config_from_arguments, database_url
from seawall.policy import Policy
from venue.database import Connection, connect, while_open
from venue.mode_controller.controller import ModeController, expose_committed, hide
from venue.mode_controller.lease import Lease
from venue.process import pause, run, say_ready, serve_metrics, start_over

_START_AGAIN_S = 0.1
_log = logging.getLogger("venue.mode_controller")


async def _main(stop: asyncio.Event) -> None:
    config, arguments = config_from_arguments(
        "Control the venue's mode.",
        flags={"standby": "wait until the other mode controller is silent, then take over"},
    )
    name = (
        components.MODE_CONTROLLER_STANDBY_PROCESS
        if arguments.standby
        else components.MODE_CONTROLLER_PROCESS
    )
    policy = config.load_policy()
    serve_metrics(config.metrics_ports[name])
    lease = Lease(holder=f"{name}@{socket.gethostname()}:{uuid.uuid4()}")
    clock = SteadyClock()  # it outlives connections: what a step was is forgotten by nobody
    if arguments.standby:
        # Where both begin at once, the first one shall decide.
        await pause(stop, TAKEN_AFTER_MS / 1_000)
    said = False

    async def work() -> None:
        nonlocal said
        async with AsyncExitStack() as stack:
            connection = await connect(database_url(), name=name)
            stack.callback(connection.terminate)
            listener = await connect(database_url(), name=f"{name}-listener")
            stack.callback(listener.terminate)
            if not said:
                said = True
                say_ready()
            await while_open(
                listener,
                _control(policy, connection, listener, lease=lease, clock=clock, stop=stop),
            )

    await start_over(name, work, stop, after_s=_START_AGAIN_S, failed=hide)


async def _control(
    policy: Policy,
    connection: Connection,
    listener: Connection,
    *,
    lease: Lease,
    clock: SteadyClock,
    stop: asyncio.Event,
) -> None:
    """Wait for the lease, then control the mode until ``stop``, or until the lease is lost."""
    while not await lease.take(connection):
        await expose_committed(connection, clock)
        await pause(stop, BEAT_EVERY_MS / 1_000)
        if stop.is_set():
            return
    _log.info("%s holds the lease", lease.holder)
    wake = asyncio.Event()
    stopped = asyncio.create_task(stop.wait())
    stopped.add_done_callback(lambda _: wake.set())
    try:
        await listener.add_listener(FLOW_CHANNEL, lambda *_: wake.set())
        controller = ModeController(policy, connection, wake=wake, lease=lease, clock=clock)
        await controller.work(stop)
    finally:
        stopped.cancel()


if __name__ == "__main__":
    run(_main)
