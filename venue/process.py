"""What every venue process does: run until SIGTERM, print ``ready`` once, serve its metrics.

Metrics of processes without an HTTP interface are served by `prometheus_client` from a thread of
its own: a busy event loop must not look like a dead process. HTTP interfaces are served by uvicorn.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import asyncpg
import prometheus_client
import uvicorn
import uvloop

from seawall.errors import InternalError, PortBusyError, SeawallError, ServiceError
from venue.database import FAILURES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine


GARBAGE_THRESHOLDS = (20_000, 20, 20)
"""Of :func:`gc.set_threshold`: a request makes some hundred objects and few cycles."""
_log = logging.getLogger(__name__)


def run(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> NoReturn:
    """Run ``main(stop)`` and exit 0 when it returns; SIGTERM and SIGINT set ``stop``.

    A :class:`SeawallError` ends the process with its exit code.
    """
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    # At INFO, httpx logs every request.
    logging.getLogger("httpx").setLevel(logging.WARNING)

    async def supervised() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await main(stop)

    # What is imported stays; looking through it for garbage again and again delays requests.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    try:
        uvloop.run(supervised())
    except SeawallError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    sys.exit(0)


def say_ready() -> None:
    """Print ``ready`` for the program that started this process."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def serve_metrics(port: int) -> None:
    """Serve ``/metrics`` on loopback from a thread of its own. Raises :class:`PortBusyError`."""
    try:
        prometheus_client.start_http_server(port, addr="127.0.0.1")
    except OSError as error:
        raise PortBusyError(
            f"metrics cannot be served on port {port}: {error.strerror}",
            remedy="free the port, or configure another",
        ) from error


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, because :func:`run` installs them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_http(app: Any, *, port: int, stop: asyncio.Event) -> None:
    """Serve an ASGI ``app`` on loopback until ``stop``; prints ``ready`` when it listens.

    Raises :class:`PortBusyError`.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise PortBusyError(
            f"port {port} cannot be bound: {error.strerror}",
            remedy="free the port, or configure another",
        ) from error
    server = _Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            backlog=2_048,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    # uvicorn reports its start by this flag only
    while not server.started and not serving.done():  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    if not serving.done():
        say_ready()
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    server.should_exit = True
    await serving


async def start_over(
    what: str,
    work: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
    *,
    after_s: float,
    failed: Callable[[], None] = lambda: None,
) -> None:
    """Do ``work`` until ``stop``, from its beginning again after each failure of a neighbour.

    Only what is committed counts, so that is where it goes on.

    Args:
        what: Whose work it is, for messages.
        work: Returns when ``stop`` is set.
        stop: Ends it all.
        after_s: Seconds from a failure to the next attempt.
        failed: Called at each failure.

    Raises :class:`InternalError` for what the database refuses to be written: it would be refused
    for ever.
    """
    while not stop.is_set():
        try:
            await work()
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.RaiseError) as error:
            raise InternalError(
                f"the database refused what {what} wanted to write: {error}"
            ) from error
        except (ServiceError, *FAILURES) as error:
            _log.warning("%s starts over: %s", what, error)
            failed()
            await pause(stop, after_s)


def now_s() -> float:
    """Seconds on the clock of the running loop, which never goes back; its zero means nothing."""
    return asyncio.get_running_loop().time()


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait ``seconds``, or less if ``stop`` is set meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
