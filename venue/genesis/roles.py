"""The database roles of the venue's processes, with the passwords that their URLs carry."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from seawall.errors import UsageError

if TYPE_CHECKING:
    from venue.config import Database
    from venue.database import Connection

ROLES = ("api", "settler", "signer", "guard", "treasury", "auditor")


def role_of(part: str) -> str:
    """Name of the database role of ``part``."""
    return f"seawall_{part}"


async def create_roles(connection: Connection, database: Database) -> None:
    """Create each role, or renew its password if the cluster has it already.

    Raises :class:`UsageError` for a URL that names another role, since the grants of the schema would not apply to it.
    """
    for part in ROLES:
        url = urlsplit(getattr(database, part))
        if unquote(url.username or "") != role_of(part):
            message = f"the database URL of {part} must use the role {role_of(part)}"
            raise UsageError(message)
        exists = await connection.fetchval("select true from pg_roles where rolname = $1", role_of(part))
        verb = "alter" if exists else "create"
        password = None if url.password is None else unquote(url.password)
        # Utility statements take no parameters; format() quotes, and the statement is not logged by default.
        await connection.execute(
            await connection.fetchval(
                f"select format('{verb} role %I login password %L', $1::text, $2::text)", role_of(part), password
            )
        )
