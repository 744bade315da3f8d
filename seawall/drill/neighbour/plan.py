"""Plans the requests of the noisy-neighbour drill; pure.

KMS counts elliptic-curve operations of an account and region over all keys together (Developer
Guide, "Request quotas"), so one key per bucket is no isolation. The flood asks for several times
that quota in the name of one bucket while another asks, calmly, for its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from random import Random

from seawall.scorecard.checks.neighbour import CALM_S, FLOOD_S
from seawall.scorecard.one_control import Who

FLOOD_OVER_QUOTA = Fraction(5, 2)
"""How much the noisy bucket asks for, in quotas.

Enough that without a bulkhead most of what anyone asks is refused.
"""
QUIET_PER_S = 7


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One planned request, ``at_s`` after the start."""

    at_s: float
    who: Who


def plan(*, operations_per_s: int, seed: int) -> list[Ask]:
    """Arrivals in order: the quiet bucket's all along, the noisy one's after the calm.

    The noisy one's are a Poisson process. The quiet one's are even: what it is refused must be the
    neighbour's doing, never a burst of its own.
    """
    rng = Random(f"{seed}/neighbour")
    quiet = _even(rng, rate=float(QUIET_PER_S), end_s=CALM_S + FLOOD_S)
    noisy = _arrivals(
        rng, rate=float(operations_per_s * FLOOD_OVER_QUOTA), begin_s=CALM_S, end_s=CALM_S + FLOOD_S
    )
    asks = [Ask(at_s=at, who="quiet") for at in quiet] + [Ask(at_s=at, who="noisy") for at in noisy]
    return sorted(asks, key=lambda ask: ask.at_s)


def _even(rng: Random, *, rate: float, end_s: float) -> list[float]:
    """One in each interval, a quarter of it early or late."""
    return [(index + 0.5 + rng.uniform(-0.25, 0.25)) / rate for index in range(int(end_s * rate))]


def _arrivals(rng: Random, *, rate: float, begin_s: float, end_s: float) -> list[float]:
    times, at = [], begin_s
    while (at := at + rng.expovariate(rate)) < end_s:
        times.append(at)
    return times
