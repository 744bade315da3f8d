"""One line per fact in a run's ``timeline.jsonl``, written by several processes at once without
tearing.

In: a fact. Out: a line ``{"at", "source", "event", "detail"}``, appended by one write to a file
opened for appending.
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

    Raises :class:`DiskFullError` if it cannot be written whole.
    """
    line = (
        json.dumps(
            {"at": round(at, 6), "source": source, "event": event, "detail": dict(detail)},
            separators=(",", ":"),
        )
        + "\n"
    )
    data = line.encode()
    try:
        descriptor = os.open(run_dir / TIMELINE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError as error:
        message = f"cannot write to {run_dir / TIMELINE}: {error.strerror}"
        raise DiskFullError(message) from error
    if written != len(data):
        message = f"only {written} of {len(data)} bytes fitted into {run_dir / TIMELINE}"
        raise DiskFullError(message)
