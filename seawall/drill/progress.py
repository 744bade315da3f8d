"""How far a drill is: what its programs print, and what stands on its timeline, meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from seawall.errors import DrillError


class TimelineEvents:
    """The events on the timeline, each once; other processes append to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def new(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Name and detail of the events whose lines were completed since the last call."""
        data = self._path.read_bytes()[self._read :]
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        events = [json.loads(line) for line in whole.splitlines()]
        return [(str(event["event"]), event.get("detail") or {}) for event in events]


class JsonLines:
    """JSON lines from a pipe, read without ever waiting."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        if pipe is None:
            message = "a program was started without a pipe for its output"
            raise DrillError(message)
        self._descriptor = pipe.fileno()
        self._rest = b""
        os.set_blocking(self._descriptor, False)

    def read(self) -> Iterator[Mapping[str, Any]]:
        """Every whole line that has arrived since the last call.

        Lines that are no JSON objects are passed over.
        """
        while True:
            try:
                chunk = os.read(self._descriptor, 65536)
            except BlockingIOError:
                break
            if not chunk:
                break
            self._rest += chunk
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            try:
                parsed = json.loads(line)
            except ValueError:
                continue  # something that was printed for people
            if isinstance(parsed, dict):
                yield parsed


def last_event(path: Path, event: str) -> float | None:
    """When ``event`` was last put on the timeline at ``path``, in Unix seconds; None if never."""
    found: float | None = None
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if entry["event"] == event:
                found = float(entry["at"])
    return found
