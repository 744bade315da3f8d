"""The manifest of a base backup: what is in it, with checksums, and where in the log it ended.

Read here and not by ``pg_verifybackup``, which not every build of PostgreSQL has in working order.
Format: PostgreSQL 18, "Backup Manifest Format".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from seawall.errors import ServiceError

_LOG = "pg_wal/"
_HALF = 1 << 32
_OWN = re.compile(rb'"Manifest-Checksum": "([0-9a-f]{64})"\}\n?\Z')
T = TypeVar("T")


def verify(files: Path, manifest: Path) -> None:
    """Check that ``files`` are those of ``manifest``, to the byte.

    Its log is left out: the manifest does not list it, and the server checks it as it reads it.

    Raises :class:`ServiceError` that names the first difference.
    """
    text = manifest.read_bytes()
    own = _OWN.search(text)
    if own is None or hashlib.sha256(text[: own.start()]).hexdigest().encode() != own[1]:
        raise ServiceError("the backup's manifest is damaged")
    listed = _read(
        manifest,
        lambda found: {
            _path(each): (int(each["Size"]), str(each["Checksum"]), each["Checksum-Algorithm"])
            for each in found["Files"]
        },
    )
    there = {
        path.relative_to(files).as_posix(): path
        for path in files.rglob("*")
        if path.is_file() and path != manifest
    }
    for name in sorted(there.keys() - listed.keys()):
        if not name.startswith(_LOG):
            raise ServiceError(f"the backup is damaged: {name} is not in its manifest")
    for name, (size, checksum, algorithm) in listed.items():
        if name not in there:
            raise ServiceError(f"the backup is damaged: {name} is missing")
        if algorithm != "SHA256":
            raise ServiceError(f"the backup's manifest has {algorithm} of {name}, not SHA256")
        with there[name].open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if (there[name].stat().st_size, digest) != (size, checksum):
            raise ServiceError(f"the backup is damaged: {name} is not what its manifest says")


def start_of(manifest: Path) -> int:
    """The position in the log from which on a backup needs it. Raises :class:`ServiceError`."""
    return _read(manifest, lambda found: min(_positions(found, "Start-LSN")))


def end_of(manifest: Path) -> int:
    """The position in the log at which a backup ended. Raises :class:`ServiceError`."""
    return _read(manifest, lambda found: max(_positions(found, "End-LSN")))


def timeline_of(manifest: Path) -> int:
    """The timeline on which a backup ended. Raises :class:`ServiceError`."""
    return _read(manifest, lambda found: max(int(each["Timeline"]) for each in found["WAL-Ranges"]))


def _positions(found: Any, which: str) -> list[int]:
    halves = [each[which].split("/") for each in found["WAL-Ranges"]]
    return [int(high, 16) * _HALF + int(low, 16) for high, low in halves]


def _path(entry: Any) -> str:
    """The path of a file, which is in hex if it is no UTF-8."""
    encoded = entry.get("Encoded-Path")
    return str(entry["Path"]) if encoded is None else bytes.fromhex(encoded).decode("latin-1")


def _read(manifest: Path, read: Callable[[Any], T]) -> T:
    try:
        return read(json.loads(manifest.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServiceError(f"the backup's manifest cannot be read: {error}") from error
