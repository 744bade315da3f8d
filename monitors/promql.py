"""Parts of PromQL: durations, exact numbers, and the growth of a counter within a window.

``increase()`` and ``rate()`` extrapolate and need two samples within their window. Over the few
seconds of a drill they show a step late, or too large, or never if the series began with it. So
growth is the plain difference between a counter and its own value one window ago, which shows a
step at the next scrape; a series that did not exist yet, or was reset, counts from zero.
"""

from __future__ import annotations

from fractions import Fraction


def duration(ms: int) -> str:
    """A Prometheus duration: ``5s``, ``1500ms``."""
    return f"{ms // 1000}s" if ms % 1000 == 0 else f"{ms}ms"


def number(value: Fraction) -> str:
    """An exact number: a decimal where it is finite, else a quotient."""
    denominator = value.denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    if denominator != 1:
        return f"({value.numerator} / {value.denominator})"
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    scaled = value.numerator * 10**digits // value.denominator
    return f"{scaled // 10**digits}.{scaled % 10**digits:0{digits}d}" if digits else str(scaled)


def grown(counter: str, *, window_ms: int) -> str:
    """How much each series of ``counter`` grew within the window."""
    return f"({counter} - {counter} offset {duration(window_ms)} >= 0 or {counter})"
