"""An event loop in virtual time: when nothing is ready, its clock jumps to the next timer.

It runs callbacks in the order in which they became ready, as asyncio's own loop does, and timers in
the order of their times; so a run is decided by the delays that the simulated neighbours draw from
the seed, and repeats exactly. There is no selector: nothing real is ever waited for.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any

_current: VirtualLoop | None = None


async def nap(seconds: float) -> None:
    """As ``asyncio.sleep``, in the virtual loop that runs.

    Asking asyncio for it would cost a system call, which was a quarter of the time of a run.
    """
    loop = _current
    assert loop is not None, "no virtual loop runs"
    future: asyncio.Future[None] = asyncio.Future(loop=loop._as_asyncio_sees_it)
    timer = _Nap(future)
    heapq.heappush(loop._timers, (loop._now + seconds, next(loop._order), timer))
    try:
        await future
    finally:
        timer.dropped = True


class DeadlockError(Exception):
    """Nothing is ready, and no timer is set: the simulated world stands still for ever."""


class _Handle:
    """A callback that is ready, or that waits for its time; what asyncio wants of a handle."""

    __slots__ = ("_call", "_given", "_when", "_within", "dropped")

    def __init__(
        self,
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        context: Context | None,
        when: float = 0.0,
    ) -> None:
        self._call = callback
        self._given = args
        self._within = context if context is not None else copy_context()
        self._when = when
        self.dropped = False

    def cancel(self) -> None:
        self.dropped = True

    def cancelled(self) -> bool:
        return self.dropped

    def when(self) -> float:
        return self._when

    def run(self) -> None:
        if not self.dropped:
            self._within.run(self._call, *self._given)


class _Nap:
    """Somebody who naps, and whom nobody else can wake; who waits for it has a context already."""

    __slots__ = ("_future", "dropped")

    def __init__(self, future: asyncio.Future[None]) -> None:
        self._future = future
        self.dropped = False

    def run(self) -> None:
        if not (self.dropped or self._future.done()):
            self._future.set_result(None)


class VirtualLoop:
    """The loop; its clock begins at zero. It has what asyncio asks of one without files.

    ``born`` is called with every task that is made, within the context of its maker.
    """

    def __init__(self, *, born: Callable[[asyncio.Task[Any]], None] = lambda _: None) -> None:
        self._now = 0.0
        self._as_asyncio_sees_it: Any = self
        self._ready: deque[_Handle] = deque()
        self._timers: list[tuple[float, int, _Handle | _Nap]] = []
        self._order = itertools.count()
        self._born = born
        self._failed: BaseException | None = None
        self.turns = 0

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self._now

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        """Call it in this moment, after what is ready already."""
        handle = _Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        """Call it so many virtual seconds from now."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        """Call it at that virtual time."""
        timer = _Handle(callback, args, context, when)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self._as_asyncio_sees_it)

    def create_task(
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        """A task of this loop."""
        task: asyncio.Task[Any] = asyncio.Task(
            coro, loop=self._as_asyncio_sees_it, name=name, context=context
        )
        self._born(task)
        return task

    def get_debug(self) -> bool:
        """Never."""
        return False

    def is_running(self) -> bool:
        """For as long as anybody can ask."""
        return True

    def is_closed(self) -> bool:
        """Never."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An error that nobody would see ends the run: the simulation itself is at fault."""
        self._failed = context.get("exception") or RuntimeError(str(context.get("message")))

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run ``main`` to its end. Raises :class:`DeadlockError`."""
        global _current  # noqa: PLW0603 - as asyncio's own running loop
        asyncio.events._set_running_loop(self._as_asyncio_sees_it)
        _current = self
        try:
            task = self.create_task(main)
            ready, timers = self._ready, self._timers
            while not task.done():
                while ready:
                    self.turns += 1
                    handle = ready.popleft()
                    if not handle.dropped:  # as `run` does, without a call more in each turn
                        handle._within.run(handle._call, *handle._given)
                    if self._failed is not None:
                        raise self._failed
                if task.done():
                    break
                while timers and timers[0][2].dropped:
                    heapq.heappop(timers)
                if not timers:
                    raise DeadlockError(f"nothing happens any more after {self._now:.3f} s")
                when, _, timer = heapq.heappop(timers)
                self._now = max(self._now, when)
                timer.run()
            return task.result()
        finally:
            asyncio.events._set_running_loop(None)
            _current = None
