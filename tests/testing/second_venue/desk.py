"""Where payouts are taken: one thread that writes, and commits for all who wait at once.

A commit costs a sync of the disk. Committing every request alone would let a slow disk set the
number of requests a second; so whatever has arrived meanwhile shares the next commit.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.testing.second_venue.config import Config
from tests.testing.second_venue.store import change_holding, connect, writing

SHARED_MAX = 256


class Refusal(Exception):  # noqa: N818  it is an answer to a customer, and no failure
    """Why a request is not done, in the words of the interface."""

    def __init__(self, status: int, kind: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A payout that a customer asks for; ``amount`` is in base units."""

    customer: str
    ref: str
    coin: str
    network: str
    amount: int
    address: str


_Write = Callable[[sqlite3.Connection], Any]
_Waiting = tuple[_Write, asyncio.AbstractEventLoop, asyncio.Future[Any]]


class Desk:
    """The writer of the api; :meth:`close` ends its thread."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._connection = connect(config)
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        if config.vice == "loses":
            # What an api that was killed had still to lose.
            self._connection.execute(
                "delete from payouts where status = 'queued' and number % ? = 0",
                (config.vice_every,),
            )
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self._thread.start()

    async def take(self, wish: Wish) -> tuple[int, bool]:
        """The payout's number and whether it is new, once that is on disk.

        Raises :class:`Refusal`.
        """
        number, new = await self._written(lambda connection: self._take(connection, wish))
        return number, new

    async def lose(self, number: int) -> None:
        """Forget a payout that was acknowledged: a vice."""
        await self._written(
            lambda connection: connection.execute("delete from payouts where number = ?", (number,))
        )

    def close(self) -> None:
        """Finish what was asked for, then end."""
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    async def _written(self, write: _Write) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._queue.put((write, loop, future))
        return await future

    def _take(self, connection: sqlite3.Connection, wish: Wish) -> tuple[int, bool]:
        known = connection.execute(
            "select number, coin, amount, address from payouts where customer = ? and ref = ?",
            (wish.customer, wish.ref),
        ).fetchone()
        if known is not None and self._config.vice != "accepts-twice":
            if known[1:] != (wish.coin, str(wish.amount), wish.address):
                raise Refusal(409, "duplicate_ref", "this reference is another payout's")
            return known[0], False
        if change_holding(connection, wish.customer, wish.coin, -wish.amount) is None:
            raise Refusal(422, "too_little", "the wallet does not hold so much")
        made = connection.execute(
            "insert into payouts (customer, ref, coin, network, amount, address)"
            " values (?, ?, ?, ?, ?, ?)",
            (wish.customer, wish.ref, wish.coin, wish.network, str(wish.amount), wish.address),
        )
        assert made.lastrowid is not None
        return made.lastrowid, True

    def _run(self) -> None:
        open_for_more = True
        while open_for_more:
            waiting = [self._queue.get()]
            while len(waiting) < SHARED_MAX and not self._queue.empty():
                waiting.append(self._queue.get())
            open_for_more = None not in waiting
            self._commit([each for each in waiting if each is not None])

    def _commit(self, group: list[_Waiting]) -> None:
        answers: list[Any] = []
        try:
            with writing(self._connection):
                for write, _, _ in group:
                    try:
                        answers.append(write(self._connection))
                    except Refusal as refusal:  # raised before anything was written
                        answers.append(refusal)
        except sqlite3.Error as error:
            busy = Refusal(503, "unavailable", f"the books cannot be written now: {error}")
            answers = [busy] * len(group)
        for (_, loop, future), answer in zip(group, answers, strict=True):
            loop.call_soon_threadsafe(_answer, future, answer)


def _answer(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():  # whoever asked has gone
        return
    if isinstance(answer, Refusal):
        future.set_exception(answer)
    else:
        future.set_result(answer)
