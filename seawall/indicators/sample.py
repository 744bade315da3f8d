"""A sample: every indicator's level at one instant, and the newest row that was counted."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seawall.policy import IndicatorName


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Levels by indicator at ``at_us``, in microseconds of a clock that never steps.

    ``shown_us`` is what the database's clock showed then, in Unix microseconds, for the record.
    ``newest_flow_id`` is the newest row that was counted.
    """

    at_us: int
    shown_us: int
    levels: Mapping[IndicatorName, Fraction]
    newest_flow_id: int


def age_s(oldest_us: int | None, now_us: int) -> Fraction:
    """Age in seconds of what has waited since ``oldest_us``.

    0 if nothing waits (None), or if the clock of ``now_us`` is behind.
    """
    if oldest_us is None:
        return Fraction(0)
    return Fraction(max(0, now_us - oldest_us), 1_000_000)
