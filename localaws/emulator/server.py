"""The HTTP server of the emulator: one, threaded, for all services and Regions."""

from __future__ import annotations

import io
import logging
import socket
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Response

from localaws.emulator import services
from localaws.emulator.control import Application, Control
from localaws.emulator.request_log import RequestLog
from localaws.emulator.services import cloudwatch
from localaws.emulator.services.kms import QUOTA
from seawall.errors import PortBusyError

HOST = "127.0.0.1"


_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class _Dispatcher(DomainDispatcherApplication):
    """Remembers the service of a host: finding it lists a folder and tries every pattern."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._find = lru_cache(maxsize=1_024)(super().get_backend_for_host)

    def get_backend_for_host(self, host: str | None) -> Any:
        """The name of a service, or what moto has instead; None if there is none."""
        return self._find(host)


class _Handler(MotoRequestHandler):
    """Keeps connections open, as AWS does, and does not log requests.

    werkzeug's own handler ends every connection after one answer, because it would have to read
    what the application left of a body. Here the application is given the body as a whole: no
    answer or request of the emulator is larger than a few MB.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer is one packet, not one for its headers and one for its body

    def run_wsgi(self) -> None:
        """Answer one request, and leave the connection at the start of the next."""
        environ = self.make_environ()
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        whole = environ.get("wsgi.input_terminated")
        environ["wsgi.input"] = io.BytesIO(
            environ["wsgi.input"].read()
            if whole
            else self.rfile.read(int(self.headers.get("Content-Length") or 0))
        )
        try:
            answer = Response.from_app(self.server.app, environ, buffered=True)
        except Exception as error:  # noqa: BLE001  as werkzeug: a fault of the application is a 500
            self.log_error("%s", error)
            answer = Response("the emulator failed", status=500)
        body = answer.get_data()
        self.send_response(answer.status_code)
        for name, value in answer.headers:
            self.send_header(name, value)
        if self.command == "HEAD" or answer.status_code in _WITHOUT_BODY:
            body = b""
        elif "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: a drill signs thousands of times."""


def make_aws(
    port: int, *, kms_ecc_per_s: int | None = None, log: Path | None = None
) -> BaseWSGIServer:
    """Return a server that listens on ``port`` of loopback; the caller runs ``serve_forever``.

    ``port``: 0 takes any free one, which is the server's ``port``. ``kms_ecc_per_s``: request quota
    of elliptic-curve operations; None: no quota. ``log``: file to which every request is appended.

    Raises :class:`PortBusyError`.
    """
    services.install()
    QUOTA.set(kms_ecc_per_s)
    cloudwatch.keep_evaluating()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise PortBusyError(f"cannot listen on {HOST}:{port}: {error.strerror}") from error
    listener.listen(128)
    moto: Application = _Dispatcher()
    app = Control(moto if log is None else RequestLog(moto, log))
    with listener:  # the server duplicates the descriptor
        return make_server(
            HOST, port, app, threaded=True, request_handler=_Handler, fd=listener.fileno()
        )
