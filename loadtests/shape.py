"""The shape of a run, as pure functions of a random stream.

When requests arrive, how large they are, and who leaves first.

Floats are statistics here; they become integer amounts in :mod:`loadtests.plan`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

BISECTIONS = 100


def pareto(u: float, *, low: float, high: float, alpha: float) -> float:
    """Quantile ``u`` in [0, 1) of the Pareto law with exponent ``alpha``, truncated to [low, high]."""
    return float(low * (1.0 - u * (1.0 - (low / high) ** alpha)) ** (-1.0 / alpha))


def pareto_mean(*, low: float, high: float, alpha: float) -> float:
    """Mean of that law; ``alpha`` other than 1."""
    return float(
        alpha
        * low
        / (alpha - 1.0)
        * (1.0 - (low / high) ** (alpha - 1.0))
        / (1.0 - (low / high) ** alpha)
    )


def amounts(rng: Random, *, count: int, total: float, high: float, alpha: float) -> list[float]:
    """``count`` heavy-tailed amounts, each below ``high``, that sum to ``total`` up to rounding and
    the cap.

    One draw per quantile stratum: the tail keeps its weight for every seed. Raises ValueError if
    the mean does not fit below ``high``.
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
    """Arrivals of a Poisson stream of which exactly ``count`` fall into [0, length), in order."""
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
    """Arrivals of a run: a Poisson stream that starts ``opening_rate`` times as fast and fades,
    with self-excited clusters.

    ``contagion`` of the requests follow an earlier one after an exponential delay (mean
    ``contagion_delay``); exactly ``count`` fall into [0, length), in order. The cluster view of a
    Hawkes process: Hawkes and Oakes 1974, with the count held fixed.
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
    """Indices of ``values`` in the order in which they leave.

    The first ``opening_count`` carry at least ``opening_value`` if that many can: large depositors
    drawn in proportion to their amount until it is reached, then small ones, shuffled. The rest
    leave in a race in which the next is drawn in proportion to amount ^ ``largest_first``.
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
