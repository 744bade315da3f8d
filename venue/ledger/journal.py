"""Append entries to the decision journal; each is chained to its writer's last entry by a hash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from seawall.formats.journal import GENESIS_HASH, entry_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from venue.database import Connection

_LAST = "select n, hash from journal where writer = $1 order by n desc limit 1"
_APPEND = """
    insert into journal (writer, n, kind, justification, body, previous_hash, hash)
    values ($1, $2, $3, $4, $5::jsonb, $6, $7)"""


async def append(
    connection: Connection,
    *,
    writer: str,
    kind: str,
    justification: str,
    body: Mapping[str, str | int | None],
) -> None:
    """Write one entry in the caller's transaction, before the change that it justifies.

    Values are text or whole numbers, because ``jsonb`` returns those unchanged. Each writer is one
    process, so its chain cannot fork (the primary key would refuse it).

    Args:
        connection: Within a transaction.
        writer: The process that decides, for example ``treasury``.
        kind: What was decided, for example ``topup``.
        justification: Why, as a sentence for people.
        body: The details.
    """
    last = await connection.fetchrow(_LAST, writer)
    n, previous = (1, GENESIS_HASH) if last is None else (last["n"] + 1, bytes(last["hash"]))
    digest = entry_hash(
        previous_hash=previous,
        writer=writer,
        n=n,
        kind=kind,
        justification=justification,
        body=body,
    )
    await connection.execute(
        _APPEND, writer, n, kind, justification, json.dumps(body), previous, digest
    )
