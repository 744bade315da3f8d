"""What a command asks on loopback: a venue, a chain, an object store."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[str, dict[str, Any]], tuple[int, Any]]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """A server whose answers are made by ``answer(path, body)``; its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply({})

        def do_HEAD(self) -> None:
            self._reply({})

        def do_POST(self) -> None:
            self._reply(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def log_message(self, *_: object) -> None:
            return

        def _reply(self, body: dict[str, Any]) -> None:
            status, found = answer(self.path, body)
            text = (found if isinstance(found, str) else json.dumps(found)).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def venue(tier: str) -> Answer:
    """The status operation of the drill contract."""
    status = {
        "tier": tier,
        "epoch": 3,
        "since": 1.0,
        "reason": "run-on-the-bank",
        "guarantees": [],
        "defers": [],
        "suspends": [],
    }
    return lambda path, _: (200, status) if path == "/v1/status" else (404, {})


def chain(chain_id: int, *, native: int, tokens: int) -> Answer:
    """A node on which every address holds the same."""

    def answer(_: str, body: dict[str, Any]) -> tuple[int, Any]:
        results = {
            "eth_chainId": hex(chain_id),
            "eth_getBalance": hex(native),
            "eth_call": f"0x{tokens:064x}",
        }
        return 200, {"jsonrpc": "2.0", "id": body["id"], "result": results[body["method"]]}

    return answer
