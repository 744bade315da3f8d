"""Decides the state of a CloudWatch alarm, from data points or from the rule of a composite one.

Pure. ``cloudwatch`` keeps the data and carries out the actions.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from seawall.errors import CallerError

# ------------------------------------------------------------------------------------------------
# Metric alarms
#
# What state a CloudWatch alarm is in, given its recent data points; pure.
#
# CloudWatch user guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing
# data": a data point is the statistic of one period; an alarm reads the newest ``evaluation
# periods`` of them and goes to ALARM when at least ``datapoints to alarm`` breach. It reads
# somewhat further back, so that gaps are filled from older real points; only what is then still
# missing counts as the alarm says.
# ------------------------------------------------------------------------------------------------

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

    ``values`` has them if they were given one by one.
    """

    minimum: float
    maximum: float
    total: float
    count: float
    values: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Condition:
    """When a metric alarm is in ALARM.

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
    """Return the statistic ``name`` of one period; None without data.

    ``name`` is ``Sum``, ``Average``, ``Minimum``, ``Maximum``, ``SampleCount`` or a percentile
    (``p99.5``). A percentile is a value that was put (nearest rank); samples that were put as
    statistics have none.
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
    """Return the state after ``points``, oldest first, None where a period has no data.

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


# ------------------------------------------------------------------------------------------------
# The rule of a composite alarm
#
# The rule of a composite alarm: a Boolean expression over the states of other alarms; pure.
#
# CloudWatch API reference, PutCompositeAlarm, AlarmRule: ``ALARM("a")``, ``OK(b)``,
# ``INSUFFICIENT_DATA(arn)``, TRUE, FALSE, AND, OR, NOT and parentheses; NOT binds strongest, then
# AND, then OR. A name is bare or in double quotes.
# ------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r'\s*(?:(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"([^"]+)"|([^\s()"]+))\s*\)|(AND|OR|NOT|TRUE|FALSE|\(|\)))'
)


class AlarmRuleError(CallerError):
    """The rule of a composite alarm is no expression."""


def holds(rule: str, state_of: Callable[[str], str]) -> bool:
    """Whether ``rule`` is true; ``state_of`` gives the state of an alarm by its name or ARN.

    Raises :class:`AlarmRuleError`.
    """
    return _Parser(_tokens(rule), state_of).whole()


def alarms_in(rule: str) -> list[str]:
    """Return the names and ARNs of the alarms in ``rule``. Raises :class:`AlarmRuleError`."""
    return [name for kind, name in _tokens(rule) if name and kind]


def _tokens(rule: str) -> list[tuple[str, str]]:
    """(state, alarm) for a condition on an alarm, (word, "") for everything else."""
    found, at, text = [], 0, rule.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise AlarmRuleError(
                f"the alarm rule is not understood from here on: {text[at : at + 40]}"
            )
        state, quoted, bare, word = match.groups()
        found.append((state, quoted or bare) if state else (word, ""))
        at = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], state_of: Callable[[str], str]) -> None:
        self._tokens, self._state_of, self._at = tokens, state_of, 0

    def whole(self) -> bool:
        value = self._either()
        if self._at != len(self._tokens):
            raise AlarmRuleError("the alarm rule goes on after its end")
        return value

    def _next(self, *words: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] in {
            (word, "") for word in words
        }:
            self._at += 1
            return True
        return False

    def _either(self) -> bool:
        value = self._both()
        while self._next("OR"):
            value = self._both() or value
        return value

    def _both(self) -> bool:
        value = self._one()
        while self._next("AND"):
            value = self._one() and value
        return value

    def _one(self) -> bool:
        if self._next("NOT"):
            return not self._one()
        if self._next("("):
            value = self._either()
            if not self._next(")"):
                raise AlarmRuleError("a parenthesis of the alarm rule is not closed")
            return value
        if self._at >= len(self._tokens):
            raise AlarmRuleError("the alarm rule ends too early")
        kind, name = self._tokens[self._at]
        self._at += 1
        if name:
            return self._state_of(name) == kind
        if kind in ("TRUE", "FALSE"):
            return kind == "TRUE"
        raise AlarmRuleError(f"the alarm rule has {kind} where a condition should stand")
