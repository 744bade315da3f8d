"""Drift is between two tenths of one run, and never of its beginning."""

from __future__ import annotations

from itertools import accumulate

import pytest

from benchmarks.reservations import BATCH
from benchmarks.soak import BATCHES_MIN, rates


def test_the_last_tenth_is_compared_with_the_second() -> None:
    """The first one, in which everything is still cold, does not count."""
    took_s = [9.0] * 10 + [1.0] * 10 + [5.0] * 70 + [2.0] * 10
    assert rates([*accumulate(took_s, initial=100.0)]) == (BATCH, BATCH / 2)


def test_too_short_a_run_has_no_drift() -> None:
    with pytest.raises(ValueError, match="19 batches are too few"):
        rates([float(number) for number in range(BATCHES_MIN)])
    assert rates([float(number) for number in range(BATCHES_MIN + 1)]) == (BATCH, BATCH)
