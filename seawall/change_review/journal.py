"""The change journal: the file in which overrides are written down before they take effect.

It only grows. One line is one entry,
`{"writer", "n", "kind", "justification", "body", "previous_hash", "hash"}`, and its hash covers the
entry before (:mod:`seawall.formats.journal`). A lock on the file admits one writer at a time, and
an entry counts once it is on the disk. The chain shows changed, missing and swapped entries. It
cannot show that its end was cut off, so keep a real stack's journal where it cannot be deleted.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from seawall.errors import EvidenceError, WorldError
from seawall.formats.journal import GENESIS_HASH, chain_breaks, entry_hash

WRITER = "change-review"
_FORMER_WRITER = "change-guard"
"""The name in journals that were begun before the command was renamed.

An entry's hash covers its writer's name, so such a journal is continued under the old one.
"""
OVERRIDE = "change.override"
_PRIVATE = 0o600


def breaks(path: Path) -> list[str]:
    """Return where the chain of the journal at ``path`` is broken, as sentences.

    A journal that does not exist yet has no breaks.

    Raises:
        WorldError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _breaks(file.read())[1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise WorldError(
            f"the journal {path} cannot be read: {error.strerror}",
            remedy="name another with --journal, or make it readable",
        ) from error


def append(path: Path, *, kind: str, justification: str, body: Mapping[str, Any]) -> int:
    """Write an entry and return its number once it is on the disk.

    Raises:
        EvidenceError: the chain is broken; nothing was written.
        WorldError: the file cannot be written.
    """
    try:
        with _locked(path) as file:
            rows, broken = _breaks(file.read())
            if broken:
                raise EvidenceError(
                    f"the journal {path} does not hold: {broken[0]}",
                    remedy="find out who changed it and keep it; then begin another",
                )
            writer = rows[0]["writer"] if rows else WRITER
            n, previous = len(rows) + 1, rows[-1]["hash"] if rows else GENESIS_HASH
            digest = entry_hash(
                previous_hash=previous,
                writer=writer,
                n=n,
                kind=kind,
                justification=justification,
                body=body,
            )
            entry = {
                "writer": writer,
                "n": n,
                "kind": kind,
                "justification": justification,
                "body": body,
                "previous_hash": previous.hex(),
                "hash": digest.hex(),
            }
            file.write((json.dumps(entry, sort_keys=True) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
            if n == 1:
                _sync_folder(path.parent)
            return n
    except OSError as error:
        raise WorldError(
            f"the journal {path} cannot be written: {error.strerror or error}",
            remedy="an override without its entry does not count; name another file with --journal",
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, _PRIVATE)
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _breaks(content: bytes) -> tuple[list[dict[str, Any]], list[str]]:
    """The entries, and where the chain does not hold.

    All entries have the writer of the first, which is one of the two names of this program.
    """
    rows: list[dict[str, Any]] = []
    writer = WRITER
    if content and not content.endswith(b"\n"):
        return rows, [f"{writer}: the last entry was not written to its end"]
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            row = json.loads(line)
            row = {
                **row,
                "previous_hash": bytes.fromhex(row["previous_hash"]),
                "hash": bytes.fromhex(row["hash"]),
            }
            if not rows and row["writer"] == _FORMER_WRITER:
                writer = _FORMER_WRITER
            strange = (
                row["writer"] != writer or not {"n", "kind", "justification", "body"} <= row.keys()
            )
        except (ValueError, KeyError, TypeError):
            return rows, [f"{writer}: line {number} is no entry"]
        if strange:
            return rows, [f"{writer}: line {number} is not this writer's"]
        rows.append(row)
    return rows, chain_breaks(rows)
