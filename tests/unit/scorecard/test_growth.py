"""By how much a counter grew, over all series that have its labels and over restarts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from seawall.scorecard.facts import Facts
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import Metrics, Series
from seawall.scorecard.run import Run
from seawall.scorecard.series import growth

COUNTER = "asked_total"
Values = list[float]


def _grown(*series: Values, starts: float = 2, ends: float = 4) -> float | None:
    """The growth from ``starts`` to ``ends`` of series with a value at each second."""
    recorded = [
        Series(
            metric={"__name__": COUNTER, "side": "primary", "instance": str(number)},
            values=tuple((float(at), value) for at, value in enumerate(values)),
        )
        for number, values in enumerate(series)
    ]
    other = Series(metric={"__name__": COUNTER, "side": "standby"}, values=((3.0, 1_000.0),))
    run = Run(Path())
    vars(run)["metrics"] = Metrics(step_s=1, series=(*recorded, other))
    since, until = (Instant(int(moment * SECOND)) for moment in (starts, ends))
    return growth(Facts(run), COUNTER, {"side": "primary"}, starts=since, ends=until)


@pytest.mark.parametrize(
    ("series", "grown"),
    [
        pytest.param([[0, 5, 7, 8, 10, 99]], 3, id="from the last until the start to that at end"),
        pytest.param([[7, 7, 7, 7, 7], [1, 1, 1, 4, 4]], 3, id="the second series grew"),
        pytest.param([[0, 0, 1, 2, 3], [0, 0, 1, 4, 4]], 5, id="both grew"),
        pytest.param([[90, 95, 100, 2, 6]], 6, id="it began again"),
        pytest.param([[90, 95, 100, 120, 3]], 23, id="it grew and began again"),
        pytest.param([[90, 3, 4, 5, 5]], 1, id="it began again before the start"),
        pytest.param([[0, 0, 1, math.nan, 3]], 2, id="a value that is no number"),
        pytest.param([[], [0, 0, 1, 2, 3]], 2, id="one has no samples"),
        pytest.param([[5]], 0, id="it ended before the start"),
    ],
)
def test_growth_is_of_all_series_and_goes_on_after_a_restart(
    series: list[Values], grown: float
) -> None:
    assert _grown(*series) == grown


def test_a_counter_that_appears_meanwhile_began_from_zero() -> None:
    assert _grown([4, 6], starts=-1) == 6


@pytest.mark.parametrize("series", [[], [[]], [[math.nan]]])
def test_without_any_sample_of_the_labels_nothing_is_known(series: list[Values]) -> None:
    assert _grown(*series) is None
