"""The hash chain of decision journals: the hash of an entry, and where a chain is broken.

The hash of each entry covers the entry before it, so a later change or removal is visible. Writers
(mode controller, treasury, change review) and auditors use the same functions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

GENESIS_HASH = b"\x00" * 32
"""The previous hash of a writer's first entry."""


def entry_hash(
    *,
    previous_hash: bytes,
    writer: str,
    n: int,
    kind: str,
    justification: str,
    body: Mapping[str, Any],
) -> bytes:
    """SHA-256 (32 bytes) over the previous hash and the canonical JSON of the entry."""
    text = json.dumps(
        {"writer": writer, "n": n, "kind": kind, "justification": justification, "body": body},
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(previous_hash + text.encode()).digest()


def chain_breaks(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every break of the chains, as sentences.

    ``rows`` are journal rows, ordered by writer and n; a body is JSON text or a mapping.
    """
    breaks: list[str] = []
    expected: dict[str, tuple[int, bytes]] = {}
    for row in rows:
        writer, n = row["writer"], row["n"]
        next_n, previous = expected.get(writer, (1, GENESIS_HASH))
        body = json.loads(row["body"]) if isinstance(row["body"], str) else row["body"]
        if n != next_n:
            breaks.append(f"{writer}: entry {next_n} is missing before {n}")
        elif bytes(row["previous_hash"]) != previous:
            breaks.append(f"{writer}: entry {n} does not point to the one before it")
        recomputed = entry_hash(
            previous_hash=bytes(row["previous_hash"]),
            writer=writer,
            n=n,
            kind=row["kind"],
            justification=row["justification"],
            body=body,
        )
        if recomputed != bytes(row["hash"]):
            breaks.append(f"{writer}: entry {n} was changed after it was written")
        expected[writer] = (n + 1, bytes(row["hash"]))
    return breaks
