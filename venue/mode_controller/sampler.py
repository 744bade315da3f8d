"""Samples for the mode controller: levels of the indicators from flow rows and from the queue.

What the database stamps is converted to a clock that never steps, so that no window is emptied, and
no age made up, when somebody sets the database's clock.

Each flow row is counted once. A row can become visible after a row with a higher id, because ids
are drawn before the commit. Each read therefore starts at the newest row that was visible before
all transactions now in progress began; no commit is missed, however long its transaction took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seawall.controls.admission import guaranteed_sizes
from seawall.errors import InternalError
from seawall.indicators import FlowRow, Sample, Window, age_s
from venue.clock import NOW_US, monotonic_us, read_clock
from venue.database import COMMITTED_AT_US, TRANSACTION_MS_MAX

if TYPE_CHECKING:
    from seawall.controls.steady import SteadyClock
    from seawall.policy import Policy, Tier
    from venue.database import Connection

# Horizon and rows belong to one snapshot: at READ COMMITTED each statement has one.
_ROWS = f"""
    with new as (
        select f.id, f.kind, f.count, f.value_micro, {COMMITTED_AT_US.format(row="f")} as at_us,
               (extract(epoch from f.reserved_at) * 1000000)::bigint as reserved_at_us
        from flow f where f.id > $1 order by f.id
    )
    select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as horizon,
           pg_snapshot_xmax(pg_current_snapshot())::text::bigint as frontier,
           coalesce((select array_agg(id) from new), '{{}}') as ids,
           coalesce((select array_agg(kind) from new), '{{}}') as kinds,
           coalesce((select array_agg(count) from new), '{{}}') as counts,
           coalesce((select array_agg(value_micro) from new), '{{}}') as values_micro,
           coalesce((select array_agg(at_us) from new), '{{}}') as ats_us,
           coalesce((select array_agg(reserved_at_us) from new), '{{}}') as reserved_ats_us,
           {NOW_US} as now_us"""
# Read backwards from the newest row, so that the length of the past costs nothing. A row commits
# at most one transaction's length after its `at`.
_START = """
    select coalesce((
        select id from flow where at < 'epoch'::timestamptz + $1::bigint * interval '1 microsecond'
        order by id desc limit 1), 0)"""
# A withdrawal that is `unknown` waits for a person, not for the queue: one refused payment must not
# keep the venue stressed for ever. One of an asset that its issuer has paused waits for the issuer:
# no tier would pay it, and the other assets' customers must not suffer from it. Nor would any pay
# what waits for the providers of a rail.
_OPEN = """from withdrawals where state in ('reserved', 'slotted')
           and (network, asset) not in (select network, asset from asset_pauses)
           and network not in (select rail from rail_providers)"""
_AGES = f"""
    select (extract(epoch from (select min(queued_at) {_OPEN})) * 1000000)::bigint as oldest_us,
           (extract(epoch from (select min(queued_at) {_OPEN} and size = any($1::text[])))
            * 1000000)::bigint as oldest_guaranteed_us"""
_SETTLED_AFTER_US = 250_000
"""A row's id is drawn a moment before its transaction counts as in progress.

This is far longer than that moment (microseconds).
"""


_US_PER_MS = 1_000


class Sampler:
    """Takes samples over one connection; all its times are of ``clock``, which it reads."""

    def __init__(self, policy: Policy, connection: Connection, clock: SteadyClock) -> None:
        self._policy = policy
        self._connection = connection
        self._clock = clock
        self._drawdown = Window(policy, "drawdown_velocity")
        self._failures = Window(policy, "signing_failures")
        self._after_id = 0
        self._newest = 0
        self._seen: set[int] = set()  # ids after `_after_id` that have been counted
        self._oldest_us: int | None = None
        self._oldest_guaranteed_us: int | None = None
        # (newest id, frontier, time in microseconds) of an earlier read
        self._mark: tuple[int, int, int] | None = None

    async def start(self) -> None:
        """Skip the rows that are older than every window."""
        longest_ms = max(settings.window or 0 for settings in self._policy.indicators.values())
        now_us = await read_clock(self._connection, self._clock)
        since_us = now_us - (longest_ms + 2 * TRANSACTION_MS_MAX) * _US_PER_MS
        self._after_id = await self._connection.fetchval(
            _START, self._clock.earliest_shown(since_us)
        )

    async def refresh_ages(self, tier: Tier) -> None:
        """Read since when the oldest withdrawals in the queue have waited.

        Between two reads their ages grow with the clock, so they need not be read for each sample.
        """
        row = await self._connection.fetchrow(_AGES, guaranteed_sizes(self._policy, tier))
        if row is None:
            raise InternalError("an aggregate gave no row")
        self._oldest_us = self._steady(row["oldest_us"])
        self._oldest_guaranteed_us = self._steady(row["oldest_guaranteed_us"])

    async def sample(self) -> Sample:
        """The level of every indicator now."""
        asked_us = monotonic_us()
        found = await self._connection.fetchrow(_ROWS, self._after_id)
        if found is None:
            raise InternalError("an aggregate gave no row")
        shown_us = found["now_us"]
        now_us = self._clock.read(shown_us=shown_us, asked_us=asked_us, answered_us=monotonic_us())
        columns = (
            found["ids"],
            found["kinds"],
            found["counts"],
            found["values_micro"],
            found["ats_us"],
            found["reserved_ats_us"],
        )
        for row_id, kind, count, value_micro, at_us, reserved_at_us in zip(*columns, strict=True):
            if row_id in self._seen:
                continue
            row = FlowRow(
                id=row_id,
                kind=kind,
                count=count,
                value_micro=value_micro,
                committed_at_us=self._clock.of(at_us),
                reserved_at_us=self._steady(reserved_at_us),
            )
            self._drawdown.add(row)
            self._failures.add(row)
            self._seen.add(row_id)
            self._newest = max(self._newest, row_id)
        self._settle(found["horizon"], found["frontier"], now_us)
        return Sample(
            at_us=now_us,
            shown_us=shown_us,
            levels={
                "drawdown_velocity": self._drawdown.value(now_us),
                "signing_failures": self._failures.value(now_us),
                "queue_age_s": age_s(self._oldest_us, now_us),
                "queue_age_guaranteed_s": age_s(self._oldest_guaranteed_us, now_us),
            },
            newest_flow_id=self._newest,
        )

    def _steady(self, shown_us: int | None) -> int | None:
        return None if shown_us is None else self._clock.of(shown_us)

    def _settle(self, horizon: int, frontier: int, now_us: int) -> None:
        """Advance past ids below which no row can appear any more.

        That is so once all transactions that were in progress at an earlier read have ended.
        """
        if self._mark is None:
            self._mark = (self._newest, frontier, now_us)
            return
        newest, then_frontier, then_us = self._mark
        if horizon >= then_frontier and now_us - then_us >= _SETTLED_AFTER_US:
            self._after_id = max(self._after_id, newest)
            self._seen = {row_id for row_id in self._seen if row_id > self._after_id}
            self._mark = (self._newest, frontier, now_us)
