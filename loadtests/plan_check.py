"""What a planned run must do to a policy, checked on the plan itself.

A flood that could not shake the venue proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from loadtests.arrivals import MICROSECONDS, Arrival
from loadtests.shock import Profile
from seawall.errors import UsageError
from seawall.policy import GameDay, Policy

MS = 1_000
CLEARLY = Fraction(6, 5)
"""A level counts as crossed in a plan when it is passed by a fifth.

Commits bunch and shift arrivals.
"""
CALM_OF_EXIT_MAX = Fraction(1, 4)
"""In the calm the velocity stays below this part of the level at which the first tier is left."""


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """The policy's own measures of a run.

    Levels are ratios to the value of the hot targets, requested within the window.
    """

    window_ms: int
    hot_micro: int
    stressed_exit: Fraction
    protected_enter: Fraction
    protected_exit: Fraction


def yardstick(policy: Policy) -> Yardstick:
    """Read it off ``policy``.

    Raises :class:`UsageError` if no drawdown trigger enters both worse tiers.
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
    return Yardstick(
        window_ms=settings.window,
        hot_micro=policy.hot_target_value_micro(),
        stressed_exit=min(trigger.exit_below for trigger in stressed),
        protected_enter=min(trigger.enter_at for trigger in protected),
        protected_exit=max(trigger.exit_below for trigger in protected),
    )


def velocities(arrivals: Iterable[Arrival], measure: Yardstick) -> Iterator[tuple[int, Fraction]]:
    """(offset in microseconds, drawdown velocity) just before and at each first attempt.

    Repeats reserve nothing.
    """
    window: list[tuple[int, int]] = []
    start = total = 0
    for arrival in arrivals:
        if arrival.attempt > 1:
            continue
        for value in (0, arrival.value_micro):
            window.append((arrival.offset_us, value))
            total += value
            while window[start][0] <= arrival.offset_us - measure.window_ms * MS:
                total -= window[start][1]
                start += 1
            yield arrival.offset_us, Fraction(total, measure.hot_micro)


def proof(
    policy: Policy, day: GameDay, profile: Profile, arrivals: tuple[Arrival, ...]
) -> dict[str, Any]:
    """What the plan does, in numbers.

    Raises :class:`UsageError` with everything that it fails to do.
    """
    measure = yardstick(policy)
    chosen = profile.assumed
    run_starts_us = day.calm * MS
    opening_ends_us = run_starts_us + int(chosen.opening.value * day.flood * MS)
    calm_peak = Fraction(0)
    crossed_us: int | None = None
    opening_peak, later_least = Fraction(0), None
    for at_us, velocity in velocities(arrivals, measure):
        if at_us < run_starts_us:
            calm_peak = max(calm_peak, velocity)
            continue
        if crossed_us is None and velocity >= measure.protected_enter:
            crossed_us = at_us
        if at_us < opening_ends_us:
            opening_peak = max(opening_peak, velocity)
        else:
            later_least = velocity if later_least is None else min(later_least, velocity)
    run = [arrival for arrival in arrivals if arrival.phase == "run"]
    requested = sum(arrival.value_micro for arrival in run if arrival.attempt == 1)
    ratio = Fraction(requested, measure.hot_micro)
    short = [
        sentence
        for holds, sentence in (
            (
                calm_peak <= CALM_OF_EXIT_MAX * measure.stressed_exit,
                f"the calm peaks at a velocity of {float(calm_peak):.4f}",
            ),
            (
                opening_peak >= CLEARLY * measure.protected_enter,
                f"the opening reaches only {float(opening_peak):.3f}",
            ),
            (
                later_least is not None and later_least >= CLEARLY * measure.protected_exit,
                f"the run falls to {float(later_least or 0):.3f}, which lets the tier go",
            ),
            (
                ratio >= chosen.requested_over_hot_targets.value * 98 / 100,
                f"only {float(ratio):.2f} times the hot targets are asked for",
            ),
        )
        if not holds
    ]
    if short or crossed_us is None:
        raise UsageError(
            f"the planned run is no run on this bank: {'; '.join(short)}",
            remedy="adjust the profile's assumptions to the policy",
        )
    return {
        "requested_over_hot_targets": round(float(ratio), 4),
        "offered_per_s": round(len(run) * MS / day.flood, 3),
        "small_share": round(sum(arrival.size == "small" for arrival in run) / len(run), 4),
        "calm_velocity_max": round(float(calm_peak), 5),
        "protected_crossed_after_s": round((crossed_us - run_starts_us) / MICROSECONDS, 3),
        "velocity_after_opening_min": round(float(later_least or 0), 4),
    }
