"""Simulated processes: they are killed, frozen and started again.

What a process reaches outside itself, it reaches through ports that ask it first. A killed process
gets nothing through any more, so whatever its code still does while it unwinds has no effect, as
after ``kill -9``. A frozen one waits at its next port until it is thawed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.simulation.loop import nap
from tests.simulation.trace import Trace

running: ContextVar[Life | None] = ContextVar("running", default=None)
"""The life that the code in progress belongs to; None: the world itself."""


class KilledError(BaseException):
    """The process is dead. No ``except Exception`` of its code can catch this."""


class Session(Protocol):
    """What a life has open elsewhere, and what learns of its end and of its pauses."""

    def client_died(self) -> None:
        """The process is dead."""

    def client_froze(self) -> None:
        """The process stands still."""


@dataclass(kw_only=True, eq=False)
class Life:
    """One incarnation of a process, from its start to its death.

    Tasks and sessions are kept in the order in which they began: a set has none that repeats.
    """

    process: str
    number: int
    dead: bool = False
    tasks: dict[asyncio.Task[Any], None] = field(default_factory=dict)
    sessions: dict[Session, None] = field(default_factory=dict)
    _thawed: asyncio.Event | None = None

    def forget(self, task: asyncio.Task[Any]) -> None:
        """A task has ended. Its error is for whoever waited for it, if it had not died before."""
        self.tasks.pop(task, None)
        if not task.cancelled():
            task.exception()

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self._thawed is not None

    async def pass_through(self) -> None:
        """Wait while frozen. Raises :class:`KilledError`."""
        while self._thawed is not None and not self.dead:
            await self._thawed.wait()
        if self.dead:
            raise KilledError(self.process)

    def freeze(self, seconds: float) -> None:
        """Let nothing through for so long."""
        if self.dead or self._thawed is not None:
            return
        self._thawed = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, self._thaw)
        for session in tuple(self.sessions):
            session.client_froze()

    def _thaw(self) -> None:
        if self._thawed is not None:
            self._thawed.set()
            self._thawed = None

    def kill(self) -> None:
        """End it now: its sessions, and every task but the one that asks."""
        if self.dead:
            return
        self.dead = True
        for session in tuple(self.sessions):
            session.client_died()
        self._thaw()
        asking = asyncio.current_task()
        for task in tuple(self.tasks):
            if task is not asking:
                task.cancel()


def held_up() -> Life | None:
    """The life in progress, if it has to :meth:`~Life.pass_through` first; else None.

    For ports that are used so often that the coroutine of :func:`pass_through` would show.
    """
    life = running.get()
    return life if life is not None and (life.dead or life._thawed is not None) else None


async def pass_through() -> None:
    """As :meth:`Life.pass_through`, of the life in progress."""
    if (life := held_up()) is not None:
        await life.pass_through()


async def travel(seconds: float) -> None:
    """Be under way for so long, and then :func:`pass_through`."""
    await nap(seconds)
    if (life := held_up()) is not None:
        await life.pass_through()


def born(task: asyncio.Task[Any]) -> None:
    """Note a task under the life that makes it; for :class:`~tests.simulation.loop.VirtualLoop`."""
    life = running.get()
    if life is None:
        return
    life.tasks[task] = None
    task.add_done_callback(life.forget)
    if life.dead:
        task.cancel()


@dataclass(kw_only=True)
class Supervisor:
    """Starts a process and starts it again whenever it has ended, until ``stop``.

    Attributes:
        name: Of the process.
        work: One life of it; it runs until the process ends by itself or is killed.
        rest_s: Seconds before the next start.
        ended: Told of each end by itself, with the error; None: without one.
        trace: Where starts and ends are noted.
    """

    name: str
    work: Callable[[Life], Awaitable[None]]
    rest_s: Callable[[], float]
    ended: Callable[[str, BaseException | None], None]
    trace: Trace
    life: Life | None = None
    lives: int = 0
    _stop: bool = False

    async def run(self) -> None:
        """Keep it alive."""
        while not self._stop:
            self.lives += 1
            self.life = life = Life(process=self.name, number=self.lives)
            self.trace.note("start", self.name, self.lives)
            token = running.set(life)
            task: asyncio.Task[None] = asyncio.ensure_future(self._live(life))
            running.reset(token)
            await asyncio.wait([task])
            life.kill()
            if life.tasks:
                await asyncio.wait(tuple(life.tasks))
            self.trace.note("end", self.name, self.lives)
            if not self._stop:
                await nap(self.rest_s())

    async def _live(self, life: Life) -> None:
        error: BaseException | None = None
        try:
            await self.work(life)
        except asyncio.CancelledError:
            if not life.dead:
                raise
        except BaseException as failure:  # noqa: BLE001 - a process may end by any error
            error = failure
        if not life.dead:
            self.ended(self.name, error)

    async def end(self) -> None:
        """Stop supervising, and kill it."""
        self._stop = True
        if self.life is not None:
            life = self.life
            life.kill()
            if life.tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait(tuple(life.tasks))
