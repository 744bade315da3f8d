"""The pace of the processors: what is slow, and that it is looked at all along."""

from __future__ import annotations

import pytest

from tests.testing import processor_pace
from tests.testing.processor_pace import SLOW_MS, ProcessorPace


@pytest.mark.parametrize(("each_ms", "slow"), [(SLOW_MS, False), (SLOW_MS + 1, True)])
def test_the_middle_of_what_was_seen_decides(
    monkeypatch: pytest.MonkeyPatch, each_ms: float, slow: bool
) -> None:
    monkeypatch.setattr(processor_pace, "addition_ms", lambda: each_ms)

    with ProcessorPace() as pace:
        pass

    assert pace.seen_ms == [each_ms]
    assert (pace.too_slow is not None) == slow


def test_one_slow_moment_excuses_nothing() -> None:
    pace = ProcessorPace()
    pace.seen_ms = [SLOW_MS, 10 * SLOW_MS, SLOW_MS]

    assert pace.too_slow is None
