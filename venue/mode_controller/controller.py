"""The mode controller's loop: sample, decide, write the new mode, renew the lease.

The loop is woken by commits of intake and settlers, and runs at least every ``TICK_S``. Only the
holder of the lease runs it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
from prometheus_client import REGISTRY, Gauge

from seawall.controls.heartbeat import BEAT_EVERY_MS
from seawall.controls.modes import Decision, ModeState, TierOrder, decide, under_orders, watch
from seawall.controls.timing import MODE_CONTROLLER_AGES_EVERY_MS, MODE_CONTROLLER_TICK_MS
from seawall.conventions import metrics, sabotage
from seawall.conventions.components import MODE_CONTROLLER_PROCESS
from seawall.conventions.database import MODE_LOCK
from seawall.errors import InternalError
from seawall.policy import TIERS
from venue.clock import monotonic_us, read_clock
from venue.ledger.journal import append
from venue.mode_controller.lease import Lease, LeaseLostError
from venue.mode_controller.sampler import Sampler

if TYPE_CHECKING:
    from seawall.controls.steady import SteadyClock
    from seawall.indicators import Sample
    from seawall.policy import Policy
    from venue.database import Connection

TICK_S = MODE_CONTROLLER_TICK_MS / 1_000
REST_S = 0.004
"""Shortest time between two samples; in a flood there are more commits than samples are needed."""
AGES_EVERY_S = MODE_CONTROLLER_AGES_EVERY_MS / 1_000

_READ = "select epoch, tier, (extract(epoch from since) * 1000000)::bigint as since_us from mode"
_ORDERS = """
    select id, tier, kind = 'exactly' as exactly, operator, justification from orders_in_force
    where kind <> 'halt' order by id"""
_LOCK = "select pg_advisory_xact_lock($1)"
_WAIT_MS_MAX = "select set_config('lock_timeout', $1::text, true)"
_END_IDLE_HOLDERS = "select client, pid from end_idle_holders()"
_CHANGE = """
    update mode set epoch = epoch + 1, tier = $1, reason = $2, since = clock_timestamp()
    where epoch = $3
    returning epoch"""
_RECORD = """
    insert into mode_log
        (epoch, previous, tier, reason, trigger_name, indicators, sample_flow_id, sampled_at)
    values ($1, $2, $3, $4, $5, $6::jsonb, $7, $8)"""
_LOCK_WAITS_MS = (300, 200, 200)
"""How long a flip waits for claims in flight, attempt by attempt.

