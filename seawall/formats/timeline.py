"""``timeline.jsonl`` of a run: one line per fact, written by several processes at once.

A line is ``{"at", "source", "event", "detail"}``. It is appended by one write to a file that is
opened for appending, so lines of different processes do not mix.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seawall.errors import DiskFullError

TIMELINE = "timeline.jsonl"


def append(run_dir: Path, *, source: str, event: str, at: float, detail: Mapping[str, Any]) -> None:
    """Append one fact that became true ``at`` Unix seconds.

    Raises:
        DiskFullError: It cannot be written whole.
    """
    fact = {"at": round(at, 6), "source": source, "event": event, "detail": dict(detail)}
    line = (json.dumps(fact, separators=(",", ":")) + "\n").encode()
    path = run_dir / TIMELINE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DiskFullError(f"cannot write to {path}: {error.strerror}") from error
    if written != len(line):
        raise DiskFullError(f"only {written} of {len(line)} bytes fitted into {path}")
