"""What the mode controller knew at one instant: every indicator's level, and which rows were counted."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seawall.policy import IndicatorName


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Levels by indicator at ``at_us`` (Unix microseconds).

    ``newest_flow_id`` is the newest row that was counted.
    """

    at_us: int
    levels: Mapping[IndicatorName, Fraction]
    newest_flow_id: int


def age_s(oldest_us: int | None, now_us: int) -> Fraction:
    """Age in seconds of something that has waited since ``oldest_us``.

    Nothing waiting is 0, and so is a clock that lags.
    """
    if oldest_us is None:
        return Fraction(0)
    return Fraction(max(0, now_us - oldest_us), 1_000_000)
