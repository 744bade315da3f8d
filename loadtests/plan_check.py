"""What a planned flood does to the policy's drawdown indicator, against what its drill expects.

A flood that cannot reach a tier proves nothing about it, nor does one that reaches a tier which the
drill means to avoid.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

from loadtests.arrivals import MICROSECONDS, Arrival
from loadtests.rails import funded
from loadtests.reads import PlannedRead
from loadtests.shock import Profile
from seawall.controls.allowance import Asked, full, value_micro_max, within_window
from seawall.conventions.reads import READS, SAMPLES_MIN
from seawall.errors import UsageError
from seawall.policy import Drill, Policy

MS = 1_000
CLEARLY = Fraction(6, 5)
"""A level counts as crossed in a plan when it is exceeded by a fifth.

The venue commits requests in batches, which shifts them in time.
"""
CALM_OF_EXIT_MAX = Fraction(1, 4)
"""The highest velocity of the calm phase, relative to the level at which the first tier is left."""


@dataclass(frozen=True, kw_only=True)
class TargetRates:
    """The rates of requested value at which the policy enters and leaves its tiers.

    Attributes:
        window_ms: Over which the rate (drawdown velocity) is measured.
        hot_micro: Value of the hot targets in millionths of the unit of account. A rate is the
            value requested within the window, divided by this.
        stressed_enter: At it, the first tier is entered.
        stressed_exit: Below it, the first tier is left.
        protected_enter: At it, the second tier is entered.
        protected_exit: Below it, the second tier is left.
    """

    window_ms: int
    hot_micro: int
    stressed_enter: Fraction
    stressed_exit: Fraction
    protected_enter: Fraction
    protected_exit: Fraction


def target_rates(policy: Policy) -> TargetRates:
    """The rates that ``policy`` declares in its drawdown triggers.

    Raises:
        UsageError: It has no drawdown trigger for each of the two worse tiers.
    """
    triggers = [trigger for trigger in policy.triggers if trigger.indicator == "drawdown_velocity"]
    settings = policy.indicators.get("drawdown_velocity")
    stressed = [trigger for trigger in triggers if trigger.tier == "stressed"]
    protected = [trigger for trigger in triggers if trigger.tier == "protected"]
    if settings is None or settings.window is None or not stressed or not protected:
        raise UsageError(
            "the policy does not watch the drawdown velocity",
            remedy="declare a drawdown_velocity trigger for stressed and one for protected",
        )
    return TargetRates(
        window_ms=settings.window,
        hot_micro=policy.hot_target_value_micro(),
        stressed_enter=min(trigger.enter_at for trigger in stressed),
        stressed_exit=min(trigger.exit_below for trigger in stressed),
        protected_enter=min(trigger.enter_at for trigger in protected),
        protected_exit=max(trigger.exit_below for trigger in protected),
    )


def drawn(arrivals: Iterable[Arrival], rates: TargetRates) -> Iterator[tuple[int, int]]:
    """(offset in microseconds, value within the window) just before and at each first attempt.

    The value over :attr:`TargetRates.hot_micro` is the drawdown velocity; whole numbers are
    compared many times faster than fractions. Repeats do not count, because they reserve nothing.
    """
    window: list[tuple[int, int]] = []
    start = total = 0
    for arrival in arrivals:
        if arrival.attempt > 1:
            continue
        for value in (0, arrival.value_micro):
            window.append((arrival.offset_us, value))
            total += value
            while window[start][0] <= arrival.offset_us - rates.window_ms * MS:
                total -= window[start][1]
                start += 1
            yield arrival.offset_us, total


def let_through(policy: Policy, arrivals: Iterable[Arrival]) -> Iterator[Arrival]:
    """The first attempts that the limits of customers allow, if each is committed at its instant.

    What they refuse reserves nothing.
    """
    firsts = [arrival for arrival in arrivals if arrival.attempt == 1]
    counts = Counter(arrival.customer_id for arrival in firsts)
    totals: dict[str, int] = defaultdict(int)
    for arrival in firsts:
        totals[arrival.customer_id] += arrival.value_micro
    asked: dict[str, list[Asked]] = defaultdict(list)
    value_max, number_max = value_micro_max(policy), policy.limits.withdrawals_max
    for arrival in firsts:
        customer_id = arrival.customer_id
        if totals[customer_id] <= value_max and counts[customer_id] <= number_max:
            yield arrival  # all that its customer asks for would fit into one window
            continue
        now_us, value_micro = arrival.offset_us, arrival.value_micro
        window = within_window(policy, asked[customer_id], now_us=now_us)
        if full(policy, window, value_micro=value_micro, now_us=now_us) is None:
            asked[customer_id] = [*window, Asked(at_us=now_us, value_micro=value_micro)]
            yield arrival


def check_plan(
    policy: Policy,
    drill: Drill,
    profile: Profile,
    arrivals: tuple[Arrival, ...],
    reads: tuple[PlannedRead, ...],
) -> dict[str, Any]:
    """What the plan does to the drawdown indicator, in numbers, and how many reads it has.

    Raises:
        UsageError: It could not do what the drill expects of its flood; names every shortfall.
    """
    rates = target_rates(policy)
    assumed = profile.assumed
    run_starts_us = drill.flood.calm * MS
    opening_ends_us = run_starts_us + int(assumed.opening.value * drill.flood.length * MS)
    crossing = ceil(rates.protected_enter * rates.hot_micro)
    crossed_us: int | None = None
    in_calm: list[int] = []
    in_opening: list[int] = []
    later: list[int] = []
    reserving = list(let_through(policy, arrivals))
    for at_us, value in drawn(reserving, rates):
        if at_us < run_starts_us:
            in_calm.append(value)
            continue
        if crossed_us is None and value >= crossing:
            crossed_us = at_us
        (in_opening if at_us < opening_ends_us else later).append(value)
    calm_peak, opening_peak, later_peak = (
        Fraction(max(values, default=0), rates.hot_micro) for values in (in_calm, in_opening, later)
    )
    later_least = Fraction(min(later), rates.hot_micro) if later else None
    run = [arrival for arrival in arrivals if arrival.phase == "run"]
    requested = sum(arrival.value_micro for arrival in reserving if arrival.phase == "run")
    ratio = Fraction(requested, rates.hot_micro)
    spans_ms = Fraction(run[-1].offset_us - run[0].offset_us, MS) if run else Fraction(0)
    offered_per_s = Fraction(len(run) * MS, drill.flood.length)
    peak = max(opening_peak, later_peak)
    failures = [
        sentence
        for holds, sentence in (
            (
                calm_peak <= CALM_OF_EXIT_MAX * rates.stressed_exit,
                f"the calm peaks at a velocity of {float(calm_peak):.4f}",
            ),
            (
                offered_per_s >= drill.smallest.offered_per_s,
                f"it offers {float(offered_per_s):.0f} requests a second, below the smallest size",
            ),
            (
                spans_ms >= drill.smallest.flood,
                f"it spans {float(spans_ms):.0f} ms, below the smallest size",
            ),
            (
                drill.smallest.hot_balances is None or ratio >= drill.smallest.hot_balances,
                f"it asks for {float(ratio):.2f} times the hot targets, below the smallest size",
            ),
            (
                ratio >= profile.requested(drill.flood) * 98 / 100,
                f"only {float(ratio):.2f} times the hot targets are asked for",
            ),
            *_payable(policy, arrivals),
            *funded(policy, arrivals),
            *_reached(drill, rates, opening_peak=opening_peak, peak=peak, least=later_least),
            *_avoided(drill, rates, peak=peak),
            *_stormed(drill, rates, arrivals),
            *_read_often_enough(reads),
        )
        if not holds
    ]
    if failures:
        raise UsageError(
            f"the planned flood is not what its drill expects: {'; '.join(failures)}",
            remedy="adjust the profile's assumptions, or the drill's expectations, to the policy",
        )
    return {
        "requested_over_hot_targets": round(float(ratio), 4),
        "offered_per_s": round(float(offered_per_s), 3),
        "reads_per_s": round(
            sum(read.phase == "run" for read in reads) * MS / drill.flood.length, 3
        ),
        "small_share": round(sum(arrival.size == "small" for arrival in run) / len(run), 4),
        "calm_velocity_max": round(float(calm_peak), 5),
        "velocity_max": round(float(peak), 4),
        "protected_crossed_after_s": None
        if crossed_us is None
        else round((crossed_us - run_starts_us) / MICROSECONDS, 3),
        "velocity_after_opening_min": round(float(later_least or 0), 4),
    }


def _reached(
    drill: Drill,
    rates: TargetRates,
    *,
    opening_peak: Fraction,
    peak: Fraction,
    least: Fraction | None,
) -> list[tuple[bool, str]]:
    """Whether the tiers that the drill expects are clearly reached, each with its complaint."""
    found = []
    if "stressed" in drill.expects.reaches:
        found.append(
            (
                peak >= CLEARLY * rates.stressed_enter,
                f"it reaches a velocity of only {float(peak):.3f}, too little for stressed",
            )
        )
    if "protected" in drill.expects.reaches:
        found += [
            (
                opening_peak >= CLEARLY * rates.protected_enter,
                f"the opening reaches only {float(opening_peak):.3f}",
            ),
            (
                least is not None and least >= CLEARLY * rates.protected_exit,
                f"the run falls to {float(least or 0):.3f}, which lets the tier go",
            ),
        ]
    return found


def _avoided(drill: Drill, rates: TargetRates, *, peak: Fraction) -> list[tuple[bool, str]]:
    """Whether the flood stays clearly below each tier that must not be reached."""
    return [
        (
            peak * CLEARLY <= enter,
            f"it peaks at a velocity of {float(peak):.3f}, and {tier} begins at {float(enter):.3f}",
        )
        for tier, enter in (
            ("stressed", rates.stressed_enter),
            ("protected", rates.protected_enter),
        )
        if tier in drill.expects.avoids
    ]


def _stormed(
    drill: Drill, rates: TargetRates, arrivals: Sequence[Arrival]
) -> list[tuple[bool, str]]:
    """Whether a storm would reach a tier that its drill avoids, if nothing limited a customer."""
    if drill.flood.storm is None:
        return []
    unlimited = Fraction(max(value for _, value in drawn(arrivals, rates)), rates.hot_micro)
    enters = {"stressed": rates.stressed_enter, "protected": rates.protected_enter}
    return [
        (
            any(unlimited >= CLEARLY * enters[tier] for tier in drill.expects.avoids),
            (
                f"its storm would reach a velocity of only {float(unlimited):.3f} without any "
                "limit, and no tier that the drill avoids"
            ),
        )
    ]


def _payable(policy: Policy, arrivals: Sequence[Arrival]) -> list[tuple[bool, str]]:
    """Whether every request is large enough to be taken, with a complaint for each asset."""
    smallest: dict[str, int] = {}
    for arrival in arrivals:
        smallest[arrival.asset] = min(arrival.amount, smallest.get(arrival.asset, arrival.amount))
    return [
        (
            amount >= policy.withdrawal_min(asset),
            (
                f"it asks for {Decimal(amount).scaleb(-policy.assets[asset].decimals):f} {asset}, "
                f"and the smallest withdrawal is {policy.assets[asset].withdrawal_min:f} {asset}"
            ),
        )
        for asset, amount in smallest.items()
    ]


def _read_often_enough(reads: Sequence[PlannedRead]) -> list[tuple[bool, str]]:
    """Whether there are enough reads of every kind in the run, each with its complaint."""
    planned = Counter(read.operation for read in reads if read.phase == "run")
    complaint = "it has {} reads of {} in the run, and fewer than {} prove nothing"
    return [
        (
            planned[operation] >= SAMPLES_MIN,
            complaint.format(planned[operation], operation, SAMPLES_MIN),
        )
        for operation in READS
    ]
