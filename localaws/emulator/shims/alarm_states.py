"""What state a CloudWatch alarm is in, given its recent data points; pure.

CloudWatch user guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing
data": a data point is the statistic of one period; an alarm looks at the newest ``evaluation
periods`` of them and goes to ALARM when at least ``datapoints to alarm`` breach. It reads somewhat
further back, so that gaps are filled from older real points; only what is then still missing counts
as the alarm says.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
FURTHER_BACK = 2
"""Periods beyond the evaluation periods that are read; the guide's examples read five for three."""
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was put at one time: ``count`` values.

    ``values`` holds them if they were given one by one.
    """

    minimum: float
    maximum: float
    total: float
    count: float
    values: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Condition:
    """When data points breach, and how many of how many must.

    ``missing`` is breaching, notBreaching, ignore or missing.
    """

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing: str = "missing"

    def breaches(self, value: float) -> bool:
        """Whether one data point is beyond the threshold.

        Raises :class:`KeyError` for a comparison of anomaly bands.
        """
        return _COMPARISONS[self.comparison](value, self.threshold)


def statistic(name: str, samples: Iterable[Sample]) -> float | None:
    """``Sum``, ``Average``, ``Minimum``, ``Maximum``, ``SampleCount`` or a percentile (``p99.5``)
    of one period; None without data.

    A percentile is a value that was put (nearest rank); samples that were put as statistics have
    none.
    """
    found = list(samples)
    if not found:
        return None
    if name == "Minimum":
        return min(each.minimum for each in found)
    if name == "Maximum":
        return max(each.maximum for each in found)
    total, count = math.fsum(each.total for each in found), math.fsum(each.count for each in found)
    if name in ("Sum", "SampleCount"):
        return total if name == "Sum" else count
    if name == "Average":
        return total / count if count else None
    values = sorted(value for each in found for value in each.values)
    rank = math.ceil(len(values) * float(name.removeprefix("p")) / 100)
    return values[max(rank, 1) - 1] if values else None


def next_state(condition: Condition, points: Sequence[float | None], *, current: str) -> str:
    """The state after ``points``, oldest first, None where a period has no data.

    ``current`` is kept where the guide says so.
    """
    wanted, enough = condition.evaluation_periods, condition.datapoints_to_alarm
    reach = list(points)[-(wanted + FURTHER_BACK) :]
    real = [condition.breaches(point) for point in reach if point is not None][-wanted:]
    lacking = wanted - len(real)
    breaching = sum(real)
    if condition.missing == "breaching":
        return ALARM if breaching + lacking >= enough else OK
    if breaching >= enough:
        return ALARM
    if lacking == 0 or condition.missing == "notBreaching" or not all(real):
        return OK
    if condition.missing == "ignore":
        return current
    if not real:
        return INSUFFICIENT_DATA
    # All that there is breaches. It is an alarm once the oldest of it is as old as the points that
    # are asked for.
    oldest = next(age for age, point in enumerate(reach) if point is not None)
    return ALARM if len(reach) - oldest >= enough else current
