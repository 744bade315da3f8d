"""A venue process: runs until SIGTERM or SIGINT, says ``ready`` once on stdout, serves its metrics."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import prometheus_client
import uvloop

from seawall.errors import PortBusyError, SeawallError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def run(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> NoReturn:
    """Run ``main(stop)`` and exit 0 when it returns; a signal sets ``stop``; a :class:`SeawallError` becomes its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # one line per call would drown everything else

    async def supervised() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await main(stop)

    try:
        uvloop.run(supervised())
    except SeawallError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    sys.exit(0)


def say_ready() -> None:
    """Tell whoever started this process that it serves."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def serve_metrics(port: int) -> None:
    """Serve ``/metrics`` on loopback from a thread of its own. Raises :class:`PortBusyError`."""
    try:
        prometheus_client.start_http_server(port, addr="127.0.0.1")
    except OSError as error:
        message = f"metrics cannot be served on port {port}: {error.strerror}"
        raise PortBusyError(message, remedy="free the port, or configure another") from error


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait ``seconds``, or less if ``stop`` is set meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
