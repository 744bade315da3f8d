"""Time series from the evidence, second by second: rates, latencies, ages; for goals and plots."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping

from seawall.conventions import metrics
from seawall.errors import EvidenceError
from seawall.scorecard.facts import FOREVER, RUN_US_MAX, Facts, percentile
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import Withdrawal

Points = list[tuple[int, float]]
"""(moment in microseconds since the Unix epoch, value)."""


def per_second(moments: Iterable[int], *, starts: int, ends: int) -> Points:
    """How many ``moments`` fall into each whole second from ``starts`` on, zeros included.

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
    """A percentile of the latency in milliseconds, by second of the planned instant.

    Latency is the time from the planned instant to the answer.
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
    """Age in seconds of the oldest open withdrawal, every ``step_us``; 0 if none is open."""
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


def scrapes(facts: Facts) -> list[Instant]:
    """When Prometheus recorded a sample of any target, sorted.

    Raises :class:`EvidenceError` if metrics.json does not say when it did.
    """
    found = {
        Instant(round(at * SECOND))
        for series in facts.run.metrics.series
        if series.metric.get("__name__") == metrics.SCRAPED
        for at, _ in series.values
    }
    if not found:
        raise EvidenceError(f"metrics.json has no sample of {metrics.SCRAPED}")
    return sorted(found)


def recorded(facts: Facts, metric: str) -> bool:
    """Whether Prometheus has any series of ``metric``."""
    return any(series.metric.get("__name__") == metric for series in facts.run.metrics.series)


def growth(
    facts: Facts, metric: str, labels: Mapping[str, str], *, starts: Instant, ends: Instant
) -> float | None:
    """By how much a counter grew from what it last was at ``starts`` to that at ``ends``.

    Summed over all series of ``metric`` with these ``labels``. A counter that fell began again from
    zero, as that of a restarted process does; so did one without a sample until ``starts``. None if
    Prometheus recorded no sample of any such series.
    """
    grown = [
        _grown(values, starts=starts, ends=ends)
        for series in facts.run.metrics.series
        if series.metric.get("__name__") == metric
        and labels.items() <= series.metric.items()
        and (values := [each for each in series.values if math.isfinite(each[1])])
    ]
    return sum(grown) if grown else None


def _grown(values: Iterable[tuple[float, float]], *, starts: Instant, ends: Instant) -> float:
    """By how much one series grew, from its (Unix seconds, value) pairs in order of time."""
    last, grown = 0.0, 0.0
    for at, value in values:
        if at * SECOND > ends:
            break
        if at * SECOND > starts:
            grown += value - last if value >= last else value
        last = value
    return grown


def hot_balance(facts: Facts) -> dict[tuple[str, str], Points]:
    """Value of each payout wallet's holding by (network, asset), as Prometheus recorded it.

    In units of account.
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
    """When the block of each finalized payout appeared, sorted.

    Raises :class:`EvidenceError` if the chain's export is broken.
    """
    moments = [facts.paid_at(payout) for payout in facts.run.payouts]
    if not moments:
        raise EvidenceError("chain/payouts.csv holds no payout")
    return sorted(moments)
