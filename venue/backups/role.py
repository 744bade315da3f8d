"""The database role that copies the ledger: it reads the log, and can make commits wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from seawall.conventions.database import COPIES, role_of
from seawall.errors import UsageError

if TYPE_CHECKING:
    from venue.database import Connection

ROLE = role_of(COPIES)
_GRANTS = (
    f"grant alter system on parameter synchronous_standby_names to {ROLE}",
    f"grant execute on function pg_reload_conf() to {ROLE}",
    # To see whether the server waits for it; it may copy all that is there in any case.
    f"grant pg_read_all_stats to {ROLE}",
)


async def create_role(connection: Connection, url: str) -> None:
    """Create :data:`ROLE` with the password in ``url``, or give it that password.

    Args:
        connection: The owner's, a superuser.
        url: With which the copies reach the database.

    Raises :class:`UsageError` for a URL that names another role.
    """
    parts = urlsplit(url)
    if unquote(parts.username or "") != ROLE:
        raise UsageError(f"the database URL of the copies must use the role {ROLE}")
    exists = await connection.fetchval("select true from pg_roles where rolname = $1", ROLE)
    verb = "alter" if exists else "create"
    # Utility statements take no parameters; format() quotes.
    await connection.execute(
        await connection.fetchval(
            f"select format('{verb} role {ROLE} login replication password %L', $1::text)",
            unquote(parts.password or ""),
        )
    )
    for grant in _GRANTS:
        await connection.execute(grant)
