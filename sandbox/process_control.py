"""Handles by which faults freeze, end and bring back processes of a running sandbox; on loopback.

    GET  /processes                  200 {"processes": {name: "running" | "down"}}
    POST /processes/{name}/freeze    SIGSTOP to its group
    POST /processes/{name}/kill      SIGKILL; it stays down until it is brought back
    POST /processes/{name}/start     goes on, or starts again if it is down; idempotent

204; 404 for a process that the sandbox does not have, 409 for one that died by itself. It lives in
the supervisor, which alone can start a process again, so a sandbox that was left running has none;
what is frozen or down when it ends is brought back first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from seawall.errors import SeawallError, ServiceError
from seawall.formats.component_status import ComponentStatus

_START_S_MAX = 10.0


class Controlled(Protocol):
    """Whose processes are handled: a sandbox, or whatever else started some."""

    def components(self) -> Sequence[ComponentStatus]:
        """What is known of every process."""

    def freeze(self, name: str) -> None:
        """Make the process stand still. Raises KeyError, or the error tree if it died by itself."""

    def kill(self, name: str) -> None:
        """Kill the process, which stays down. Raises as :meth:`freeze`."""

    def bring_back(self, name: str) -> None:
        """Let the process go on, or start it again. Raises as :meth:`freeze`."""

    def bring_all_back(self) -> None:
        """Bring back whatever was frozen or killed."""


@contextmanager
def process_control(sandbox: Controlled, more: Sequence[Route] = ()) -> Iterator[str]:
    """Serve the handles of ``sandbox``, and ``more``, from a thread; gives their base URL."""
    server = uvicorn.Server(
        uvicorn.Config(
            _app(sandbox, more),
            host="127.0.0.1",
            port=0,
            log_level="warning",
            lifespan="off",
            ws="none",
        )
    )
    thread = threading.Thread(target=server.run, name="process control", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + _START_S_MAX
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                message = "the control of the sandbox's processes did not start"
                raise ServiceError(message)
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=_START_S_MAX)
        # Whoever asked for it may be gone, and with this server the undo of its fault.
        sandbox.bring_all_back()


def _app(sandbox: Controlled, more: Sequence[Route]) -> Starlette:
    def listed(_request: Request) -> Response:
        states = {
            status.name: "running" if status.exit_code is None else "down"
            for status in sandbox.components()
        }
        return JSONResponse({"processes": states})

    def acting(act: Callable[[str], None]) -> Callable[[Request], Response]:
        def handle(request: Request) -> Response:
            try:
                act(request.path_params["name"])
            except KeyError:
                return JSONResponse({"error": "no such process"}, status_code=404)
            except SeawallError as error:
                return JSONResponse({"error": str(error)}, status_code=409)
            return Response(status_code=204)

        return handle

    return Starlette(
        routes=[
            Route("/processes", listed),
            Route("/processes/{name}/freeze", acting(sandbox.freeze), methods=["POST"]),
            Route("/processes/{name}/kill", acting(sandbox.kill), methods=["POST"]),
            Route("/processes/{name}/start", acting(sandbox.bring_back), methods=["POST"]),
            *more,
        ]
    )
