"""Crash points: places where a process may die, by name, around each step that leaves it.

In production :func:`crash_point` does nothing: nobody installs a hook, and a call costs less than a
tenth of a microsecond beside a commit. Simulation and tests install one and let the process die
there. A commit has two: before it, when nothing has happened yet, and after it, when everything
has. Whatever else leaves the process is surrounded by two of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias, get_args

from venue.database import Connection, Pool

Step: TypeAlias = Literal[
    "take the lease",
    "renew the lease",
    "take the lanes",
    "move the lanes",
    "count a failed signature",
    "claim payouts",
    "claim a top-up",
    "claim a cancellation",
    "claim a generation",
    "record a generation",
    "admit again",
    "record the digest",
    "sign",
    "keep the signature",
    "store the bytes",
    "record a replacement",
    "store a replacement",
    "send",
    "record the broadcast",
    "record the block",
    "send again",
    "post",
    "post a cancellation",
    "resume an asset",
    "leave the lease",
]
"""What a settler or a signer does beyond itself; reading is no step, because it leaves no trace."""
Moment: TypeAlias = Literal["before", "after"]
CRASH_POINTS: tuple[tuple[Step, Moment], ...] = tuple(
    (step, moment) for step in get_args(Step) for moment in get_args(Moment)
)

Hook: TypeAlias = Callable[[Step, Moment], None]
_hook: Hook | None = None


def install(hook: Hook | None) -> None:
    """Call ``hook`` at every crash point from now on; None: at none."""
    global _hook  # noqa: PLW0603 - one process, one hook
    _hook = hook


def crash_point(step: Step, moment: Moment) -> None:
    """The process may die here."""
    if _hook is not None:
        _hook(step, moment)


@asynccontextmanager
async def committing(pool: Pool, step: Step) -> AsyncIterator[Connection]:
    """One transaction of ``pool``, with a crash point on each side of its commit."""
    async with pool.acquire() as connection, connection.transaction():
        yield connection
        crash_point(step, "before")
    crash_point(step, "after")
