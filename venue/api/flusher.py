"""The flusher: handlers enqueue requests, one task commits them in batches and then answers them.

It does not wait for a batch to fill: a request that arrives while it is idle is committed at once,
and while one batch commits the next one gathers. It only pauses between batches, because a
transaction of one row costs as much as one of twenty.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from seawall.controls.steady import SteadyClock
from seawall.formats.drill_contract import Refusal, WithdrawalReceipt
from venue.api import metrics
from venue.api.mode import CommitInDoubtError
from venue.api.reservations import Answer, commit_batch
from venue.database import FAILURES

if TYPE_CHECKING:
    from seawall.policy import Policy
    from venue.api.intake import Reservation
    from venue.database import Pool

BATCH_MAX = 500
"""Rows of one transaction; bounds how long a flip of the mode has to wait for it."""
REST_S = 0.025
"""Shortest time between the starts of two batches.

It bounds the number of transactions, and of wake-ups of mode controller and settlers.
"""
WAITING_MAX = 20_000
"""Requests that may wait; beyond it intake refuses, so that memory and latency stay bounded."""
_ATTEMPTS = 3

_log = logging.getLogger(__name__)
_UNAVAILABLE = Refusal(
    code="unavailable",
    reason="The request could not be recorded; nothing was taken. Send it again with the same id.",
)

_IN_DOUBT = Refusal(
    code="unavailable",
    reason=(
        "We do not know whether the request was recorded; "
        "ask for it, or send it again with the same id."
    ),
)


@dataclass(slots=True)
class _Waiting:
    reservation: Reservation
    answer: asyncio.Future[Answer]
    since: float


class Flusher:
    """Owns the only connection that reserves money in this process; one per api worker."""

    def __init__(self, policy: Policy, pool: Pool) -> None:
        self._policy = policy
        self._pool = pool
        self._clock = SteadyClock()
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()

    async def submit(self, reservation: Reservation) -> Answer:
        """The durable outcome of ``reservation``."""
        if len(self._waiting) >= WAITING_MAX:
            return _UNAVAILABLE
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(
            _Waiting(reservation=reservation, answer=future, since=time.monotonic())
        )
        self._wake.set()
        return await future

    async def work(self) -> None:
        """Commit batches until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                began = time.monotonic()
                batch = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
                await self._commit(batch)
                await asyncio.sleep(max(0.0, began + REST_S - time.monotonic()))

    async def _commit(
        self, batch: Sequence[_Waiting], attempt: int = 1, *, in_doubt: bool = False
    ) -> None:
        """Commit ``batch`` and answer its requests.

        If PostgreSQL refuses a row, each half is committed alone, and so on, so that only the bad
        one fails: that takes about twenty transactions of 500 rows, and one by one would take 500.
        A lost connection leaves the outcome unknown: the same ids are sent again, and what had
        committed is a replay. If that fails too, ``in_doubt`` (an attempt got as far as its commit)
        decides which answer is true.
        """
        try:
            async with self._pool.acquire() as connection:
                answers = await commit_batch(
                    connection,
                    self._policy,
                    [waiting.reservation for waiting in batch],
                    clock=self._clock,
                )
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.RaiseError):
            _log.exception("a batch of %d was refused by the database", len(batch))
            if len(batch) == 1:
                self._tell(batch[0], _IN_DOUBT if in_doubt else _UNAVAILABLE)
                return
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                await self._commit(half, attempt, in_doubt=in_doubt)
        except (CommitInDoubtError, *FAILURES) as error:
            in_doubt = in_doubt or isinstance(error, CommitInDoubtError)
            _log.warning(
                "a batch of %d could not be committed (attempt %d): %r", len(batch), attempt, error
            )
            if attempt == _ATTEMPTS:
                for waiting in batch:
                    self._tell(waiting, _IN_DOUBT if in_doubt else _UNAVAILABLE)
                return
            await asyncio.sleep(0.05 * attempt)
            await self._commit(batch, attempt + 1, in_doubt=in_doubt)
        else:
            again = [
                waiting for waiting, answer in zip(batch, answers, strict=True) if answer is None
            ]
            for waiting, answer in zip(batch, answers, strict=True):
                if answer is not None:
                    self._tell(waiting, answer)
            self._waiting.extendleft(reversed(again))

    def _tell(self, waiting: _Waiting, answer: Answer) -> None:
        metrics.INTAKE_SECONDS.observe(time.monotonic() - waiting.since)
        if isinstance(answer, WithdrawalReceipt) and answer.outcome == "accepted":
            reservation = waiting.reservation
            metrics.RESERVED_VALUE.labels(reservation.network, reservation.asset, answer.size).inc(
                reservation.value_micro
            )
        # The client may have disconnected; its reservation is valid all the same.
        if not waiting.answer.done():
            waiting.answer.set_result(answer)
