"""PostgreSQL's own programs, and how they are told of a server without showing its password."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from seawall.errors import MissingProgramError, ServiceError

_SAID_LINES = 3


def libpq_environment(url: str) -> dict[str, str]:
    """The environment in which libpq finds the server of ``url``: a command line can be read."""
    parts = urlsplit(url)
    hosts = parse_qs(parts.query).get("host", [])
    values = {
        "PGHOST": hosts[0] if hosts else parts.hostname,
        "PGPORT": None if parts.port is None else str(parts.port),
        "PGUSER": None if parts.username is None else unquote(parts.username),
        "PGPASSWORD": None if parts.password is None else unquote(parts.password),
    }
    return {name: value for name, value in values.items() if value is not None}


def program(folder: Path, name: str) -> Path:
    """The program ``name`` of PostgreSQL in ``folder``. Raises :class:`MissingProgramError`."""
    path = folder / name
    if not os.access(path, os.X_OK):
        raise MissingProgramError(
            f"{name} is not in {folder}", remedy="name the folder of PostgreSQL's programs"
        )
    return path


async def run_program(
    argv: Sequence[str | Path], *, what_fails: str, env: Mapping[str, str] | None = None
) -> None:
    """Run a program to its end.

    Raises :class:`ServiceError` that begins with ``what_fails`` and ends with its last words.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
    except OSError as error:
        raise ServiceError(f"{what_fails}: {argv[0]}: {error.strerror}") from error
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        lines = said.decode(errors="replace").strip().splitlines()[-_SAID_LINES:]
        raise ServiceError(f"{what_fails}: {'; '.join(lines) or process.returncode}")
