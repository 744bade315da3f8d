"""A storm of one customer shows something only if it got through to the limits of customers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from seawall.scorecard.checks.fault import payouts, storm_landed
from seawall.scorecard.facts import Facts
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.run import Run
from seawall.scorecard.storm import storm_of
from tests.testing.scorecard.days import stormy
from tests.testing.scorecard.spoiling import Files, each

Alter = Callable[..., Run]


def _stormer(**changes: object) -> Callable[[Run], Files]:
    """The stormer's requests, with ``changes``."""
    return lambda run: {
        "requests": each(
            run.requests,
            lambda row: row.index > max(a.index for a in run.arrivals) - 100,
            **changes,
        )
    }


def test_a_storm_that_met_the_limits_has_landed(altered: Alter, good_run: Run) -> None:
    facts = Facts(altered(**stormy(good_run)))
    assert len(storm_of(facts)) == 100
    finding = storm_landed.answer(facts)
    assert (finding.outcome, finding.measured) == (Outcome.PASS, "4 accepted and 80 limited of 100")
    assert storm_of(Facts(good_run)) == ()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_stormer(outcome="refused", error="unauthorized"), "nothing of the storm was accepted"),
        (_stormer(outcome="accepted", error=None), "met something else"),
        (lambda run: stormy(run, limited=20), "met something else"),
    ],
    ids=["turned away at the door", "never limited", "mostly refused for another reason"],
)
def test_a_storm_that_met_something_else_shows_nothing(
    altered: Alter, good_run: Run, spoil: Callable[[Run], Files], said: str
) -> None:
    storm = stormy(good_run)
    source = good_run if "arrivals" in spoil(good_run) else altered(**storm)
    finding = storm_landed.answer(Facts(altered(**storm | spoil(source))))
    assert finding.outcome is Outcome.UNKNOWN
    assert said in finding.reason


def test_who_is_limited_on_purpose_counts_for_no_payouts(altered: Alter, good_run: Run) -> None:
    """Else a strong storm would make every run one in which hardly anybody was paid."""
    without = payouts.answer(Facts(good_run))
    within = payouts.answer(Facts(altered(**stormy(good_run))))
    assert within.measured.partition(",")[0] == without.measured.partition(",")[0]
