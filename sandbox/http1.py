"""HTTP/1.1 messages on asyncio streams.

Just enough for small JSON services that must be cheap in processor time.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from seawall.errors import PortBusyError, ServiceError

HEADER_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 64 * 1024 * 1024
REASONS = {
    200: "OK",
    201: "Created",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    422: "Unprocessable Content",
    502: "Bad Gateway",
    503: "Service Unavailable",
}

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One request or response.

    Its first line in three words, its headers by lower-case name, its body, and all its bytes.
    """

    start: tuple[str, str, str]
    headers: Mapping[str, str]
    body: bytes
    raw: bytes

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection stays open after it."""
        return self.headers.get("connection", "").lower() != "close"


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """Read one message, or None if the peer closed before the next one began.

    Raises :class:`ServiceError` for anything but a message with a Content-Length.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        message = "the peer closed within a message"
        raise ServiceError(message) from error
    except asyncio.LimitOverrunError as error:
        message = f"headers of more than {HEADER_BYTES_MAX} bytes"
        raise ServiceError(message) from error
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    first_word, _, others = first.partition(" ")
    second_word, _, third_word = others.partition(" ")
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not length.isdigit() or int(length) > BODY_BYTES_MAX:
        message = (
            f"a message that is not framed by a Content-Length of at most {BODY_BYTES_MAX} bytes"
        )
        raise ServiceError(message)
    try:
        body = await reader.readexactly(int(length))
    except asyncio.IncompleteReadError as error:
        message = "the peer closed within a message"
        raise ServiceError(message) from error
    start = (first_word, second_word, third_word)
    return Message(start=start, headers=headers, body=body, raw=head + body)


def response(status: int, body: bytes) -> bytes:
    """The bytes of a JSON response."""
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode("latin-1") + body


def answering(answer: Callable[[Message], tuple[int, bytes]]) -> Handle:
    """Serves a connection: status and JSON body of ``answer`` for each request on it."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_message(reader)) is not None:
                status, body = answer(request)
                writer.write(response(status, body))
                await writer.drain()
        except (ServiceError, OSError) as error:
            print(f"connection lost: {error}", file=sys.stderr)
        finally:
            writer.close()

    return handle


async def serve_beside(
    handlers: Mapping[int, Handle], working: Iterable[Coroutine[Any, Any, None]]
) -> None:
    """:func:`serve`, and work that never ends beside it.

    Work that fails ends both with its error: what it kept going would stand still unseen.
    """
    tasks = [asyncio.create_task(each) for each in (serve(handlers), *working)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


async def serve(handlers: Mapping[int, Handle]) -> None:
    """Serve each handler on its loopback port, say ``ready``, and end on SIGTERM or SIGINT.

    Raises :class:`PortBusyError`.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    for port, handle in handlers.items():
        try:
            await asyncio.start_server(
                handle, "127.0.0.1", port, limit=HEADER_BYTES_MAX, backlog=512
            )
        except OSError as error:
            message = f"port {port}: address already in use"
            raise PortBusyError(message) from error
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
