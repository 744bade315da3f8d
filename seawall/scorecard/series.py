"""What the evidence says second by second: rates, latencies and ages, for goals and plots."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

from seawall.conventions import metrics
from seawall.errors import EvidenceError
from seawall.scorecard.facts import FOREVER, RUN_US_MAX, Facts, percentile
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import Withdrawal

Points = list[tuple[int, float]]
"""(moment in microseconds since the Unix epoch, value)."""


def per_second(moments: Iterable[int], *, starts: int, ends: int) -> Points:
    """How many ``moments`` fall into each whole second from ``starts`` on.

    Seconds without any are zero.

    Raises :class:`EvidenceError` for more than a day.
    """
    if ends - starts > RUN_US_MAX:
        raise EvidenceError("the evidence has moments more than a day apart")
    buckets = [0] * max(1, -(-(ends - starts) // SECOND))
    for moment in moments:
        index = (moment - starts) // SECOND
        if 0 <= index < len(buckets):
            buckets[index] += 1
    return [(starts + index * SECOND, float(count)) for index, count in enumerate(buckets)]


def latency_per_second(facts: Facts, hundredths: int, *, starts: int, ends: int) -> Points:
    """A percentile of the time from the planned instant to the answer, in milliseconds, by second
    of the planned instant.
    """
    buckets: dict[int, list[int]] = {}
    for _, request in facts.sent:
        if request.done_at is not None and starts <= request.planned_at < ends:
            buckets.setdefault((request.planned_at - starts) // SECOND, []).append(
                request.done_at - request.planned_at
            )
    return [
        (starts + index * SECOND, percentile(values, hundredths) / 1000)
        for index, values in sorted(buckets.items())
    ]


def oldest_age(
    withdrawals: Iterable[Withdrawal], *, starts: int, ends: int, step_us: int
) -> Points:
    """Age in seconds of the oldest withdrawal that is open, every ``step_us``.

    Nothing open is 0.
    """
    ordered = sorted(withdrawals, key=lambda withdrawal: withdrawal.reserved_at)
    waiting: list[tuple[int, int]] = []
    points: Points = []
    index = 0
    for moment in range(starts, ends, step_us):
        while index < len(ordered) and ordered[index].reserved_at <= moment:
            heapq.heappush(
                waiting, (ordered[index].reserved_at, ordered[index].resolved_at or FOREVER)
            )
            index += 1
        while waiting and waiting[0][1] <= moment:
            heapq.heappop(waiting)
        points.append((moment, (moment - waiting[0][0]) / SECOND if waiting else 0.0))
    return points


def hot_balance(facts: Facts) -> dict[tuple[str, str], Points]:
    """Value of each payout wallet's holding by (network, asset), in units of account, as Prometheus
    recorded it.
    """
    found: dict[tuple[str, str], Points] = {}
    for series in facts.run.metrics.series:
        if series.metric.get("__name__") == metrics.HOT_BALANCE:
            key = (series.metric.get("network", ""), series.metric.get("asset", ""))
            found[key] = [
                (round(at * SECOND), value / 1e6)
                for at, value in series.values
                if math.isfinite(value)
            ]
    return found


def latencies_us(facts: Facts, phase: str) -> list[int]:
    """From the planned instant to the answer, of every answered request of ``phase``."""
    return [
        request.done_at - request.planned_at
        for arrival, request in facts.sent
        if arrival.phase == phase and request.done_at is not None
    ]


def payout_moments(facts: Facts) -> list[Instant]:
    """When each finalized payout's block was there.

    Raises :class:`EvidenceError` if the chain's export is broken.
    """
    moments = [facts.paid_at(payout) for payout in facts.run.payouts]
    if not moments:
        raise EvidenceError("chain/payouts.csv holds no payout")
    return sorted(moments)
