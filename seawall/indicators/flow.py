"""Drawdown velocity and signing failures: sums over insert-only flow rows.

Both use a sliding window over the rows' commit times.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seawall.policy import IndicatorName, Policy, Trigger

_US_PER_MS = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowRow:
    """What one batch committed: ``count`` events of ``kind``, together worth ``value_micro``.

    ``reserved_at_us``: of a row of kind ``voided``, when the reservation was committed that it
    takes back; None if that is not known any more.
    """

    id: int
    kind: str
    count: int
    value_micro: int
    committed_at_us: int
    reserved_at_us: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Crossing:
    """The first row with which an indicator reached a trigger, its commit time and the level."""

    flow_id: int
    at_us: int
    value: Fraction


class Window:
    """A sliding sum over flow rows: ``(now - window, now]`` by commit time.

    In the drawdown velocity a cancellation takes its reservation back: it counts negative, and at
    the reservation's time, so that both leave the window together. Of a reservation that has left,
    nothing is taken back, or else old ones could be cancelled to hide a run.

    Rows may be added in any order and more than once: an id counts once while it is inside. Time
    may not go backwards.

    Raises:
        ValueError: the indicator is no sum over a window, or the policy declares no window for it.
    """

    def __init__(self, policy: Policy, indicator: IndicatorName) -> None:
        window_ms = policy.indicators[indicator].window
        if indicator not in ("drawdown_velocity", "signing_failures") or window_ms is None:
            raise ValueError(f"{indicator} is no sum over a window")
        self._velocity = indicator == "drawdown_velocity"
        self._divisor = policy.hot_target_value_micro() if self._velocity else 1
        self._window_us = window_ms * _US_PER_MS
        self._inside: list[tuple[int, int, int]] = []  # heap of (time in microseconds, id, amount)
        self._ids: set[int] = set()
        self._sum = 0

    def add(self, row: FlowRow) -> None:
        """Count a row, if it is of the indicator's kind."""
        counted = self._counted(row)
        if counted is None or row.id in self._ids:
            return
        at_us, amount = counted
        heapq.heappush(self._inside, (at_us, row.id, amount))
        self._ids.add(row.id)
        self._sum += amount

    def _counted(self, row: FlowRow) -> tuple[int, int] | None:
        """When and by how much ``row`` counts; None if it does not."""
        if not self._velocity:
            return (row.committed_at_us, row.count) if row.kind == "signing_failed" else None
        if row.kind == "reserved":
            return row.committed_at_us, row.value_micro
        if row.kind == "voided" and row.reserved_at_us is not None:
            return row.reserved_at_us, -row.value_micro
        return None

    def value(self, now_us: int) -> Fraction:
        """The level at ``now_us``.

        Drawdown velocity is the value that was reserved in the window and not cancelled since, over
        the value of all customer hot targets; signing failures are counted.
        """
        while self._inside and self._inside[0][0] <= now_us - self._window_us:
            _, row_id, amount = heapq.heappop(self._inside)
            self._ids.discard(row_id)
            self._sum -= amount
        return Fraction(self._sum, self._divisor)


def first_crossing(flows: Iterable[FlowRow], trigger: Trigger, policy: Policy) -> Crossing | None:
    """The first committed row with which ``trigger`` was reached, or None.

    Rows of one transaction share a commit time and become visible together; the last of them by id
    is named.

    Raises:
        ValueError: the trigger's indicator is no sum over a window of flow rows.
    """
    window = Window(policy, trigger.indicator)
    ordered = sorted(flows, key=lambda row: (row.committed_at_us, row.id))
    for index, row in enumerate(ordered):
        window.add(row)
        if index + 1 < len(ordered) and ordered[index + 1].committed_at_us == row.committed_at_us:
            continue
        value = window.value(row.committed_at_us)
        if value >= trigger.enter_at:
            return Crossing(flow_id=row.id, at_us=row.committed_at_us, value=value)
    return None
