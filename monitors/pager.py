"""The pager: a webhook that writes down each alert of each notification before it answers.

Usage: ``python -m monitors.pager --port N --out pages.jsonl``. ``POST /`` takes Alertmanager's
webhook message (version 4); ``GET /pages`` lists what was written. One line per alert:
``received_at``, ``status`` (firing, resolved), ``alertname``, ``severity``, ``starts_at``,
``labels``; times are Unix seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from seawall.errors import ExitCode, PortBusyError, SeawallError, WorldError

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
_GRACE_S = 1
"""How long a request in flight may take once the pager is to end."""


def pages_of(message: Any, *, received_at: float) -> list[dict[str, Any]]:
    """One page per alert of a webhook message. Raises ValueError for anything else."""
    try:
        return [
            {
                "received_at": round(received_at, 6),
                "status": alert["status"],
                "alertname": alert["labels"]["alertname"],
                "severity": alert["labels"].get("severity", ""),
                "starts_at": round(datetime.fromisoformat(alert["startsAt"]).timestamp(), 6),
                "labels": dict(alert["labels"]),
            }
            for alert in message["alerts"]
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a webhook message of Alertmanager: {error!r}") from error


class PageBook:
    """The file of pages; a page is on the disk when :meth:`add` returns."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._path = path
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise WorldError(f"pages cannot be written to {path}: {error.strerror}") from error

    def add(self, pages: list[dict[str, Any]]) -> None:
        """Append one line per page and wait until they are on the disk. Raises OSError."""
        with self._lock:
            self._file.write("".join(json.dumps(page) + "\n" for page in pages))
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self) -> list[dict[str, Any]]:
        """Every page so far."""
        with self._lock, self._path.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]


def make_app(book: PageBook, *, clock: Callable[[], float] = time.time) -> Starlette:
    """The webhook, writing into ``book``; ``clock`` gives Unix seconds."""

    async def receive(request: Request) -> JSONResponse:
        received_at = clock()
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MESSAGE_BYTES_MAX:
                return _refusal("the message is too large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            pages = pages_of(json.loads(body), received_at=received_at)
        except ValueError as error:
            return _refusal(str(error), HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            await run_in_threadpool(book.add, pages)
        except OSError as error:
            # Alertmanager tries again on 5xx: a page that is not on the disk was not received.
            return _refusal(str(error), HTTPStatus.INSUFFICIENT_STORAGE)
        return JSONResponse({})

    def written(_: Request) -> JSONResponse:
        return JSONResponse(book.read())

    return Starlette(
        routes=[Route("/", receive, methods=["POST"]), Route("/pages", written, methods=["GET"])]
    )


def _refusal(reason: str, status: HTTPStatus) -> JSONResponse:
    return JSONResponse({"reason": reason}, status_code=status)


def listen(port: int) -> socket.socket:
    """A listening socket on loopback; 0 takes a free port. Raises :class:`PortBusyError`."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PortBusyError(f"the pager cannot listen on port {port}: {error.strerror}") from error
    return listener


class _Server(uvicorn.Server):
    """Ends on SIGTERM and SIGINT with the exit code of :func:`main`.

    Unchanged, uvicorn raises the signal once more after it has served.
    """

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        yield

    def _end(self) -> None:
        self.should_exit = True


def main(arguments: list[str] | None = None) -> int:
    """Receive pages until a signal; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m monitors.pager",
        description="Write down every page that Alertmanager sends.",
    )
    parser.add_argument(
        "--port", type=int, required=True, help="port on loopback; 0 takes a free one"
    )
    parser.add_argument("--out", type=Path, required=True, help="file to append pages to")
    options = parser.parse_args(arguments)
    try:
        book = PageBook(options.out)
        listener = listen(options.port)
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    config = uvicorn.Config(
        make_app(book),
        log_level="warning",
        access_log=False,  # the pages are the log
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_S,
    )
    # It listens already: a request that comes before uvicorn serves waits in the backlog.
    print(f"ready on port {listener.getsockname()[1]}", flush=True)
    with closing(book), listener:
        _Server(config).run(sockets=[listener])
    return ExitCode.PASS


if __name__ == "__main__":
    sys.exit(main())
