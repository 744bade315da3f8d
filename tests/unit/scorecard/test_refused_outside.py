"""What the prober must have seen of a key service that refuses, and what spoils it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from seawall.conventions import faults, signing
from seawall.experiments import experiment_of
from seawall.policy import PlannedFault, Policy
from seawall.scorecard.checks.fault import fault_landed
from seawall.scorecard.facts import Facts
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import ProbeSample
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiling import Files, probes, us
from tests.testing.scorecard.story import APPLIED, CLEARED, DRILL, EFFECTIVE, REVERTED

Alter = Callable[..., Run]
Change = Callable[[ProbeSample], ProbeSample | None]
CODES = {faults.KMS_THROTTLED: signing.THROTTLED, faults.SIGNING_DENIED: signing.DENIED}
PARAMETERS = {faults.KMS_THROTTLED: {"throttled": "0.9"}, faults.SIGNING_DENIED: {"margin": "30s"}}


def _refused(run: Run, fault: str) -> Files:
    """The run's fault is ``fault``; the prober asks both signers once a second and sees it."""
    parameters = PARAMETERS.get(fault, {})
    first = run.drill.faults[0]
    planned = PlannedFault.model_construct(
        fault=fault,
        target=first.target,
        after=first.after,
        length=first.length,
        parameters=parameters,
    )
    drill = run.drill.model_copy(update={"faults": (planned,)})
    policy: Policy = run.policy.model_copy(update={"drills": {DRILL: drill}})
    samples = [
        _sample(
            region,
            second,
            CODES[fault] if meets and EFFECTIVE <= second + 0.5 <= REVERTED else None,
        )
        for second in range(-1, 80)
        for region, meets in (
            (run.policy.regions.primary, second % 10 != 0 or fault != faults.KMS_THROTTLED),
            (run.policy.regions.standby, False),
        )
    ]
    return {
        "policy": policy,
        "drill": drill,
        "journal": run.journal | {"experiment": experiment_of(policy, DRILL)},
        "timeline": tuple(
            replace(line, detail=line.detail | {"fault": fault, "parameters": parameters})
            if line.event.startswith("fault.") and line.detail is not None
            else line
            for line in run.timeline
        ),
        "probes": run.probes | {"signer": tuple(samples)},
    }


def _sample(region: str, second: int, code: str | None) -> ProbeSample:
    at = us(second + 0.5)
    return ProbeSample(
        at=at,
        done_at=Instant(at + SECOND // 100),
        probe="signer",
        ok=code is None,
        detail={"region": region, "result": code or signing.ANSWERED},
    )


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
    finding = fault_landed.answer(Facts(altered(**_refused(good_run, fault))))
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
    files = _refused(good_run, faults.KMS_THROTTLED)
    spoiled = probes(altered(**files), "signer", change)
    finding = fault_landed.answer(Facts(altered(**files | spoiled)))
    assert finding.outcome is Outcome.UNKNOWN
    assert said in finding.reason


def test_a_region_that_signed_was_not_denied_to_sign(altered: Alter, good_run: Run) -> None:
    """The signers' own log contradicts the prober; a throttled region may still sign a little."""
    files = _refused(good_run, faults.SIGNING_DENIED)
    primary = good_run.policy.regions.primary
    late = next(row for row in good_run.signatures if row.signed_by == primary)
    signed = (*good_run.signatures, replace(late, signed_at=us(EFFECTIVE + 5)))
    finding = fault_landed.answer(Facts(altered(**files, signatures=signed)))
    assert finding.outcome is Outcome.UNKNOWN
    assert "from the dark" in finding.reason
    files = _refused(good_run, faults.KMS_THROTTLED)
    finding = fault_landed.answer(Facts(altered(**files, signatures=signed)))
    assert finding.outcome is Outcome.PASS


def test_a_denial_must_be_met_by_nearly_every_probe(altered: Alter, good_run: Run) -> None:
    files = _refused(good_run, faults.SIGNING_DENIED)
    spoiled = probes(altered(**files), "signer", _between(_answered, EFFECTIVE, EFFECTIVE + 5))
    finding = fault_landed.answer(Facts(altered(**files | spoiled)))
    assert finding.outcome is Outcome.UNKNOWN
    assert "it should be at least 90 of 100" in finding.reason
