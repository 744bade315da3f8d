"""What a customer is told when the database fails: nothing was taken, or nobody knows."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest

from seawall.formats.drill_contract import Refusal
from tests.unit.venue.intake.test_judge import POLICY, reservation
from venue.api import flusher
from venue.api.flusher import Flusher
from venue.api.mode import CommitInDoubtError, holding_mode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class _Pool:
    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        yield


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        ([ConnectionRefusedError(), ConnectionRefusedError()], "nothing was taken"),
        ([ConnectionRefusedError(), CommitInDoubtError("lost")], "do not know whether"),
        ([CommitInDoubtError("lost"), ConnectionRefusedError()], "do not know whether"),
        ([CommitInDoubtError("lost"), asyncpg.CheckViolationError("no")], "do not know whether"),
        ([asyncpg.CheckViolationError("no")], "nothing was taken"),
    ],
)
async def test_nobody_is_told_that_nothing_was_taken_unless_it_is_known(
    failures: list[Exception], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once any attempt may have committed, an answer that denies it would invite a second
    withdrawal under another id.
    """
    left = list(failures)

    async def commit(*_: object) -> None:
        raise left.pop(0)

    monkeypatch.setattr(flusher, "commit_batch", commit)
    monkeypatch.setattr(flusher, "_ATTEMPTS", 2)
    flushing = Flusher(POLICY, cast("Any", _Pool()))
    working = asyncio.create_task(flushing.work())
    answer = await flushing.submit(reservation(1, 1))
    working.cancel()
    assert isinstance(answer, Refusal)
    assert told in answer.reason
    assert not left


async def test_a_lost_reply_to_commit_is_a_doubt_and_an_earlier_failure_is_none() -> None:
    """Before the commit is sent PostgreSQL rolls back by itself; after it only a look can tell."""

    class Losing:
        def __init__(self, at: str) -> None:
            self._at = at

        async def execute(self, statement: str) -> None:
            if statement.startswith(self._at):
                raise ConnectionResetError

        def is_closed(self) -> bool:
            return True

    with pytest.raises(CommitInDoubtError):
        async with holding_mode(cast("Any", Losing("commit"))):
            pass
    with pytest.raises(ConnectionResetError):
        async with holding_mode(cast("Any", Losing("begin"))):
            pass
