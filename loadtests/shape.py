"""The random distributions of a run: when requests arrive, how large they are, and who is first.

All are pure functions of a random stream. Floats here are statistics only; :mod:`loadtests.plan`
makes integer amounts of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

BISECTIONS = 100


def pareto(u: float, *, low: float, high: float, alpha: float) -> float:
    """Quantile ``u`` in [0, 1) of the Pareto distribution truncated to [low, high]."""
    return float(low * (1.0 - u * (1.0 - (low / high) ** alpha)) ** (-1.0 / alpha))


def pareto_mean(*, low: float, high: float, alpha: float) -> float:
    """Mean of that distribution; ``alpha``, its exponent, must not be 1."""
    return float(
        alpha
        * low
        / (alpha - 1.0)
        * (1.0 - (low / high) ** (alpha - 1.0))
        / (1.0 - (low / high) ** alpha)
    )


def amounts(rng: Random, *, count: int, total: float, high: float, alpha: float) -> list[float]:
    """``count`` heavy-tailed amounts up to ``high`` that sum to ``total``.

    The sum is exact up to rounding, and up to what the cap cuts off. There is one draw per quantile
    stratum, so that the tail has its weight for every seed.

    Raises:
        ValueError: The mean does not fit below ``high``.
    """
    mean = total / count
    if not 0.0 < mean < high / 2.0:
        raise ValueError(f"a mean of {mean:.2f} does not fit below {high:.2f}")
    below, above = 0.0, high
    for _ in range(BISECTIONS):
        low = (below + above) / 2.0
        below, above = (
            (low, above) if pareto_mean(low=low, high=high, alpha=alpha) < mean else (below, low)
        )
    drawn = [
        pareto((index + rng.random()) / count, low=above, high=high, alpha=alpha)
        for index in range(count)
    ]
    factor = total / sum(drawn)
    return [min(amount * factor, high) for amount in drawn]


def steady_times(rng: Random, *, count: int, length: float) -> list[float]:
    """``count`` arrivals of a Poisson process in [0, length), in order."""
    return sorted(rng.random() * length for _ in range(count))


def run_times(
    rng: Random,
    *,
    count: int,
    length: float,
    opening_rate: float,
    contagion: float,
    contagion_delay: float,
) -> list[float]:
    """``count`` arrivals of a run in [0, length), in order: a fading rate with clusters.

    It is a Hawkes process in its cluster representation (Hawkes and Oakes 1974), with the count
    held fixed.

    Args:
        rng: Random stream.
        count: How many.
        length: Of the run; its unit is that of the result.
        opening_rate: How many times as high the rate is at the start.
        contagion: Share of the requests that follow an earlier one.
        contagion_delay: Mean of their exponential delay, in the unit of ``length``.
    """
    fade = length * 0.15
    times: list[float] = []
    while len(times) < count:
        if times and rng.random() < contagion:
            at = rng.choice(times) + rng.expovariate(1.0 / contagion_delay)
            if at >= length:
                continue
        else:
            at = rng.random() * length
            if rng.random() * opening_rate >= 1.0 + (opening_rate - 1.0) * math.exp(-at / fade):
                continue
        times.append(at)
    return sorted(times)


def leaving_order(
    rng: Random,
    values: Sequence[int],
    *,
    opening_count: int,
    opening_value: int,
    largest_first: float,
    small_max: int,
) -> list[int]:
    """Indices of ``values`` in the order in which they are withdrawn.

    The first ``opening_count`` sum to at least ``opening_value`` if so many can: large values are
    drawn in proportion to their size until the sum is reached, then small ones, and all are
    shuffled. Of the rest, each next one is drawn in proportion to value ^ ``largest_first``.
    """
    by_size = sorted(
        (index for index, value in enumerate(values) if value > small_max),
        key=lambda i: rng.expovariate(1.0) / values[i],
    )
    opening: list[int] = []
    reached = 0
    for index in by_size:
        if reached >= opening_value or len(opening) >= opening_count:
            break
        opening.append(index)
        reached += values[index]
    first = set(opening)
    race = sorted(
        (index for index in range(len(values)) if index not in first),
        key=lambda i: rng.expovariate(1.0) / values[i] ** largest_first,
    )
    small = [index for index in race if values[index] <= small_max][: opening_count - len(opening)]
    opening += small
    first.update(small)
    rng.shuffle(opening)
    return opening + [index for index in race if index not in first]
