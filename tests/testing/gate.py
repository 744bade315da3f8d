"""A gate before a service of HTTP: it passes messages on, or does what a dark provider does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from sandbox.http1 import Message, read_message, response
from seawall.errors import ServiceError
from tests.testing.venue_harness import HANGS_AFTER_S, free_port

Behaviour = Literal["passes", "refuses", "hangs", "fails", "nonsense", "deaf", "late"]
"""Deaf: requests arrive, their answers do not. Late: requests arrive when :meth:`Gate.release` is
called, long after the client has given up."""


@dataclass(kw_only=True)
class Gate:
    """In front of the service on ``upstream_port`` of loopback.

    ``fails_only``: requests to this method and path fail, whatever it does with others.
    ``since``: it passes all on until a request to this method and path comes, which it does not.
    """

    upstream_port: int
    port: int = field(default_factory=free_port)
    behaviour: Behaviour = "passes"
    fails_only: str | None = None
    since: str | None = None
    seen: list[str] = field(default_factory=list)
    _late: list[bytes] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.port}"

    async def behave(self, behaviour: Behaviour) -> None:
        """Do so from now on; connections that are open are closed."""
        self.behaviour = behaviour
        for writer in list(self._open):
            writer.close()
        if behaviour == "refuses" and self._server is not None:
            self._server.close()
            self._server = None
        elif behaviour != "refuses" and self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def take(self) -> list[bytes]:
        """Wait until something came late, and take all of it, for :meth:`release` to arrive."""
        async with asyncio.timeout(HANGS_AFTER_S):
            while not self._late:  # noqa: ASYNC110 - the end of a request is no event of its own
                await asyncio.sleep(0.02)
        late, self._late = self._late, []
        return late

    async def release(self, late: Sequence[bytes]) -> list[int]:
        """Let ``late`` arrive; the statuses of the answers."""
        answers = [await self._forward(raw) for raw in late]
        return [int(answer.start[1]) for answer in answers]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while (request := await read_message(reader)) is not None:
                await self._answer(request, writer)
                await writer.drain()
        except (ServiceError, OSError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, request: Message, writer: asyncio.StreamWriter) -> None:
        method, target, _ = request.start
        self.seen.append(f"{method} {target}")
        if f"{method} {target}" == self.fails_only:
            writer.write(response(502, b'{"code":"gone"}'))
            return
        if self.since == f"{method} {target}":
            self.since = None
        match "passes" if self.since else self.behaviour:
            case "passes":
                writer.write((await self._forward(request.raw)).raw)
            case "fails":
                writer.write(response(502, b'{"code":"gone"}'))
            case "nonsense":
                writer.write(response(200, b'{"state":"accepted"}'))
            case "deaf":
                await self._forward(request.raw)
            case "late" if method == "POST":
                self._late.append(request.raw)
            case _:
                pass

    async def _forward(self, raw: bytes) -> Message:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        try:
            writer.write(raw)
            answer = await read_message(reader)
        finally:
            writer.close()
        if answer is None:
            raise ServiceError("nobody answers behind the gate")
        return answer


@asynccontextmanager
async def gates(*each: Gate) -> AsyncIterator[None]:
    """All of them open, until the end."""
    try:
        for gate in each:
            await gate.behave("passes")
        yield
    finally:
        for gate in each:
            await gate.behave("refuses")
