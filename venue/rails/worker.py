"""The loops of who pays over one rail: claim, instruct, read statements.

Two such processes may run side by side: claims lock the provider's funds, statements are applied
once, and an instruction that is sent twice is one payout.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from seawall.controls.timing import RAIL_CLAIM_POLL_MS, RAIL_RETRY_MS, RAIL_STATEMENT_EVERY_MS
from seawall.errors import ServiceError
from seawall.formats.payout_rail import Instruction, Payout, Refusal, RefusalCode
from seawall.policy import Policy
from venue.crash_points import committed, crash_point
from venue.database import Pool
from venue.process import now_s, pause
from venue.rails import metrics
from venue.rails.claims import RailClaims, Recorded
from venue.rails.opening import Opening
from venue.rails.provider import NEVER, Provider, ShortenedError
from venue.rails.routing import Routing
from venue.rails.statements import Statements

IN_DOUBT_MAX = 16
"""Instructions of one provider that it may have or not: what waits for it if it goes dark."""
_EXPOSE_EVERY_S = 1.0
_WAITS_S = 2.0
_SAID_S = 1.0
"""After so long, what was answered and is not in the statement yet is asked for again."""
_REFUSE = """
    update rail_instructions set refusal = $2
    where client_id = $1 and state = 'recorded' and refusal is null returning id"""
# It has paid something else under this id, or will: for people.
_HOLD = """
    update rail_instructions set state = 'disputed'
    where client_id = $1 and state = 'recorded' returning id"""
_Seen = TypeVar("_Seen")
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class RailWorker:
    """Pays over one rail; ``providers`` are by side. ``wake`` is set when a withdrawal came in."""

    pool: Pool
    policy: Policy
    rail: str
    providers: Mapping[str, Provider]
    routing: Routing
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _instructed: dict[str, asyncio.Event] = field(default_factory=dict)
    _said: dict[str, asyncio.Event] = field(default_factory=dict)
    _in_doubt: dict[str, int] = field(default_factory=dict)
    _rests_until_s: dict[str, float] = field(default_factory=dict)
    _lacks: dict[str, dict[str, Instruction]] = field(default_factory=dict)
    _whole: dict[str, bool] = field(default_factory=dict)
    _silences: dict[str, int] = field(default_factory=dict)
    _returns_with: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._claims = RailClaims(pool=self.pool, policy=self.policy, rail=self.rail)
        self._statements = Statements(pool=self.pool)
        self._opening = Opening(pool=self.pool, rail=self.rail)
        for side in self.providers:
            self._instructed[side], self._said[side] = asyncio.Event(), asyncio.Event()
            self._in_doubt[side] = 0
            self._lacks[side] = {}
            self._whole[side], self._silences[side] = False, 0

    async def work(self, stop: asyncio.Event) -> None:
        """Pay until ``stop``; the first failure of the database ends it."""
        await self.routing.adopt()
        loops: list[Coroutine[Any, Any, None]] = [self._claim_loop(stop), self._expose_loop(stop)]
        for provider in self.providers.values():
            loops += [self._instruct_loop(provider, stop), self._read_loop(provider, stop)]
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _claim_loop(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            side = self.routing.side
            room = IN_DOUBT_MAX - self._in_doubt[side]
            claimed = 0
            ready = self.routing.settled and self._whole[side] and room > 0
            if ready and await self._claims.waiting():
                claimed = await self._claims.claim(side, limit=room)
            if claimed:
                self._in_doubt[side] += claimed
                self._instructed[side].set()
            await _rest(self.wake, stop, RAIL_CLAIM_POLL_MS)

    async def _instruct_loop(self, provider: Provider, stop: asyncio.Event) -> None:
        """Ask for each instruction whose fate is not known, round by round.

        Not of a provider whose statement has not been seen to go on since it was silent: it may
        have been restored meanwhile, and have forgotten that it has paid what it is asked for.
        """
        side = provider.side
        while not stop.is_set():
            recorded = await self._claims.recorded(side, limit=IN_DOUBT_MAX)
            self._in_doubt[side] = len(recorded)
            due = self._due(recorded)
            if due and not await self._is_whole(provider):
                if side == "primary":
                    await self.routing.told(answered=False)
            elif due:
                told = await asyncio.gather(*(self._instruct(provider, each) for each in due))
                silent = [each for each in told if isinstance(each, ServiceError)]
                if silent:
                    _log.warning("%d instructions are in doubt: %s", len(silent), silent[0])
                poor = [each for each in told if _says(each, "insufficient_funds")]
                if side == "primary":  # to have no money is as good as to be gone
                    await self.routing.told(answered=len(silent) + len(poor) < len(due))
                if len(silent) < len(due):
                    self._said[side].set()
            metrics.NO_FUNDS.labels(self.rail, side).set(len(self._lacking(side, recorded)))
            await _rest(self._instructed[side], stop, RAIL_RETRY_MS)

    def _lacking(self, side: str, recorded: Sequence[Recorded]) -> Mapping[str, Instruction]:
        """What the provider of ``side`` has no money for, of what is ``recorded`` still."""
        known = {each.instruction.client_id for each in recorded}
        self._lacks[side] = {
            client_id: asked for client_id, asked in self._lacks[side].items() if client_id in known
        }
        return self._lacks[side]

    def _due(self, recorded: Sequence[Recorded]) -> list[Recorded]:
        """Those of ``recorded`` that were not answered just now."""
        known = {each.instruction.client_id for each in recorded}
        self._rests_until_s = {
            client_id: until_s
            for client_id, until_s in self._rests_until_s.items()
            if client_id in known or until_s > now_s()
        }
        return [
            each
            for each in recorded
            if self._rests_until_s.get(each.instruction.client_id, now_s()) <= now_s()
        ]

    async def _instruct(
        self, provider: Provider, each: Recorded
    ) -> Payout | Refusal | ServiceError:
        """Ask ``provider`` to pay it, or never to; an error if it did not answer.

        Only its statement moves the instruction on, so an answer only says that there is something
        to read, or that it will never be taken.
        """
        asked = each.instruction
        cancels = each.refusal is not None or (provider.side == "primary" and self.routing.left)
        try:
            if cancels:
                crash_point("cancel at a provider", "before")
                answer = await provider.cancel(asked.client_id)
                crash_point("cancel at a provider", "after")
                return answer
            crash_point("instruct a provider", "before")
            answer = await provider.submit(asked)
            crash_point("instruct a provider", "after")
        except ServiceError as error:
            self._doubt(provider, error)
            return error
        rest_s = _SAID_S
        self._lacks[provider.side].pop(asked.client_id, None)
        if isinstance(answer, Refusal):
            if answer.code == "id_reused":
                _log.error("%s has another payout: %s", provider.side, answer.payout)
                await committed(self.pool, "record a refusal", _HOLD, asked.client_id)
            elif answer.code in NEVER:
                rest_s = 0.0  # it is cancelled in the next round
                await committed(
                    self.pool, "record a refusal", _REFUSE, asked.client_id, answer.reason
                )
            elif answer.code == "insufficient_funds":
                rest_s = _WAITS_S
                self._lacks[provider.side][asked.client_id] = asked
                if provider.side == "primary":
                    self._returns_with[asked.asset] = max(
                        int(asked.amount), self._returns_with.get(asked.asset, 0)
                    )
                _log.error("the %s provider refuses %s: %s", provider.side, asked, answer.reason)
        elif provider.side == "primary":
            self._returns_with.pop(asked.asset, None)
        self._rests_until_s[asked.client_id] = now_s() + rest_s
        return answer

    async def _read_loop(self, provider: Provider, stop: asyncio.Event) -> None:
        side = provider.side
        while not stop.is_set():
            answered = True
            applied = 0
            opened = False
            try:
                if not self._whole[side]:
                    await self._goes_on(provider, self._statements.check(provider))
                if await self._opening.ask(provider):
                    applied = await self._goes_on(provider, self._statements.read(provider))
                    opened = await self._opening.end(provider)
                if side == "primary" and self.routing.left:
                    answered = await self._has_funds(provider)
            except ServiceError as error:
                answered = False
                _log.warning("%s", error)
                self._doubt(provider, error)
            if side == "primary":
                await self.routing.read(answered=answered, in_doubt=self._in_doubt[side] > 0)
            if applied or opened:
                self.wake.set()  # what was released may be claimed again
            await _rest(self._said[side], stop, RAIL_STATEMENT_EVERY_MS)

    async def _is_whole(self, provider: Provider) -> bool:
        """Whether ``provider`` may be asked for something; its statement is looked at if need be.

        One that only fails to take instructions is asked again as soon as ever.
        """
        if not self._whole[provider.side]:
            try:
                await self._goes_on(provider, self._statements.check(provider))
            except ServiceError as error:
                self._doubt(provider, error)
        return self._whole[provider.side]

    async def _goes_on(self, provider: Provider, look: Awaitable[_Seen]) -> _Seen:
        """What ``look`` saw in the statement of ``provider``, which goes on from what was read.

        If anything was silent since it began, it may have seen what is lost by now. Raises
        :class:`ServiceError`.
        """
        side = provider.side
        silences = self._silences[side]
        seen = await look
        if silences == self._silences[side]:
            self._whole[side] = True
        metrics.SHORTENED.labels(self.rail, side).set(0)
        return seen

    def _doubt(self, provider: Provider, error: ServiceError) -> None:
        """Ask nothing of ``provider`` before its statement is seen to go on."""
        self._silences[provider.side] += 1
        self._whole[provider.side] = False
        if isinstance(error, ShortenedError):
            metrics.SHORTENED.labels(self.rail, provider.side).set(1)

    async def _has_funds(self, primary: Provider) -> bool:
        """Whether the primary has what it lacked when it was left; else it does not come back."""
        if self._returns_with:
            has = (await primary.balances()).available
            if any(int(has.get(asset, 0)) < amount for asset, amount in self._returns_with.items()):
                return False
            self._returns_with.clear()
        return True

    async def _expose_loop(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await metrics.expose(self.pool, self.policy, self.rail, side=self.routing.side)
            await pause(stop, _EXPOSE_EVERY_S)


def _says(answer: Payout | Refusal | ServiceError, code: RefusalCode) -> bool:
    return isinstance(answer, Refusal) and answer.code == code


async def _rest(wake: asyncio.Event, stop: asyncio.Event, longest_ms: int) -> None:
    """Wait until ``wake``, or for ``longest_ms``; a stop is seen within that."""
    if stop.is_set():
        return
    try:
        async with asyncio.timeout(longest_ms / 1_000):
            await wake.wait()
    except TimeoutError:
        return
    wake.clear()
