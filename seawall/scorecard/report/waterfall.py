"""Draws a time budget as a waterfall: the steps in the venue's records, observers, and target."""

from __future__ import annotations

from html import escape

from seawall.scorecard.budgets import CHAINS, OUTSIDE, PAGER, RECORDS
from seawall.scorecard.facts import format_s
from seawall.scorecard.lost_database import PROCEDURE
from seawall.scorecard.rail_failover import STATEMENT
from seawall.scorecard.readers import SECOND
from seawall.scorecard.report.svg import WIDTH, short, ticks
from seawall.scorecard.verdict import Moment, Time

LABELS = 250
ROW = 26
TOP, FOOT = 22, 26
ROOM = 130
STYLES = {RECORDS: "c1", CHAINS: "c2", OUTSIDE: "c3", PAGER: "c4", PROCEDURE: "c5", STATEMENT: "c6"}
"""By observer: its colour in style.css."""


def waterfall(time: Time) -> str:
    """Return the figure as SVG, with a line for the target.

    A step of the records is a bar from the step before it; one of an outside observer is a bar from
    the start. Moments with a target of their own come last, below the line.
    """
    latest = max((moment.offset_us for moment in time.moments), default=0)
    high = max(time.limit_us, latest) * 1.04
    height = TOP + ROW * max(1, len(time.moments)) + FOOT

    def x(offset_us: float) -> float:
        return LABELS + max(0.0, offset_us) / high * (WIDTH - LABELS - ROOM)

    parts = []
    for value in ticks(0, high / SECOND, about=8):
        left = x(value * SECOND)
        parts.append(
            f'<line class="grid" x1="{left:.1f}" x2="{left:.1f}" y1="{TOP}" y2="{height - FOOT}"/>'
        )
        parts.append(
            f'<text class="tick mid" x="{left:.1f}" y="{height - 8}">{short(value)} s</text>'
        )
    before_us = 0
    for index, moment in enumerate(time.moments):
        top = TOP + index * ROW
        starts_us = before_us if moment.observer == RECORDS and moment.offset_us >= before_us else 0
        left, right = x(starts_us), x(moment.offset_us)
        parts.append(
            f'<text class="row end" x="{LABELS - 10}" y="{top + 17}">{escape(moment.name)}</text>'
        )
        parts.append(
            f'<rect class="bar {STYLES[moment.observer]}" x="{left:.1f}" y="{top + 5}" '
            f'width="{max(2.0, right - left):.1f}" height="{ROW - 10}" rx="2"/>'
        )
        parts.append(
            f'<text class="row value" x="{max(left + 2, right) + 6:.1f}" '
            f'y="{top + 17}">{_value(moment)}</text>'
        )
        if moment.observer == RECORDS:
            before_us = max(before_us, moment.offset_us)
    if not time.moments:
        parts.append(
            f'<text class="row end" x="{LABELS - 10}" y="{TOP + 17}">nothing was seen to '
            "happen</text>"
        )
    gated = sum(1 for moment in time.moments if moment.limit_us is None)
    limit, foot = (
        x(time.limit_us),
        height - FOOT if gated == len(time.moments) else TOP + ROW * gated,
    )
    parts.append(
        f'<line class="target" x1="{limit:.1f}" x2="{limit:.1f}" y1="{TOP - 4}" y2="{foot}"/>'
    )
    parts.append(
        f'<text class="note mid" x="{limit:.1f}" y="{TOP - 8}">target '
        f"{format_s(time.limit_us)}</text>"
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(time.title)}">{"".join(parts)}</svg>'
    )


def _value(moment: Moment) -> str:
    """The time, with the moment's own target where it has one."""
    own = "" if moment.limit_us is None else f" of {format_s(moment.limit_us)}"
    return format_s(moment.offset_us) + own
