"""Draws the run second by second; x is seconds since the calm began."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from seawall.errors import EvidenceError
from seawall.scorecard import series
from seawall.scorecard.facts import ACKNOWLEDGED, Facts
from seawall.scorecard.readers import SECOND
from seawall.scorecard.recovery import queue_age_us_max
from seawall.scorecard.report.svg import Chart, Point

AGE_STEP_US = SECOND // 4
LATENCY_MS_MIN = 1.0


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure with its title, its legend as (style, text), and a sentence on how to read it."""

    title: str
    svg: str
    legend: tuple[tuple[str, str], ...]
    note: str


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A figure that the evidence does not allow."""

    title: str
    reason: str


def all_plots(facts: Facts) -> list[Plot | Missing]:
    """Every figure, or why there is none."""
    found: list[Plot | Missing] = []
    for title, draw in _PLOTS:
        try:
            found.append(draw(facts, title))
        # Broken evidence may break a figure anywhere; the other figures are still of use.
        except Exception as error:  # noqa: BLE001
            found.append(Missing(title=title, reason=str(error)))
    return found


def _frame(
    facts: Facts,
    *,
    y_high: float,
    y_low: float = 0.0,
    height: int = 168,
    log: bool = False,
    unit: str | None = "",
) -> Chart:
    """A chart over the whole drill, with the faults shaded and start and end of the run marked."""
    last = max(_seconds(facts, moment) for moment in (facts.run_ends, facts.watch_ends))
    chart = Chart(
        x_low=0.0, x_high=last + 2, y_low=y_low, y_high=y_high, height=height, log=log, y_unit=unit
    )
    for fault in facts.faults:
        if fault.effective is not None:
            ends = chart.x_high if fault.reverted is None else _seconds(facts, fault.reverted)
            chart.shade(_seconds(facts, fault.effective), ends, style="dark", label=fault.name)
    chart.instant(_seconds(facts, facts.run_starts), label="run begins")
    chart.instant(_seconds(facts, facts.run_ends), label="run ends")
    return chart


def _tiers(facts: Facts, title: str) -> Plot:
    bands = _frame(facts, y_high=1, height=86, unit=None)
    chart = replace(bands, parts=[])
    for span in facts.tiers:
        chart.shade(
            _seconds(facts, span.starts), _seconds(facts, span.ends), style=f"tier {span.tier}"
        )
        chart.name(_seconds(facts, span.starts), _seconds(facts, span.ends), label=span.tier)
    return Plot(
        title=title,
        svg=chart.svg(title=title, over=bands),
        legend=(("normal", "normal"), ("stressed", "stressed"), ("protected", "protected")),
        note="By commit time of each flip.",
    )


def _queue_age(facts: Facts, title: str) -> Plot:
    starts, ends = facts.calm_starts, facts.watch_ends
    withdrawals = facts.run.withdrawals
    every = series.oldest_age(withdrawals, starts=starts, ends=ends, step_us=AGE_STEP_US)
    small = series.oldest_age(
        (row for row in withdrawals if row.size == "small"),
        starts=starts,
        ends=ends,
        step_us=AGE_STEP_US,
    )
    limit = queue_age_us_max(facts) / SECOND
    chart = _frame(facts, y_high=1.1 * max(limit, *(age for _, age in every)), unit=" s")
    chart.level(limit, label="drained below")
    chart.line(_points(facts, every), style="c2")
    chart.line(_points(facts, small), style="c1")
    return Plot(
        title=title,
        svg=chart.svg(title=title),
        legend=(
            ("c1", "small withdrawals, guaranteed in every tier"),
            ("c2", "all, with large ones deferred in protected mode"),
        ),
        note=(
            "Age of the oldest withdrawal that is neither posted nor voided, from the records' "
            "commit times."
        ),
    )


def _hot_balance(facts: Facts, title: str) -> Plot:
    policy = facts.run.policy
    pools = series.hot_balance(facts)
    if not pools:
        raise EvidenceError("metrics.json holds no hot balance")
    totals: dict[int, float] = {}
    for points in pools.values():
        for at, value in points:
            totals[at] = totals.get(at, 0.0) + value
    whole = [
        (at, value)
        for at, value in sorted(totals.items())
        if all(any(at == seen for seen, _ in points) for points in pools.values())
    ]
    target = policy.hot_target_value_micro() / 1e6
    minimum = sum(
        policy.value_micro(asset, policy.base_units(asset, holding.minimum))
        for wallet in policy.payout_wallets().values()
        for asset, holding in wallet.holdings.items()
    ) / 1e6  # fmt: skip
    chart = _frame(facts, y_high=1.15 * max(target, *(value for _, value in whole)))
    chart.level(target, label="target of all")
    chart.level(minimum, label="minimum of all")
    styles = ("c1", "c2", "c3", "c4")
    for (_, points), style in zip(sorted(pools.items()), styles, strict=False):
        chart.line(_points(facts, points), style=f"thin {style}")
    chart.line(_points(facts, whole), style="ink")
    legend = [("ink", "all")] + [
        (style, f"{asset} on {network}")
        for (network, asset), style in zip(sorted(pools), styles, strict=False)
    ]
    return Plot(
        title=title,
        svg=chart.svg(title=title),
        legend=tuple(legend),
        note=f"Value in {policy.venue.unit_of_account} as Prometheus recorded it; top-ups lift it.",
    )


def _rates(facts: Facts, title: str) -> Plot:
    starts, ends = facts.calm_starts, facts.watch_ends
    arrivals = series.per_second(
        (request.planned_at for _, request in facts.sent), starts=starts, ends=ends
    )
    promised = series.per_second(
        (
            request.done_at
            for _, request in facts.sent
            if request.done_at is not None and request.outcome in ACKNOWLEDGED
        ),
        starts=starts,
        ends=ends,
    )
    paid = series.per_second(series.payout_moments(facts), starts=starts, ends=ends)
    chart = _frame(
        facts,
        y_high=1.1 * max(value for points in (arrivals, promised, paid) for _, value in points),
        unit="/s",
    )
    for points, style in ((paid, "c3"), (promised, "c2 dashed"), (arrivals, "c1")):
        chart.line(_points(facts, points), style=style)
    return Plot(
        title=title,
        svg=chart.svg(title=title),
        legend=(
            ("c1", "arrivals (requests as planned)"),
            ("c2", "acknowledged by the venue"),
            ("c3", "paid out (on the chains)"),
        ),
        note="Arrivals leave on schedule however slow the venue is; payouts come in blocks.",
    )


def _latency(facts: Facts, title: str) -> Plot:
    starts, ends = facts.calm_starts, facts.watch_ends
    middle = series.latency_per_second(facts, 50, starts=starts, ends=ends)
    high = series.latency_per_second(facts, 99, starts=starts, ends=ends)
    if not high:
        raise EvidenceError("no request was answered")
    top = 10 * LATENCY_MS_MIN
    while top < max(value for _, value in high):
        top *= 10
    chart = _frame(facts, y_low=LATENCY_MS_MIN, y_high=top, log=True, unit=" ms")
    chart.line(_points(facts, high), style="c2")
    chart.line(_points(facts, middle), style="c1")
    return Plot(
        title=title,
        svg=chart.svg(title=title),
        legend=(("c1", "p50"), ("c2", "p99")),
        note=(
            "From the planned instant to the answer, by second of the planned instant; logarithmic."
        ),
    )


_PLOTS: tuple[tuple[str, Callable[[Facts, str], Plot]], ...] = (
    ("Tier", _tiers),
    ("Arrivals, acknowledgements and payouts per second", _rates),
    ("Oldest open withdrawal", _queue_age),
    ("Hot balance", _hot_balance),
    ("Latency of requests", _latency),
)


def _seconds(facts: Facts, moment: int) -> float:
    return (moment - facts.calm_starts) / SECOND


def _points(facts: Facts, points: series.Points) -> list[Point]:
    return [(_seconds(facts, at), value) for at, value in points]
