"""The handles of an operator's procedure, and a database that is lost and restored by them."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from seawall.errors import ServiceError
from seawall.processes.procedure import Procedure, Say

REFUSED = b"E" + struct.pack("!i", 4 + 9) + b"C28P01\0\0\0"
"""What PostgreSQL says to a password that is wrong."""


class Database:
    """A server that refuses everybody, which can be lost and restored by handles.

    Its first ``fails`` restorations fail; the others take ``takes_s``.
    """

    def __init__(self, *, fails: int = 0, takes_s: float = 0.0) -> None:
        self.fails, self.takes_s = fails, takes_s
        self._listening: socket.socket | None = None
        self.port = 0
        self.procedure = Procedure(lose=self.lose, restore=self.restore)
        self.serve()

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"127.0.0.1:{self.port}"

    def serve(self) -> None:
        """Refuse whoever comes, until it is lost."""
        listening = self._listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]

        def answer() -> None:
            while True:
                try:
                    client = listening.accept()[0]
                except OSError:
                    return
                with client:
                    client.recv(1_000)
                    client.sendall(REFUSED)

        threading.Thread(target=answer, daemon=True).start()

    def lose(self) -> None:
        """Serve no more."""
        assert self._listening is not None
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def restore(self, say: Say) -> None:
        """Serve again, unless it is to fail."""
        if self.fails:
            self.fails -= 1
            raise ServiceError("the log has a gap")
        time.sleep(self.takes_s)
        say("the log is applied")
        self.serve()


@contextmanager
def served(procedure: Procedure) -> Iterator[str]:
    """Serve the handles of ``procedure``; gives their base URL, which is no root."""
    app = Starlette(routes=procedure.routes("/database"))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/database"
    finally:
        server.should_exit = True
        thread.join()
