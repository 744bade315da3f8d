"""A lost database: what else customers were told is listed, or it is said that nobody can know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from seawall.conventions import metrics
from seawall.conventions.promises import COUNTED_AS, PROMISE_KINDS
from seawall.scorecard.checks.database import promises
from seawall.scorecard.facts import Facts
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import SECOND
from seawall.scorecard.rows import ProbeSample
from seawall.scorecard.run import Run
from tests.testing.scorecard.faulty import lost
from tests.testing.scorecard.spoiling import Files, Spoil, each, us, without
from tests.testing.scorecard.story import EFFECTIVE, STARTS, ZERO

Alter = Callable[..., Run]
FAIL, PASS, UNKNOWN = Outcome.FAIL, Outcome.PASS, Outcome.UNKNOWN


def swapped(run: Run) -> list[ProbeSample]:
    """The prober's swaps that were acknowledged before the loss."""
    return [each for each in run.probes["swap"] if each.ok and each.done_at < us(EFFECTIVE)]


def forgotten(run: Run, *samples: ProbeSample) -> Files:
    """The venue has these swaps on no record."""
    ids = {(sample.detail or {})["id"] for sample in samples}
    return {"promises": without(run.promises, lambda row: row.id in ids)}


def counted(run: Run, operation: str, *, more: int, at_s: float = EFFECTIVE - 5) -> Files:
    """The api counts so many more of ``operation`` from that moment on."""
    series = tuple(
        one.model_copy(
            update={
                "values": tuple(
                    (at, value + (more if at >= ZERO + at_s else 0)) for at, value in one.values
                )
            }
        )
        if one.metric.get("__name__") == metrics.REQUESTS
        and one.metric.get("operation") == operation
        else one
        for one in run.metrics.series
    )
    return {"metrics": run.metrics.model_copy(update={"series": series})}


def test_every_promise_that_is_lost_is_listed_with_its_kind(altered: Alter, good_run: Run) -> None:
    run = altered(**lost(good_run))
    early, late = swapped(run)[0], swapped(run)[-1]
    finding = promises.answer(Facts(altered(**run.__dict__ | forgotten(run, early, late))))

    assert finding.outcome is FAIL
    assert finding.measured.startswith("2 lost of ")
    ids = [(sample.detail or {})["id"] for sample in (early, late)]
    assert [detail.partition(",")[0] for detail in finding.details] == [f"swap {i}" for i in ids]
    assert all("before the loss; it is on no chain" in each for each in finding.details)


def test_nothing_is_missing_where_all_is_on_record(altered: Alter, good_run: Run) -> None:
    finding = promises.answer(Facts(altered(**lost(good_run))))

    assert (finding.outcome, finding.reason) == (PASS, "the ledger knows all of them")


@pytest.mark.parametrize("kind", [kind for kind in PROMISE_KINDS if kind in COUNTED_AS])
def test_what_the_api_acknowledged_and_no_log_names_is_not_known(
    altered: Alter, good_run: Run, kind: str
) -> None:
    """Somebody was told; whether it is lost only the lost database could say."""
    run = altered(**lost(good_run))
    operation = next(label for each, label in COUNTED_AS.items() if each == kind)
    more = altered(**run.__dict__ | counted(run, operation, more=2))
    finding = promises.answer(Facts(more))

    assert finding.outcome is UNKNOWN
    assert f"acknowledged 2 {kind}s before the loss that no log" in finding.reason
    assert "nobody can say whether they are lost" in finding.reason

    listed = promises.answer(Facts(altered(**more.__dict__ | forgotten(run, swapped(run)[0]))))
    assert listed.outcome is FAIL
    assert any("not all is known" in each for each in listed.details)


CASES: dict[str, tuple[Spoil, int, Outcome]] = {
    "one within what the policy says may be lost": (
        lambda run: forgotten(run, swapped(run)[-1]),
        12_000,
        PASS,
    ),
    "an older one": (lambda run: forgotten(run, swapped(run)[0]), 12_000, FAIL),
    "others were told something after the loss alone": (
        lambda run: counted(run, "bid", more=2, at_s=EFFECTIVE + 2),
        0,
        PASS,
    ),
    "others had been told something before the drill": (
        lambda run: counted(run, "bid", more=2, at_s=-20),
        0,
        PASS,
    ),
    "an answer that did not come may have been one": (
        lambda run: (
            counted(run, "swap", more=1)
            | {
                "probes": run.probes
                | {
                    "swap": (
                        replace(
                            swapped(run)[0], ok=False, at=us(STARTS), detail={"error": "timeout"}
                        ),
                        *run.probes["swap"],
                    )
                }
            }
        ),
        0,
        PASS,
    ),
    "an answer that was a refusal was none": (
        lambda run: (
            counted(run, "swap", more=1)
            | {
                "probes": run.probes
                | {
                    "swap": (
                        replace(
                            swapped(run)[0], ok=False, at=us(STARTS), detail={"code": "suspended"}
                        ),
                        *run.probes["swap"],
                    )
                }
            }
        ),
        0,
        UNKNOWN,
    ),
    "nobody counts": (
        lambda run: {
            "metrics": run.metrics.model_copy(
                update={
                    "series": tuple(
                        one
                        for one in run.metrics.series
                        if one.metric.get("__name__") != metrics.REQUESTS
                    )
                }
            )
        },
        0,
        UNKNOWN,
    ),
    "the api began to count anew": (
        lambda run: {
            "metrics": run.metrics.model_copy(
                update={
                    "series": tuple(
                        one.model_copy(
                            update={
                                "values": tuple(
                                    (at, 1.0 if at >= ZERO + 5 else value)
                                    for at, value in one.values
                                )
                            }
                        )
                        if one.metric.get("operation") == "bid"
                        else one
                        for one in run.metrics.series
                    )
                }
            )
        },
        0,
        UNKNOWN,
    ),
    "nothing was acknowledged": (
        lambda run: (
            counted(run, "swap", more=-len(swapped(run)))
            | {
                "probes": run.probes
                | {
                    "swap": each(
                        run.probes["swap"],
                        lambda sample: sample.at < us(EFFECTIVE) + SECOND,
                        ok=False,
                        detail={"code": "suspended"},
                    )
                }
            }
        ),
        0,
        UNKNOWN,
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_what_counts_as_lost_or_as_not_known(altered: Alter, good_run: Run, what: str) -> None:
    spoil, rpo_ms, outcome = CASES[what]
    run = altered(**lost(good_run, rpo_ms=rpo_ms))
    finding = promises.answer(Facts(altered(**run.__dict__ | spoil(run))))

    assert finding.outcome is outcome, finding


def test_the_check_says_itself_that_what_nobody_can_know_is_unknown() -> None:
    """Whoever reads the list of checks must not take a PASS for more than it is."""
    assert "UNKNOWN" in promises.motivation
    assert "no chain shows" in promises.motivation
