"""The lease holder's HTTP interface, on loopback.

    PUT    /leases/{name}        {"ttl_ms", "undo": [{"method", "url", "json"?}]}
                                 -> 200 {"name", "expires_in_ms"}; 409 taken; 422 invalid
    POST   /leases/{name}/renew  -> 200 {"name", "expires_in_ms"}; 404 expired
    DELETE /leases/{name}        the owner has undone its fault itself -> 204; 404 expired
    GET    /leases               -> 200 {"holder", "sentinel" (process ids),
                                         "leases": [{"name", "expires_in_ms", "expiring", ...}]}

An error is ``{"code", "reason"}``. The standard library's server suffices: a drill makes about one
request a second.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import TypeAdapter, ValidationError

from seawall.errors import PortBusyError, SeawallError
from seawall.lease.book import Lease, LeaseName, LeaseRequest
from seawall.lease.holder import Holder
from seawall.lease.undo import Clock

HOST = "127.0.0.1"
_NAME: TypeAdapter[str] = TypeAdapter(LeaseName)
Answer = tuple[int, dict[str, Any] | None]


class LeaseServer(ThreadingHTTPServer):
    """A server that binds its port when it is made, so that a busy port is known at once."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int) -> None:
        self.answer: Callable[[str, str, bytes], Answer] = _not_ready
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise PortBusyError(
                f"the lease holder cannot listen on {HOST}:{port}: {error.strerror}",
                remedy="choose another port",
            ) from error

    def serve(self, holder: Holder, *, sentinel_pid: int, holder_pid: int, clock: Clock) -> None:
        """Answer requests from ``holder`` until shut down."""

        def answer(method: str, path: str, body: bytes) -> Answer:
            if (method, path) == ("GET", "/leases"):
                leases = [_describe(lease, clock) for lease in holder.leases()]
                return 200, {"holder": holder_pid, "sentinel": sentinel_pid, "leases": leases}
            return _operate(holder, clock, method, path, body)

        self.answer = answer
        self.serve_forever(poll_interval=0.1)


def _not_ready(_method: str, _path: str, _body: bytes) -> Answer:
    return _error(503, "not_ready", "the holder is starting")


def _operate(holder: Holder, clock: Clock, method: str, path: str, body: bytes) -> Answer:
    """Answer a request about one lease."""
    parts = path.strip("/").split("/")
    if len(parts) not in (2, 3) or parts[0] != "leases":
        return _error(404, "unknown_path", path)
    try:
        name = _NAME.validate_python(parts[1])
        if (method, len(parts)) == ("PUT", 2):
            lodged = holder.lodge(name, LeaseRequest.model_validate_json(body))
            return (
                (200, _describe(lodged, clock))
                if lodged
                else _error(409, "taken", f"{name} is held for something else or just expiring")
            )
    except ValidationError as error:
        return _error(
            422,
            "invalid",
            "; ".join(
                f"{'.'.join(map(str, one['loc'])) or 'name'}: {one['msg']}"
                for one in error.errors()
            ),
        )
    if (method, parts[2:]) == ("POST", ["renew"]):
        renewed = holder.renew(name)
        return (
            (200, _describe(renewed, clock))
            if renewed
            else _error(404, "expired", f"no lease {name} is held")
        )
    if (method, len(parts)) == ("DELETE", 2):
        return (
            (204, None)
            if holder.release(name)
            else _error(404, "expired", f"no lease {name} is held")
        )
    return _error(405, "unknown_operation", f"{method} {path}")


def _describe(lease: Lease, clock: Clock) -> dict[str, Any]:
    rest_ms = max(0, lease.deadline_ms - clock.monotonic_ms())
    undo = [call.model_dump(mode="json", by_alias=True) for call in lease.request.undo]
    return {
        "name": lease.name,
        "ttl_ms": lease.request.ttl_ms,
        "expires_in_ms": rest_ms,
        "expiring": lease.expiring,
        "renewals": lease.renewals,
        "undo": undo,
    }


def _error(status: int, code: str, reason: str) -> Answer:
    return status, {"code": code, "reason": reason}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True
    server: LeaseServer

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            status, content = self.server.answer(self.command, self.path, body)
        except SeawallError as error:
            status, content = _error(500, type(error).__name__, str(error))
        data = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        if content is not None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    # The names that http.server calls.
    do_GET = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815

    # The parameter's name is the base class's.
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: renewals would fill the log."""