They take some milliseconds. The first wait is as long as the server wants a client to have done
nothing before it counts as frozen (`end_idle_holders` in the schema). Nobody else gets the lock
while a flip waits, so it never waits long: all attempts end before a standby takes the lease.
"""
_log = logging.getLogger(__name__)

TIER = Gauge(metrics.TIER, "0 normal, 1 stressed, 2 protected.", registry=None)
MODE_EPOCH = Gauge(metrics.MODE_EPOCH, "Epoch of the committed mode.", registry=None)
INDICATOR = Gauge(metrics.INDICATOR, "Level of an indicator.", ("indicator",))
HEARTBEAT = Gauge(
    metrics.MODE_CONTROLLER_HEARTBEAT,
    "When a mode controller last renewed the lease.",
    registry=None,
)
_OF_THE_DATABASE = (TIER, MODE_EPOCH, HEARTBEAT)
_BEAT_AT = """
    select extract(epoch from renewed_at)::float8 from mode_controller_lease"""


@dataclass(frozen=True, kw_only=True)
class InForce:
    """The committed mode as the mode controller knows it; no other process writes it."""

    epoch: int
    state: ModeState


async def mode_in_force(connection: Connection, clock: SteadyClock) -> InForce:
    """The committed mode, since when by ``clock``, which is read.

    Raises :class:`InternalError` if genesis has not run.
    """
    await read_clock(connection, clock)
    row = await connection.fetchrow(_READ)
    if row is None:
        raise InternalError("the venue has no mode row: genesis has not run")
    return InForce(
        epoch=row["epoch"], state=ModeState(tier=row["tier"], since_us=clock.of(row["since_us"]))
    )


async def expose_committed(connection: Connection, clock: SteadyClock) -> None:
    """Show the committed mode and the holder's heartbeat, as a standby does.

    Its indicators are of a time when it decided, so they are shown no longer. It reads ``clock``
    each time: a step of the database's clock often makes a standby take over, which must have seen
    it.
    """
    in_force = await mode_in_force(connection, clock)
    beat_at = await connection.fetchval(_BEAT_AT)
    _show(in_force)
    HEARTBEAT.set(beat_at or 0)
    INDICATOR.clear()


def hide() -> None:
    """Serve no tier, because it is not known any more: then the alert on missing metrics fires."""
    for gauge in _OF_THE_DATABASE:
        with suppress(KeyError):  # it is hidden already
            REGISTRY.unregister(gauge)
    INDICATOR.clear()


def _show(in_force: InForce) -> None:
    for gauge in _OF_THE_DATABASE:
        with suppress(ValueError):  # it is shown already
            REGISTRY.register(gauge)
    TIER.set(TIERS.index(in_force.state.tier))
    MODE_EPOCH.set(in_force.epoch)


async def flip(
    connection: Connection, in_force: InForce, decision: Decision, sample: Sample, *, lease: Lease
) -> InForce:
    """Commit ``decision``: mode, its log entry and the journal entry in one transaction.

    The exclusive lock waits for claims in flight; no claim commits under the old epoch afterwards.
    A client that keeps it waiting and does nothing is frozen, and its session is ended.

    Raises :class:`LeaseLostError` if another mode controller decides by now, and LockNotAvailable
    if claims are in flight for longer than all attempts.
    """
    for wait_ms in _LOCK_WAITS_MS[:-1]:
        try:
            return await _flip(connection, in_force, decision, sample, lease=lease, wait_ms=wait_ms)
        except asyncpg.LockNotAvailableError:
            ended = await connection.fetch(_END_IDLE_HOLDERS)
            _log.warning(
                "a flip waited %d ms for claims in flight; ended the sessions of %s",
                wait_ms,
                ", ".join(f"{row['client']} ({row['pid']})" for row in ended) or "nobody",
            )
    return await _flip(
        connection, in_force, decision, sample, lease=lease, wait_ms=_LOCK_WAITS_MS[-1]
    )


async def _flip(
    connection: Connection,
    in_force: InForce,
    decision: Decision,
    sample: Sample,
    *,
    lease: Lease,
    wait_ms: int,
) -> InForce:
    """One attempt.

    The lock is a statement of its own, so that the later statements see what committed during the
    wait (design section 5, ring 0).
    """
    levels = {name: str(level) for name, level in sample.levels.items()}
    sampled_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=sample.shown_us)
    async with connection.transaction():
        await connection.execute(_WAIT_MS_MAX, str(wait_ms))
        await connection.execute(_LOCK, MODE_LOCK)
        await lease.hold(connection)
        body: dict[str, str | int | None] = {str(name): level for name, level in levels.items()}
        body |= {"epoch": in_force.epoch + 1, "previous": in_force.state.tier}
        body |= {"tier": decision.tier, "trigger": decision.trigger}
        await append(
            connection,
            writer=MODE_CONTROLLER_PROCESS,
            kind="flip",
            justification=decision.reason,
            body=body,
        )
        row = await connection.fetchrow(_CHANGE, decision.tier, decision.shown, in_force.epoch)
        if row is None:
            raise LeaseLostError(f"epoch {in_force.epoch} is no longer in force")
        await connection.execute(
            _RECORD,
            row["epoch"],
            in_force.state.tier,
            decision.tier,
            decision.reason,
            decision.trigger,
            json.dumps(levels),
            sample.newest_flow_id,
            sampled_at,
        )
    return InForce(epoch=row["epoch"], state=ModeState(tier=decision.tier, since_us=monotonic_us()))


class ModeController:
    """Samples and decides over ``connection``, which no other task uses.

    ``wake`` is set by notifications of commits; ``lease`` is held when work begins. ``clock`` is
    the database's, as this process has read it since its start.
    """

    def __init__(
        self,
        policy: Policy,
        connection: Connection,
        *,
        wake: asyncio.Event,
        lease: Lease,
        clock: SteadyClock,
    ) -> None:
        self._policy = policy
        self._connection = connection
        self._wake = wake
        self._lease = lease
        self._orders: list[TierOrder] = []
        self._clock = clock
        self._sampler = Sampler(policy, connection, clock)

    async def work(self, stop: asyncio.Event) -> None:
        """Control the mode until ``stop``.

        Raises :class:`LeaseLostError` once another mode controller decides.
        """
        loop = asyncio.get_running_loop()
        in_force = await mode_in_force(self._connection, self._clock)
        await self._sampler.start()
        renewed_at = ages_at = float("-inf")
        while not stop.is_set():
            self._wake.clear()
            began = loop.time()
            if began - ages_at >= AGES_EVERY_S:
                await self._sampler.refresh_ages(in_force.state.tier)
                rows = await self._connection.fetch(_ORDERS)
                self._orders = [TierOrder(**dict(row)) for row in rows]
                ages_at = began
            sample = await self._sampler.sample()
            after = await self._decided(in_force, sample)
            if after.epoch != in_force.epoch:
                ages_at = float("-inf")  # another tier guarantees other withdrawals
            in_force = after
            if began - renewed_at >= BEAT_EVERY_MS / 1_000:
                # After the decision: a process that can no longer decide must also stop renewing.
                await self._lease.renew(self._connection)
                renewed_at = began
                self._expose(in_force, sample)
            await self._rest(began)

    async def _decided(self, in_force: InForce, sample: Sample) -> InForce:
        in_force = replace(in_force, state=watch(self._policy, in_force.state, sample))
        decision = under_orders(
            in_force.state, decide(self._policy, in_force.state, sample, sample.at_us), self._orders
        )
        if decision is None or sabotage.sabotaged(sabotage.SABOTAGE_MODE_CONTROLLER):
            return in_force
        after = await flip(self._connection, in_force, decision, sample, lease=self._lease)
        _log.info(
            "%s -> %s (epoch %d): %s",
            in_force.state.tier,
            decision.tier,
            after.epoch,
            decision.reason,
        )
        return after

    def _expose(self, in_force: InForce, sample: Sample) -> None:
        _show(in_force)
        HEARTBEAT.set_to_current_time()
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
