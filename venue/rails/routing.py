"""Which provider of a rail gets new instructions: a breaker over what the primary answers.

It opens after two failures in a row, of rounds of instructions or of readings of the statement, and
closes after five readings in a row, a second apart (:mod:`seawall.controls.breaker`). The change is
on record before anything is claimed for the other provider, and a new process starts with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from seawall.controls.breaker import (
    Breaker,
    BreakerSettings,
    after_probe,
    after_signing,
    opened,
    probe_due,
)
from seawall.conventions.sabotage import SABOTAGE_RAIL_FAILOVER, sabotaged
from venue.crash_points import committed
from venue.database import Pool

_SETTINGS = BreakerSettings()
_LOG = "insert into rail_log (rail, side, reason) values ($1, $2, $3)"
_LAST = "select side from rail_log where rail = $1 order by id desc limit 1"
Side = Literal["primary", "standby"]
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Routing:
    """The provider in force of ``rail``; ``now_us`` is a clock that never steps, microseconds."""

    pool: Pool
    rail: str
    now_us: Callable[[], int]
    _breaker: Breaker = field(default_factory=Breaker)
    _recorded: Side = "primary"
    _unread: bool = False

    async def adopt(self) -> None:
        """Start with what is on record."""
        self._recorded = await self.pool.fetchval(_LAST, self.rail) or "primary"
        self._breaker = opened(self.now_us()) if self._recorded == "standby" else Breaker()

    @property
    def side(self) -> Side:
        """The provider that may get new instructions."""
        return self._recorded

    @property
    def settled(self) -> bool:
        """Whether nothing speaks against it: neither a failure nor a change that is due."""
        closed = self._breaker.phase == "closed"
        return self._wanted == self._recorded and not (closed and self._breaker.count)

    @property
    def left(self) -> bool:
        """Whether the primary has been left, so that what it does not know is taken from it."""
        return self._recorded == "standby"

    async def told(self, *, answered: bool) -> None:
        """A round of instructions to the primary was answered, or not.

        An answer takes back no failure of its statement, without which nothing is ever posted.
        """
        if (answered and self._unread) or sabotaged(SABOTAGE_RAIL_FAILOVER):
            return
        self._breaker = after_signing(
            self._breaker, _SETTINGS, answered=answered, now_us=self.now_us()
        )
        await self._keep()

    async def read(self, *, answered: bool, in_doubt: bool) -> None:
        """The primary's statement was read, or not.

        While instructions to it are ``in_doubt``, only their answers take back a failure.
        """
        self._unread = not answered
        if self._breaker.phase == "closed":
            if not (answered and in_doubt):
                await self.told(answered=answered)
            return
        if probe_due(self._breaker, _SETTINGS, self.now_us()):
            self._breaker = after_probe(
                self._breaker, _SETTINGS, answered=answered, now_us=self.now_us()
            )
            await self._keep()

    @property
    def _wanted(self) -> Side:
        return "standby" if self._breaker.on_standby else "primary"

    async def _keep(self) -> None:
        wanted = self._wanted
        if wanted == self._recorded:
            return
        reason = (
            "The primary does not answer."
            if wanted == "standby"
            else f"The primary has answered {_SETTINGS.successes_to_close} times in a row."
        )
        await committed(self.pool, "move a rail", _LOG, self.rail, wanted, reason)
        self._recorded = wanted
        _log.warning("%s is paid over its %s from now on: %s", self.rail, wanted, reason)
