"""The flusher's answer when the database fails: nothing was taken, or the outcome is unknown."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest

from seawall.formats.drill_contract import Refusal
from seawall.policy_file import load_policy
from tests.testing.reservations import reservation
from venue.api import flusher
from venue.api.flusher import Flusher
from venue.api.mode import CommitInDoubtError, holding_mode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POLICY = load_policy(Path(__file__).parents[3] / "policies" / "sandbox.yaml")


class _Pool:
    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        yield


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([ConnectionRefusedError(), ConnectionRefusedError()], "nothing was taken"),
        ([ConnectionRefusedError(), CommitInDoubtError("lost")], "do not know whether"),
        ([CommitInDoubtError("lost"), ConnectionRefusedError()], "do not know whether"),
        ([CommitInDoubtError("lost"), asyncpg.CheckViolationError("no")], "do not know whether"),
        ([asyncpg.CheckViolationError("no")], "nothing was taken"),
    ],
)
async def test_an_answer_denies_the_withdrawal_only_if_no_attempt_can_have_committed(
    failures: list[Exception], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If an attempt may have committed, a denial would make the customer pay a second time.

    The customer would send another withdrawal with another id.
    """
    left = list(failures)

    async def commit(*_: object, clock: object) -> None:
        raise left.pop(0)

    monkeypatch.setattr(flusher, "commit_batch", commit)
    monkeypatch.setattr(flusher, "_ATTEMPTS", 2)
    flushing = Flusher(POLICY, cast("Any", _Pool()))
    working = asyncio.create_task(flushing.work())
    answer = await flushing.submit(reservation(1, 1))
    working.cancel()
    assert isinstance(answer, Refusal)
    assert expected in answer.reason
    assert not left


async def test_a_row_that_the_database_refuses_costs_its_batch_a_few_transactions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other 499 are answered; one by one they would take 500 transactions, a second or more."""
    sizes: list[int] = []

    async def commit(
        _connection: object, _policy: object, batch: list[Any], *, clock: object
    ) -> list[Any]:
        sizes.append(len(batch))
        if any(row.amount == 666 for row in batch):
            raise asyncpg.CheckViolationError("no")
        return [row.amount for row in batch]

    monkeypatch.setattr(flusher, "commit_batch", commit)
    flushing = Flusher(POLICY, cast("Any", _Pool()))
    asking = [
        asyncio.create_task(flushing.submit(reservation(number, number)))
        for number in range(500, 1_000)
    ]
    await asyncio.sleep(0)
    working = asyncio.create_task(flushing.work())
    answers = await asyncio.gather(*asking)
    working.cancel()
    told = [answer.code if isinstance(answer, Refusal) else answer for answer in answers]
    assert told == [*range(500, 666), "unavailable", *range(667, 1_000)]
    assert sizes[0] == 500
    assert len(sizes) < 20


async def test_a_lost_reply_to_commit_is_in_doubt_and_an_earlier_failure_is_not() -> None:
    """Before the commit is sent PostgreSQL rolls back by itself; afterwards it is unknown."""

    class Losing:
        def __init__(self, at: str) -> None:
            self._at = at

        async def execute(self, statement: str, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
            del timeout
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
