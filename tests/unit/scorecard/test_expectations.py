"""What a drill asks follows from what it expects: here of a drill without a fault on a calm day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from seawall.conventions import metrics
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import judge_facts
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.run import Run
from seawall.scorecard.verdict import Verdict
from tests.testing.scorecard.days import calm, declared
from tests.testing.scorecard.spoiling import Files, each, probes, us

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN
Spoil = Callable[[Run], Files]


def not_passed(verdict: Verdict) -> dict[str, Outcome]:
    """Outcome by check, of those that this drill asks and others do not, if they did not pass."""
    return {
        result.id: result.outcome
        for result in verdict.results
        if result.id in ("tiers.reached", "tiers.avoided", "page.none", "drill.payouts")
        and result.outcome is not Outcome.PASS
    }


def test_a_drill_is_asked_what_it_expects_and_nothing_else(
    altered: Callable[..., Run], good_run: Run
) -> None:
    """No fault, so nothing about faults; no target, so no time."""
    verdict = judge_facts(Facts(altered(**calm(good_run, avoids=("stressed", "protected")))))

    asked = {
        result.id for result in verdict.results if result.category not in ("safety", "customer")
    }
    assert asked == {
        "evidence.complete",
        "evidence.observers",
        "drill.calm",
        "drill.flood",
        "drill.payouts",
        "drill.no_orders",
        "experiment.sound",
        "tiers.avoided",
        "page.none",
        "reads.login",
        "reads.balances",
        "reads.status",
        "reads.follow",
        "signing.logged_by_aws",
        "signing.by_signers_only",
    }
    assert verdict.times == ()
    assert verdict.identity is not None
    assert verdict.identity.faults == ()
    assert not_passed(verdict) == {}


@pytest.mark.parametrize(
    ("spoil", "expects", "found"),
    [
        pytest.param(
            lambda run: {"flips": run.flips},
            {"avoids": ("protected",)},
            {"tiers.avoided": FAIL},
            id="a tier was committed that must be avoided",
        ),
        pytest.param(
            lambda run: {"probes": run.probes},
            {"avoids": ("protected",)},
            {"tiers.avoided": FAIL},
            id="the status named a tier that must be avoided",
        ),
        pytest.param(
            lambda run: probes(run, "status", lambda sample: None),
            {"avoids": ("protected",)},
            {"tiers.avoided": UNKNOWN},
            id="nobody asked for the status",
        ),
        pytest.param(
            lambda run: {"pages": run.pages},
            {"avoids": ("protected",)},
            {"page.none": FAIL},
            id="somebody was paged",
        ),
        pytest.param(
            lambda run: {
                "pages": each(run.pages, lambda page: True, alertname=metrics.ALERT_UNIDENTIFIED)
            },
            {"avoids": ("protected",)},
            {},
            id="a ticket was written, which wakes nobody",
        ),
        pytest.param(
            lambda run: {"pages": each(run.pages, lambda page: True, received_at=us(-1))},
            {"avoids": ("protected",)},
            {"page.none": UNKNOWN},
            id="an alert was firing from before",
        ),
        pytest.param(
            lambda run: {
                "metrics": run.metrics.model_copy(
                    update={
                        "series": tuple(
                            series.model_copy(update={"values": series.values[:30]})
                            if series.metric["__name__"] == metrics.SCRAPED
                            else series
                            for series in run.metrics.series
                        )
                    }
                )
            },
            {"avoids": ("protected",)},
            {"page.none": UNKNOWN},
            id="Prometheus recorded nothing after half a minute, although a query repeats it",
        ),
        pytest.param(
            lambda run: {"payouts": ()},
            {"avoids": ("protected",)},
            {"drill.payouts": UNKNOWN},
            id="nobody was paid on any chain",
        ),
        pytest.param(
            lambda run: {"flips": run.flips, "probes": run.probes, "pages": run.pages},
            {"reaches": ("stressed", "protected")},
            {},
            id="both tiers were reached",
        ),
        pytest.param(
            lambda run: {},
            {"reaches": ("stressed",)},
            {"tiers.reached": FAIL},
            id="a tier was never reached",
        ),
        pytest.param(
            lambda run: {"flips": run.flips},
            {"reaches": ("stressed",)},
            {"tiers.reached": UNKNOWN},
            id="a tier is in the records alone",
        ),
    ],
)
def test_tiers_and_pages_are_held_against_the_expectations(
    altered: Callable[..., Run],
    good_run: Run,
    spoil: Spoil,
    expects: dict[str, Any],
    found: dict[str, Outcome],
) -> None:
    """One thing differs from a calm day."""
    run = altered(**calm(good_run, **expects) | spoil(good_run))

    assert not_passed(judge_facts(Facts(run))) == found


def test_a_page_of_an_earlier_drill_is_not_counted(
    altered: Callable[..., Run], good_run: Run
) -> None:
    """The pager keeps what arrived before this drill began, and that it was resolved."""
    early = each(good_run.pages, lambda page: True, received_at=us(-2))
    resolved = each(good_run.pages, lambda page: True, received_at=us(-1), status="resolved")
    files = calm(good_run, avoids=("protected",))

    run = altered(**files | {"pages": (*early, *resolved)})

    assert not_passed(judge_facts(Facts(run))) == {}


def test_a_tier_of_an_earlier_drill_is_not_reached_by_this_one(
    altered: Callable[..., Run], good_run: Run
) -> None:
    """It lasted into the run, but it began before it."""
    early = tuple(
        replace(flip, committed_at=us(-1)) for flip in good_run.flips if flip.tier == "stressed"
    )[:1]
    run = altered(**calm(good_run, reaches=("stressed",)) | {"flips": early})

    assert not_passed(judge_facts(Facts(run))) == {"tiers.reached": FAIL}


@pytest.mark.parametrize(
    ("day", "expects", "checks"),
    [
        (calm, {"avoids": ("stressed", "protected")}, {"tiers.avoided", "page.none"}),
        (declared, {"reaches": ("stressed", "protected")}, {"tiers.reached"}),
    ],
)
def test_a_tier_that_a_person_ordered_proves_nothing_of_the_mode_controller(
    day: Callable[..., Files],
    expects: dict[str, Any],
    checks: set[str],
    altered: Callable[..., Run],
    good_run: Run,
) -> None:
    """Nor does one that was avoided because somebody held the venue in normal."""
    asked = altered(**day(good_run, **expects))
    alone = judge_facts(Facts(asked))
    assert {alone.result(check).outcome for check in checks} == {Outcome.PASS}

    orders = (*good_run.orders, replace(good_run.orders[0], ended_at=us(20), ended_by="kim"))
    verdict = judge_facts(Facts(altered(**day(good_run, **expects), orders=orders)))

    for check in checks:
        found = verdict.result(check)
        assert found.outcome is UNKNOWN
        assert found.reason.startswith("order 1 of kim (at_least stressed), made 88")
        assert found.details[0].startswith("PASS by what was seen")


@pytest.mark.parametrize(
    ("changes", "settling_s"),
    [
        (lambda run: {}, 5),
        # an earlier drill's, over before this run
        (lambda run: {"flips": each(run.flips, lambda _: True, committed_at=us(-1))}, 5),
        (lambda run: {"flips": run.flips}, 10),
        (lambda run: {"probes": run.probes}, 10),
    ],
)
def test_a_tier_machine_that_never_left_normal_is_watched_for_a_window_and_no_longer(
    changes: Spoil, settling_s: int, altered: Callable[..., Run], good_run: Run
) -> None:
    """It held nothing back. Records and status must both say so."""
    run = altered(**calm(good_run, targets=("recovery_max",)) | changes(good_run))

    assert Facts(run).settling_us == settling_s * 1_000_000
