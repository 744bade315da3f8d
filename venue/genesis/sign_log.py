"""``python -m venue.genesis.sign_log --roles FILE``: create the signers' own database, then end.

Once, when the venue is founded; and again only if that database itself was lost, which forgets what
was signed (docs/runbooks/sign-log.md).
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from seawall.conventions.database import SIGN_LOG_ROLES
from seawall.errors import UsageError
from seawall.formats.venue_config import sign_log_url
from venue.database import connect
from venue.genesis.roles import create_roles, read_roles
from venue.process import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from venue.database import Connection

_SCHEMA = Path(__file__).parent.parent / "sign_log.sql"
_HOLDS_SOMETHING = "select exists (select 1 from pg_tables where schemaname = 'public')"


async def found_sign_log(connection: Connection, roles: Mapping[str, str]) -> None:
    """Create the sign log in an empty database, completely or not at all.

    Args:
        connection: The owner's.
        roles: Database URL of each of :data:`SIGN_LOG_ROLES`.

    Raises :class:`UsageError` if it is not empty.
    """
    async with connection.transaction():
        if await connection.fetchval(_HOLDS_SOMETHING):
            raise UsageError("this database holds something already", remedy="name an empty one")
        await create_roles(connection, roles)
        await connection.execute(_SCHEMA.read_text(encoding="utf-8"))


async def _main(_stop: asyncio.Event) -> None:
    roles = read_roles(arguments.roles, SIGN_LOG_ROLES)
    connection = await connect(sign_log_url(), name="genesis", bounded=False)
    try:
        await found_sign_log(connection, roles)
    finally:
        await connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Create the sign log in an empty database.")
    parser.add_argument(
        "--roles",
        type=Path,
        required=True,
        help="database URL of each role, sign-log-roles.json; readable by its owner alone",
    )
    arguments = parser.parse_args()
    run(_main)
