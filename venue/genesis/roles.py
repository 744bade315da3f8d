"""The database roles of the venue's processes, with the passwords in their URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from seawall.conventions.database import ROLES, role_of
from seawall.errors import UsageError
from seawall.formats.documents import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from venue.database import Connection


def read_roles(path: Path, parts: Sequence[str] = ROLES) -> dict[str, str]:
    """The database URL by role, read from the file at ``path``, for exactly ``parts``.

    Raises :class:`UsageError` if other users may read the file, or if it is malformed.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise UsageError(
                f"{path} holds passwords and others may read it", remedy=f"chmod 600 {path}"
            )
    except OSError as error:
        raise UsageError(f"cannot read the database roles in {path}: {error.strerror}") from error
    urls = read_json(path)
    if (
        not isinstance(urls, dict)
        or set(urls) != set(parts)
        or not all(isinstance(url, str) for url in urls.values())
    ):
        raise UsageError(f"{path} must give one database URL for each of {', '.join(parts)}")
    return urls


async def create_roles(connection: Connection, urls: Mapping[str, str]) -> None:
    """Create the role of each URL, or set its password if the cluster has it already.

    Raises :class:`UsageError` for a URL that names another role, because the grants of the schema
    would not apply to it.
    """
    for part, each in urls.items():
        url = urlsplit(each)
        if unquote(url.username or "") != role_of(part):
            raise UsageError(f"the database URL of {part} must use the role {role_of(part)}")
        exists = await connection.fetchval(
            "select true from pg_roles where rolname = $1", role_of(part)
        )
        verb = "alter" if exists else "create"
        password = None if url.password is None else unquote(url.password)
        # Utility statements take no parameters; format() quotes, and the statement is not logged by
        # default.
        await connection.execute(
            await connection.fetchval(
                f"select format('{verb} role %I login password %L', $1::text, $2::text)",
                role_of(part),
                password,
            )
        )
