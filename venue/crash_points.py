"""Crash points: places where a process may die, by name, around each step that leaves it.

In production :func:`crash_point` does nothing: nobody installs a hook, and a call costs less than a
tenth of a microsecond beside a commit. Simulation and tests install one and let the process die
there. A commit has two: before it, when nothing has happened yet, and after it, when everything
has. Whatever else leaves the process is surrounded by two of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias, get_args

from venue.database import Connection, Pool

Step: TypeAlias = Literal[
    "take the lease",
    "renew the lease",
    "take the lanes",
    "move the lanes",
    "count a failed signature",
    "claim payouts",
    "claim a top-up",
    "claim a sweep",
    "claim a cancellation",
    "claim a generation",
    "record a generation",
    "admit again",
    "offer the slot",
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
RailStep: TypeAlias = Literal[
    "claim over a rail",
    "instruct a provider",
    "record a refusal",
    "cancel at a provider",
    "read a statement",
    "move a rail",
    "open a rail",
]
"""What who pays over rails does beyond itself; tests/integration/test_rails_killed.py kills it."""
ColdStep: TypeAlias = Literal[
    "ask for a cold transfer",
    "record a cold transfer as sent",
    "ask the custodian",
    "end a cold transfer",
    "post a cold transfer",
]
"""What the treasury does beyond itself for one; tests/integration/test_cold.py lets it die there,
and tests/integration/test_cold_killed.py kills the process."""
RebalanceStep: TypeAlias = Literal[
    "ask for a rebalance",
    "ask the carrier",
    "release a rebalance",
    "end a rebalance",
    "post a rebalance",
]
"""What the treasury does beyond itself for one; tests/integration/test_rebalancing.py lets it die
there, and tests/integration/test_rebalancing_killed.py kills the process."""
Moment: TypeAlias = Literal["before", "after"]
CRASH_POINTS: tuple[tuple[Step, Moment], ...] = tuple(
    (step, moment) for step in get_args(Step) for moment in get_args(Moment)
)
RAIL_CRASH_POINTS: tuple[tuple[RailStep, Moment], ...] = tuple(
    (step, moment) for step in get_args(RailStep) for moment in get_args(Moment)
)

AnyStep: TypeAlias = Step | RailStep | ColdStep | RebalanceStep
Hook: TypeAlias = Callable[[Any, Moment], None]
"""Of any step; the simulation has no custodian or carrier, and meets no step of theirs."""
_hook: Hook | None = None


def install(hook: Hook | None) -> None:
    """Call ``hook`` at every crash point from now on; None: at none."""
    global _hook  # noqa: PLW0603 - one process, one hook
    _hook = hook


def crash_point(step: AnyStep, moment: Moment) -> None:
    """The process may die here."""
    if _hook is not None:
        _hook(step, moment)


async def committed(pool: Pool, step: AnyStep, statement: str, *arguments: object) -> Any:
    """The first row of a statement that is a transaction, with a crash point on each side."""
    crash_point(step, "before")
    row = await pool.fetchrow(statement, *arguments)
    crash_point(step, "after")
    return row


@asynccontextmanager
async def committing(pool: Pool, step: AnyStep) -> AsyncIterator[Connection]:
    """One transaction of ``pool``, with a crash point on each side of its commit."""
    async with pool.acquire() as connection, connection.transaction():
        yield connection
        crash_point(step, "before")
    crash_point(step, "after")
