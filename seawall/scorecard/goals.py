"""Engineering goals with what one run showed: reported, never a gate, never copied into a policy.

One game day gives one value and not a percentile; benchmarks measure the goals themselves (design
section 10).
"""

from __future__ import annotations

from collections.abc import Callable

from seawall.scorecard import budgets
from seawall.scorecard.facts import Facts, format_s, percentile
from seawall.scorecard.failover import failover
from seawall.scorecard.readers import SECOND
from seawall.scorecard.series import latencies_us, payout_moments, per_second
from seawall.scorecard.verdict import Goal

PROTECTED_US_P50 = 50_000
FAILOVER_US_P99 = 500_000
PAGE_US_P99 = 5_000_000
GAMEDAY_US_MAX = 180_000_000
DISPATCH_LAG_US_P99 = 20_000


def _protected(facts: Facts) -> tuple[str, bool | None]:
    measured_us = budgets.protection(facts).later_us
    return _against(measured_us, PROTECTED_US_P50)


def _failover(facts: Facts) -> tuple[str, bool | None]:
    return _against(failover(facts).later_us, FAILOVER_US_P99)


def _pages(facts: Facts) -> tuple[str, bool | None]:
    offsets = [
        mark.offset_us
        for budget in (failover(facts), budgets.protection(facts))
        for mark in budget.marks
        if mark.observer == budgets.PAGER
    ]
    return _against(max(offsets) if offsets else None, PAGE_US_P99)


def _length(facts: Facts) -> tuple[str, bool | None]:
    manifest = facts.run.manifest
    return _against(round((manifest.ended_at - manifest.started_at) * SECOND), GAMEDAY_US_MAX)


def _dispatch(facts: Facts) -> tuple[str, bool | None]:
    lags = [
        (request.sent_at or 0) - request.planned_at
        for arrival, request in facts.sent
        if arrival.phase == "run"
    ]
    if not lags:
        return "no samples", None
    lag_us = percentile(lags, 99)
    return (
        f"p99 {lag_us / 1000:.1f} ms, max {max(lags) / 1000:.1f} ms",
        lag_us <= DISPATCH_LAG_US_P99,
    )


def _latency(phase: str) -> Callable[[Facts], tuple[str, bool | None]]:
    def measure(facts: Facts) -> tuple[str, bool | None]:
        values = latencies_us(facts, phase)
        if not values:
            return "no samples", None
        shares = ", ".join(
            f"p{share} {percentile(values, share) / 1000:.1f} ms" for share in (50, 99)
        )
        return f"{shares}, max {max(values) / 1000:.1f} ms", None

    return measure


def _payouts(facts: Facts) -> tuple[str, bool | None]:
    moments = payout_moments(facts)
    busiest = max(
        count for _, count in per_second(moments, starts=moments[0], ends=moments[-1] + SECOND)
    )
    return f"{len(moments):,} in all, {busiest:,.0f} in the busiest second", None


_ROWS: tuple[tuple[str, str, str, Callable[[Facts], tuple[str, bool | None]]], ...] = (
    (
        "protected",
        "breach to protected mode committed",
        f"p50 <= {PROTECTED_US_P50 // 1000} ms",
        _protected,
    ),
    (
        "failover",
        "signing dark to the first standby broadcast",
        f"p99 <= {FAILOVER_US_P99 // 1000} ms",
        _failover,
    ),
    ("page", "the later of both pages", f"p99 <= {PAGE_US_P99 // SECOND} s", _pages),
    ("gameday", "the whole game day", f"<= {GAMEDAY_US_MAX // SECOND} s", _length),
    (
        "dispatch",
        "planned instant to the request leaving the generator",
        f"p99 <= {DISPATCH_LAG_US_P99 // 1000} ms",
        _dispatch,
    ),
    (
        "latency.calm",
        "acknowledgement from the planned instant, calm",
        "shown beside the run",
        _latency("calm"),
    ),
    (
        "latency.run",
        "acknowledgement from the planned instant, run",
        "shown beside the calm",
        _latency("run"),
    ),
    ("payouts", "payouts finalized on the chains", "shown", _payouts),
)


def reported(facts: Facts) -> tuple[Goal, ...]:
    """Every goal with what this run showed, or why it could not be measured."""
    goals = []
    for identity, title, goal, measure in _ROWS:
        try:
            measured, met = measure(facts)
        # A goal gates nothing, and broken evidence may break it anywhere.
        except Exception as error:  # noqa: BLE001
            measured, met = f"not measured: {error}", None
        goals.append(Goal(id=identity, title=title, goal=goal, measured=measured, met=met))
    return tuple(goals)


def _against(measured_us: int | None, goal_us: int) -> tuple[str, bool | None]:
    return (
        ("not seen", None)
        if measured_us is None
        else (format_s(measured_us), measured_us <= goal_us)
    )
