"""A chart in SVG: lines, steps and shaded times over a shared axis of seconds, coloured by the
page's style sheet.

Made by hand, because colours must follow light and dark and a figure must not have a megabyte.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

WIDTH = 960
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 24
LETTER = 8
"""Pixels that a letter needs at most."""

Point = tuple[float, float]


@dataclass
class Chart:
    """A chart over x from ``x_low`` to ``x_high`` and y from ``y_low`` to ``y_high``, in the data's
    own units; no ``y_unit``, no y axis.
    """

    x_low: float
    x_high: float
    y_high: float
    y_low: float = 0.0
    height: int = 168
    log: bool = False
    y_unit: str | None = ""
    x_unit: str = " s"
    parts: list[str] = field(default_factory=list)

    def x(self, value: float) -> float:
        """Pixels from the left."""
        share = (value - self.x_low) / (self.x_high - self.x_low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Pixels from the top; values beyond the axis lie on its edge."""
        low, high, value = (
            math.log10(max(number, 1e-9)) if self.log else number
            for number in (self.y_low, self.y_high, value)
        )
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)

    def shade(self, starts: float, ends: float, *, style: str, label: str = "") -> None:
        """A shaded time."""
        left, right = self.x(max(self.x_low, starts)), self.x(min(self.x_high, ends))
        if right <= left:
            return
        self.parts.append(
            f'<rect class="{style}" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{self.height - TOP - BOTTOM}"/>'
        )
        if label:
            self.parts.append(
                f'<text class="note" x="{left + 5:.1f}" y="{TOP + 13}">{escape(label)}</text>'
            )

    def name(self, starts: float, ends: float, *, label: str) -> None:
        """A word in the middle of a time, if it fits."""
        left, right = self.x(max(self.x_low, starts)), self.x(min(self.x_high, ends))
        if right - left > LETTER * len(label):
            middle = self.height - BOTTOM - 8
            self.parts.append(
                f'<text class="word mid" x="{(left + right) / 2:.1f}" y="{middle}">{escape(label)}</text>'
            )

    def line(self, points: Sequence[Point], *, style: str) -> None:
        """A line through ``points``; a pause of three typical steps or more breaks it."""
        inside = [point for point in points if self.x_low <= point[0] <= self.x_high]
        if not inside:
            return
        steps = sorted(later[0] - earlier[0] for earlier, later in pairwise(inside))
        pause = 3 * steps[len(steps) // 2] if steps else math.inf
        path, last = [], -math.inf
        for at, value in inside:
            path.append(f"{'L' if at - last < pause else 'M'}{self.x(at):.1f} {self.y(value):.1f}")
            last = at
        self.parts.append(f'<path class="line {style}" d="{"".join(path)}"/>')

    def level(self, value: float, *, label: str) -> None:
        """A horizontal line with its name."""
        height = self.y(value)
        self.parts.append(
            f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>'
        )
        self.parts.append(
            f'<text class="note end" x="{WIDTH - RIGHT - 4}" y="{height - 4:.1f}">{escape(label)}</text>'
        )

    def instant(self, at: float, *, label: str = "") -> None:
        """A vertical line with its name at the head."""
        if not self.x_low <= at <= self.x_high:
            return
        self.parts.append(
            f'<line class="instant" x1="{self.x(at):.1f}" x2="{self.x(at):.1f}" y1="{TOP}" y2="{self.height - BOTTOM}"/>'
        )
        if label:
            self.parts.append(
                f'<text class="note" x="{self.x(at) + 4:.1f}" y="{TOP + 13}">{escape(label)}</text>'
            )

    def svg(self, *, title: str, over: Chart | None = None) -> str:
        """The whole chart with its axes; what is drawn in ``over`` lies on top."""
        axes = []
        for value in self._y_ticks() if self.y_unit is not None else ():
            height = self.y(value)
            axes.append(
                f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>'
            )
            axes.append(
                f'<text class="tick end" x="{LEFT - 7}" y="{height + 4:.1f}">{short(value)}{escape(self.y_unit or "")}</text>'
            )
        axes.extend(
            f'<text class="tick mid" x="{self.x(value):.1f}" y="{self.height - 7}">{short(value)}{escape(self.x_unit)}</text>'
            for value in ticks(self.x_low, self.x_high, about=12)
        )
        body = "".join((*axes, *self.parts, *(over.parts if over else ())))
        return f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(title)}">{body}</svg>'

    def _y_ticks(self) -> list[float]:
        if not self.log:
            return ticks(self.y_low, self.y_high, about=4)
        first, last = math.ceil(math.log10(self.y_low)), math.floor(math.log10(self.y_high))
        return [10.0**power for power in range(first, last + 1)]


def ticks(low: float, high: float, *, about: int) -> list[float]:
    """Round numbers from ``low`` to ``high``, roughly ``about`` of them."""
    raw = (high - low) / about
    if raw <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    first = math.ceil(low / step)
    return [round(index * step, 9) for index in range(first, math.floor(high / step) + 1)]


def short(value: float) -> str:
    """A number for an axis: 1,500,000 is ``1.5M``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
