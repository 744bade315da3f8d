"""What the prober must have seen of a key service that refuses, and what spoils it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from seawall.conventions import faults, signing
from seawall.scorecard.checks.fault import fault_landed
from seawall.scorecard.facts import Facts
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.rows import ProbeSample
from seawall.scorecard.run import Run
from tests.testing.scorecard.faulty import CODES, refusing
from tests.testing.scorecard.spoiling import probes, us
from tests.testing.scorecard.story import APPLIED, CLEARED, EFFECTIVE, REVERTED

Alter = Callable[..., Run]
Change = Callable[[ProbeSample], ProbeSample | None]


def _answered(sample: ProbeSample) -> ProbeSample:
    detail = {**(sample.detail or {}), "result": signing.ANSWERED}
    return replace(sample, ok=True, detail=detail)


def _otherwise(sample: ProbeSample) -> ProbeSample:
    return replace(sample, detail={**(sample.detail or {}), "result": "HTTP 503"})


def _between(change: Change, starts: float, ends: float) -> Change:
    return lambda sample: change(sample) if us(starts) <= sample.at <= us(ends) else sample


def _met(sample: ProbeSample) -> ProbeSample:
    detail = {**(sample.detail or {}), "result": signing.THROTTLED}
    return replace(sample, ok=False, detail=detail)


@pytest.mark.parametrize("fault", list(CODES))
def test_what_the_prober_met_throughout_and_only_then_is_proof(
    altered: Alter, good_run: Run, fault: str
) -> None:
    finding = fault_landed.answer(Facts(altered(**refusing(good_run, fault))))
    assert finding.outcome is Outcome.PASS
    assert f"probes met {CODES[fault]}" in finding.measured


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda _: None, "did not ask the signer", id="nobody asked"),
        pytest.param(
            _between(lambda _: None, 35, 40),
            "did not ask the signer",
            id="nobody asked for a while",
        ),
        pytest.param(_answered, "it should be at least", id="every probe was served"),
        pytest.param(
            _between(_otherwise, EFFECTIVE, REVERTED),
            "it should be at least",
            id="it failed for another reason",
        ),
        pytest.param(
            _between(_answered, EFFECTIVE, 43), "it should be at least", id="half was served"
        ),
        pytest.param(
            _between(_met, 10, 11), "before the fault", id="it was throttled before the fault"
        ),
        pytest.param(
            _between(_met, CLEARED + 1, CLEARED + 2), "after the fault", id="it was throttled after"
        ),
        pytest.param(
            _between(lambda sample: replace(_otherwise(sample), ok=False), -2, APPLIED),
            "never signed for the prober before",
            id="never served before",
        ),
        pytest.param(
            _between(lambda _: None, CLEARED, 90),
            "never signed for the prober after",
            id="never served after",
        ),
    ],
)
def test_throttling_that_was_not_seen_outside_is_no_fault(
    altered: Alter, good_run: Run, change: Change, said: str
) -> None:
    files = refusing(good_run, faults.KMS_THROTTLED)
    spoiled = probes(altered(**files), "signer", change)
    finding = fault_landed.answer(Facts(altered(**files | spoiled)))
    assert finding.outcome is Outcome.UNKNOWN
    assert said in finding.reason


def test_a_region_that_signed_was_not_denied_to_sign(altered: Alter, good_run: Run) -> None:
    """The signers' own log contradicts the prober; a throttled region may still sign a little."""
    files = refusing(good_run, faults.SIGNING_DENIED)
    primary = good_run.policy.regions.primary
    late = next(row for row in good_run.signatures if row.signed_by == primary)
    signed = (*good_run.signatures, replace(late, signed_at=us(EFFECTIVE + 5)))
    finding = fault_landed.answer(Facts(altered(**files, signatures=signed)))
    assert finding.outcome is Outcome.UNKNOWN
    assert "from the dark" in finding.reason
    files = refusing(good_run, faults.KMS_THROTTLED)
    finding = fault_landed.answer(Facts(altered(**files, signatures=signed)))
    assert finding.outcome is Outcome.PASS


def test_a_denial_must_be_met_by_nearly_every_probe(altered: Alter, good_run: Run) -> None:
    files = refusing(good_run, faults.SIGNING_DENIED)
    spoiled = probes(altered(**files), "signer", _between(_answered, EFFECTIVE, EFFECTIVE + 5))
    finding = fault_landed.answer(Facts(altered(**files | spoiled)))
    assert finding.outcome is Outcome.UNKNOWN
    assert "it should be at least 90 of 100" in finding.reason
