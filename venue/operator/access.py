"""Operators: who may act on the venue, by a token, and a record of everything that was denied."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import asyncpg

from seawall.errors import UsageError
from venue.database import Connection, Pool

Right: TypeAlias = Literal["see", "decide", "halt", "tier", "override", "request", "approve"]
RIGHTS: tuple[Right, ...] = get_args(Right)
"""See what there is; decide about held withdrawals; stop payouts; raise the tier; or set it to one
that the triggers do not call for; ask for what approvers must sign; sign as an approver."""
UNKNOWN_BEARERS_MAX = 1_000
"""So many denials of callers that nobody knows are kept; a stranger must not fill the disk."""
DENIALS_A_DAY_MAX = 1_000
"""So many denials of one operator are kept within a day; nor must who has stolen a token."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")

_ENROLL = "insert into operators (name, token_sha256, may, key) values ($1, $2, $3, $4)"
_REVOKE = """
    update operators set revoked_at = clock_timestamp()
    where name = $1 and revoked_at is null returning true"""
_FIND = """
    select name, may, key from operators where token_sha256 = $1 and revoked_at is null"""
_DENY = """
    insert into operator_denials (operator, action, reason, request)
    select $1::text, $2, $3, $4
    where case when $1::text is null
               then (select count(*) from operator_denials where operator is null) < $5
               else (select count(*) from operator_denials
                     where operator = $1 and at > clock_timestamp() - interval '1 day') < $6
          end"""
_DENIALS = """
    select id, operator, action, reason, request, at from operator_denials
    order by id desc limit $1"""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A person who has shown a token, and what they may do.

    ``key`` is the lower-case address of the key with which they sign approvals; None without one.
    ``token`` is what they have shown.
    """

    name: str
    may: frozenset[Right]
    token: str = field(repr=False)
    key: str | None = None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def enroll(
    connection: Connection, name: str, *, may: frozenset[Right], key: str | None = None
) -> str:
    """Make ``name`` an operator; the token, which is kept nowhere.

    ``connection`` is the owner's: no operator makes operators. ``key`` is the address of an
    approver's key, which is one person's.

    Raises :class:`UsageError`.
    """
    if not name.strip() or not may or not may <= set(RIGHTS):
        raise UsageError(
            "an operator needs a name and at least one right", remedy=f"rights: {', '.join(RIGHTS)}"
        )
    if not _ADDRESS.fullmatch(key or "0x" + 40 * "0") or (key is None and "approve" in may):
        raise UsageError(
            f"{name} cannot approve with {key or 'no key'}",
            remedy="name the address of the approver's key (`approvers` of the stack's outputs)",
        )
    token = secrets.token_urlsafe(32)
    own = None if key is None else key.lower()
    try:
        await connection.execute(_ENROLL, name.strip(), _digest(token), sorted(may), own)
    except asyncpg.UniqueViolationError as error:
        raise UsageError(
            f"{name}, or the holder of {own}, was enrolled before",
            remedy="a name or key is never used again; choose another",
        ) from error
    return token


async def revoke(connection: Connection, name: str) -> None:
    """Take the token of ``name`` back, for good. Raises :class:`UsageError` for nobody."""
    if not await connection.fetchval(_REVOKE, name):
        raise UsageError(f"there is no operator {name}")


async def identify(pool: Pool, authorization: str) -> Operator | None:
    """Whose token the header ``Authorization`` carries; None for nobody's."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    shown = token.strip()
    row = await pool.fetchrow(_FIND, _digest(shown))
    if row is None:
        return None
    return Operator(name=row["name"], may=frozenset(row["may"]), token=shown, key=row["key"])


async def deny(
    pool: Pool, operator: Operator | None, *, action: str, reason: str, request: bytes
) -> None:
    """Record that ``operator``, or somebody unknown, was not allowed to do ``action``.

    The ``request`` is kept as text: a database's JSON refuses some of what a body may hold, and
    with it the record.
    """
    await pool.execute(
        _DENY,
        None if operator is None else operator.name,
        action,
        reason,
        request.decode(errors="backslashreplace").replace("\0", "\\0"),
        UNKNOWN_BEARERS_MAX,
        DENIALS_A_DAY_MAX,
    )


async def denials(pool: Pool, *, limit: int) -> list[dict[str, Any]]:
    """The last ``limit`` denials, newest first."""
    return [dict(row) for row in await pool.fetch(_DENIALS, limit)]
