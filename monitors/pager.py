"""The pager: a webhook that writes down each alert of each notification, durably, before it
answers.

Usage: ``python -m monitors.pager --port N --out pages.jsonl``. ``POST /`` takes Alertmanager's
webhook message (version 4); ``GET /pages`` lists what was written. One line per alert:
``received_at``, ``status`` (firing, resolved), ``alertname``, ``severity``, ``starts_at``,
``labels``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from seawall.errors import PortBusyError, SeawallError, WorldError

MESSAGE_BYTES_MAX = 16 * 1024 * 1024


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
        text = f"not a webhook message of Alertmanager: {error!r}"
        raise ValueError(text) from error


class PageBook:
    """The file of pages; a page is on the disk when :meth:`add` returns."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._path = path
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            message = f"pages cannot be written to {path}: {error.strerror}"
            raise WorldError(message) from error

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


def make_server(
    port: int, book: PageBook, *, clock: Callable[[], float] = time.time
) -> ThreadingHTTPServer:
    """A server on loopback that writes into ``book``. Raises :class:`PortBusyError`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            received_at = clock()
            length = int(self.headers.get("content-length", "0"))
            if length > MESSAGE_BYTES_MAX:
                self.close_connection = True
                self._answer(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"reason": "the message is too large"}
                )
                return
            try:
                book.add(pages_of(json.loads(self.rfile.read(length)), received_at=received_at))
            except ValueError as error:
                self._answer(HTTPStatus.UNPROCESSABLE_ENTITY, {"reason": str(error)})
            except OSError as error:
                # Alertmanager tries again on 5xx: a page that is not on the disk was not received.
                self._answer(HTTPStatus.INSUFFICIENT_STORAGE, {"reason": str(error)})
            else:
                self._answer(HTTPStatus.OK, {})

        def do_GET(self) -> None:
            if self.path == "/pages":
                self._answer(HTTPStatus.OK, book.read())
            else:
                self._answer(HTTPStatus.NOT_FOUND, {"reason": f"nothing is at {self.path}"})

        # the name is the base class's
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing: the pages are the log."""

        def _answer(self, status: HTTPStatus, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        message = f"the pager cannot listen on port {port}: {error.strerror}"
        raise PortBusyError(message) from error
    server.daemon_threads = True
    return server


def main(arguments: list[str] | None = None) -> int:
    """Receive pages until told to end; returns the exit code."""
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
        server = make_server(options.port, book)
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the serving loop, which this very thread runs.
        signal.signal(
            number, lambda _number, _frame: threading.Thread(target=server.shutdown).start()
        )
    print(f"ready on port {server.server_port}", flush=True)
    with server, closing(book):
        server.serve_forever(poll_interval=0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
