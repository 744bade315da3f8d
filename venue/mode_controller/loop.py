"""The guard's loop: woken by commits, and at least every 20 ms; sample, decide, flip, beat."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from prometheus_client import Gauge

from seawall.controls.heartbeat import BEAT_EVERY_MS
from seawall.controls.modes import decide, watch
from seawall.controls.timing import GUARD_AGES_EVERY_MS, GUARD_TICK_MS
from seawall.conventions import metrics, sabotage
from seawall.policy import TIERS
from venue.mode_controller.flip import InForce, flip, mode_in_force
from venue.mode_controller.watch import Watcher

if TYPE_CHECKING:
    from seawall.indicators import Sample
    from seawall.policy import Policy
    from venue.database import Connection

TICK_S = GUARD_TICK_MS / 1_000
REST_S = 0.004
"""The shortest: under a flood commits arrive faster than they need looking at."""
AGES_EVERY_S = GUARD_AGES_EVERY_MS / 1_000

_BEAT = """
    insert into guard_lease (holder, beat_at) values ($1, clock_timestamp())
    on conflict (only_row) do update set holder = excluded.holder, beat_at = excluded.beat_at"""
_LOG = logging.getLogger(__name__)

TIER = Gauge(metrics.TIER, "0 normal, 1 stressed, 2 protected.")
MODE_EPOCH = Gauge(metrics.MODE_EPOCH, "Epoch of the committed mode.")
INDICATOR = Gauge(metrics.INDICATOR, "Level of an indicator.", ("indicator",))
GUARD_BEAT = Gauge(metrics.GUARD_BEAT, "When the guard last renewed its lease.")


class Guard:
    """Watches and decides over ``connection``, which no one else uses.

    ``wake`` is set by notifications of commits.
    """

    def __init__(
        self, policy: Policy, connection: Connection, *, wake: asyncio.Event, holder: str
    ) -> None:
        self._policy = policy
        self._connection = connection
        self._wake = wake
        self._holder = holder
        self._watcher = Watcher(policy, connection)

    async def work(self, stop: asyncio.Event) -> None:
        """Guard until ``stop``."""
        loop = asyncio.get_running_loop()
        in_force = await mode_in_force(self._connection)
        await self._watcher.start()
        beat_at = ages_at = float("-inf")
        while not stop.is_set():
            self._wake.clear()
            began = loop.time()
            if began - ages_at >= AGES_EVERY_S:
                await self._watcher.refresh_ages(in_force.state.tier)
                ages_at = began
            sample = await self._watcher.sample()
            after = await self._decided(in_force, sample)
            if after.epoch != in_force.epoch:
                ages_at = float("-inf")  # another tier guarantees other withdrawals
            in_force = after
            if began - beat_at >= BEAT_EVERY_MS / 1_000:
                # After the decision, so that a guard that can no longer decide falls silent too.
                await self._connection.execute(_BEAT, self._holder)
                beat_at = began
                self._expose(in_force, sample)
            await self._rest(began)

    async def _decided(self, in_force: InForce, sample: Sample) -> InForce:
        in_force = replace(in_force, state=watch(self._policy, in_force.state, sample))
        decision = decide(self._policy, in_force.state, sample, sample.at_us)
        if decision is None or sabotage.sabotaged(sabotage.SABOTAGE_GUARD):
            return in_force
        after = await flip(self._connection, in_force, decision, sample)
        _LOG.info(
            "%s -> %s (epoch %d): %s",
            in_force.state.tier,
            decision.tier,
            after.epoch,
            decision.reason,
        )
        return after

    def _expose(self, in_force: InForce, sample: Sample) -> None:
        TIER.set(TIERS.index(in_force.state.tier))
        MODE_EPOCH.set(in_force.epoch)
        GUARD_BEAT.set_to_current_time()
        for name, level in sample.levels.items():
            INDICATOR.labels(name).set(float(level))

    async def _rest(self, began: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, began + REST_S - loop.time()))
        try:
            async with asyncio.timeout_at(began + TICK_S):
                await self._wake.wait()
        except TimeoutError:
            return
