"""The breaker, transition by transition."""

from __future__ import annotations

import pytest

from seawall.controls.breaker import (
    Breaker,
    BreakerSettings,
    after_probe,
    after_signing,
    opened,
    probe_due,
)

SETTINGS = BreakerSettings()
S = 1_000_000


def signings(*answers: bool) -> Breaker:
    """A breaker that has seen ``answers`` of the primary, one per second."""
    breaker = Breaker()
    for second, answered in enumerate(answers):
        breaker = after_signing(breaker, SETTINGS, answered=answered, now_us=second * S)
    return breaker


def probes(*answers: bool) -> Breaker:
    """A breaker opened at 0 that has seen ``answers`` to its probes."""
    breaker = opened(0)
    for second, answered in enumerate(answers, start=1):
        breaker = after_probe(breaker, SETTINGS, answered=answered, now_us=second * S)
    return breaker


@pytest.mark.parametrize(
    ("answers", "on_standby", "opened_at_us"),
    [
        ((), False, None),
        ((False,), False, None),
        ((False, True, False), False, None),
        ((False, False), True, S),
        ((True, False, False, False), True, 2 * S),
    ],
)
def test_two_failures_in_a_row_open(
    answers: tuple[bool, ...], on_standby: bool, opened_at_us: int | None
) -> None:
    """The moment of opening is that of the second failure, and later failures do not move it."""
    breaker = signings(*answers)

    assert (breaker.on_standby, breaker.opened_at_us) == (on_standby, opened_at_us)


@pytest.mark.parametrize(
    ("answers", "phase"),
    [
        ((), "open"),
        ((False,), "open"),
        ((True,), "half_open"),
        ((True,) * 4, "half_open"),
        ((True,) * 4 + (False,), "open"),
        ((True,) * 4 + (False,) + (True,) * 4, "half_open"),
        ((True,) * 5, "closed"),
    ],
)
def test_five_answers_in_a_row_close(answers: tuple[bool, ...], phase: str) -> None:
    """One unanswered probe starts the count anew."""
    assert probes(*answers).phase == phase


def test_signing_by_the_standby_moves_nothing() -> None:
    """An open breaker is not about the standby: neither its failures nor its answers count."""
    breaker = probes(True)

    assert after_signing(breaker, SETTINGS, answered=True, now_us=9 * S) == breaker
    assert after_signing(breaker, SETTINGS, answered=False, now_us=9 * S) == breaker


def test_a_late_probe_answer_leaves_a_closed_breaker_alone() -> None:
    """A probe that was under way while the breaker closed changes nothing."""
    assert after_probe(Breaker(), SETTINGS, answered=False, now_us=S) == Breaker()


def test_probes_are_due_every_second_while_open_and_never_while_closed() -> None:
    """The probe is spaced from the last one, whatever it said."""
    assert not probe_due(Breaker(), SETTINGS, 99 * S)
    assert [probe_due(opened(0), SETTINGS, at) for at in (0, S - 1, S)] == [False, False, True]
