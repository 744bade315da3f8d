"""The HTTP server of the emulator: one, threaded, for all services and Regions."""

from __future__ import annotations

import logging
import socket
from functools import lru_cache
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from localaws.emulator import services
from localaws.emulator.control import Application, Control
from localaws.emulator.request_log import RequestLog
from localaws.emulator.services import cloudwatch
from localaws.emulator.services.kms import QUOTA
from seawall.errors import PortBusyError

HOST = "127.0.0.1"


class _Dispatcher(DomainDispatcherApplication):
    """Remembers the service of a host: finding it lists a folder and tries every pattern."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._find = lru_cache(maxsize=1_024)(super().get_backend_for_host)

    def get_backend_for_host(self, host: str | None) -> Any:
        """The name of a service, or what moto has instead; None if there is none."""
        return self._find(host)


class _Handler(MotoRequestHandler):
    """Keeps connections open, as AWS does, and does not log requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

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
