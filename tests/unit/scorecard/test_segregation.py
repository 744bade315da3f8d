"""A matrix that differs in one cell is named by that cell; what was not tried proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from seawall.keys import access
from seawall.keys.access import Cell
from seawall.policy_file import load_policy
from seawall.scorecard.checks.segregation import CHECKS as ASKED
from seawall.scorecard.facts import Facts
from seawall.scorecard.one_control import Found, Proof, Stray, Trial, Tried, cells_of
from seawall.scorecard.outcome import Finding, Outcome
from seawall.scorecard.run import Run

POLICY = load_policy(Path(__file__).resolve().parents[3] / "policies" / "sandbox.yaml")
CELLS = cells_of(POLICY, protected=False)
KEYS = [(key.name, region) for key in access.keys(POLICY) for region in access.regions(POLICY)]
ADDRESS = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"
CHECKS = {
    "segregation.complete",
    "segregation.matrix",
    "segregation.one_signer",
    "segregation.buckets_apart",
    "control.keys",
    "control.logged",
    "segregation.fault_role",
    "segregation.door",
}


MATRIX = ("segregation.matrix", "segregation.one_signer", "segregation.buckets_apart")


def trial(cell: Cell, found: Found | None = None) -> Trial:
    expected = Found.ALLOWED if cell.allowed else Found.DENIED
    return Trial(cell=cell, found=found or expected, code="success", on="key")


TRIALS = [trial(cell) for cell in CELLS]
PROOFS = [
    Proof(
        name=name,
        region=region,
        declared=ADDRESS,
        recovered=ADDRESS,
        logged=True,
        reason="",
        text="",
    )
    for name, region in KEYS
]


ACCOUNT = POLICY.accounts["sandbox"]
OBSERVED = {cell.principal.name: ACCOUNT for cell in CELLS}
BEHIND = [each for each in TRIALS if each.cell.principal.kind == "signer"]
BESIDE = [
    Stray(
        action="iam:DeleteRolePolicy", role="a", allowed=True, found=Found.ALLOWED, code="success"
    ),
    Stray(action="iam:PutRolePolicy", role="b", allowed=False, found=Found.DENIED, code="no"),
]


def judged(
    trials: list[Trial] = TRIALS,
    proofs: list[Proof] = PROOFS,
    *,
    beside: list[Stray] = BESIDE,
    behind: list[Trial] = BEHIND,
    observed: Mapping[str, str] = OBSERVED,
    account: str | None = ACCOUNT,
) -> dict[str, Finding]:
    run = Run(Path())
    vars(run)["segregation"] = Tried(
        account=account,
        observed_accounts=observed,
        protected=False,
        dry_run=False,
        harm=True,
        cells=CELLS,
        trials=tuple(trials),
        proofs=tuple(proofs),
        cold=("customer-aster-cold",),
        beside=tuple(beside),
        behind=tuple(behind),
    )
    return {check.id: check.answer(Facts(run)) for check in ASKED}


def turned(findings: dict[str, Finding]) -> dict[str, Outcome]:
    return {
        check: finding.outcome
        for check, finding in findings.items()
        if finding.outcome is not Outcome.PASS
    }


def where(
    action: str, *, kind: str, key: str, region: str, bucket: str | None = None
) -> Callable[[Trial], bool]:
    def matches(each: Trial) -> bool:
        cell = each.cell
        return (cell.tried.action, cell.principal.kind, cell.key.name, cell.region) == (
            action,
            kind,
            key,
            region,
        ) and (bucket is None or cell.principal.bucket == bucket)

    return matches


def changed(matches: Callable[[Trial], bool], found: Found) -> list[Trial]:
    assert any(map(matches, TRIALS))
    return [replace(each, found=found) if matches(each) else each for each in TRIALS]


def test_what_the_policy_declares_passes_and_says_what_is_not_proven() -> None:
    findings = judged()
    assert set(findings) == CHECKS
    assert turned(findings) == {}
    assert "customer-aster-cold" in findings["control.keys"].reason


def test_answers_of_another_account_prove_nothing_of_this_one() -> None:
    """AWS's own word of each principal is held against the policy's."""
    someone = next(iter(OBSERVED))
    for judgement in (
        judged(observed=OBSERVED | {someone: POLICY.accounts["staging"]}),
        judged(observed={name: said for name, said in OBSERVED.items() if name != someone}),
        judged(account=POLICY.accounts["production"]),
        judged(account=None),
    ):
        assert turned(judgement) == {"segregation.complete": Outcome.UNKNOWN}
        assert judgement["segregation.complete"].reason.startswith(f"{someone} is of account")


def test_an_allow_through_the_door_of_the_fault_role_must_add_nothing() -> None:
    """It is compared with what was found without it, and an untried cell proves nothing."""
    index = next(number for number, each in enumerate(BEHIND) if not each.cell.allowed)
    stray = replace(BEHIND[index], found=Found.ALLOWED)
    more = [*BEHIND[:index], stray, *BEHIND[index + 1 :]]
    assert turned(judged(behind=more)) == {"segregation.door": Outcome.FAIL}
    assert judged(behind=more)["segregation.door"].details == (stray.sentence(),)
    same = [stray if each.cell == stray.cell else each for each in TRIALS]
    assert judged(same, behind=more)["segregation.door"].outcome is Outcome.PASS
    for untried in (BEHIND[1:], [], [replace(each, found=Found.DENIED) for each in BEHIND]):
        assert turned(judged(behind=untried)) == {"segregation.door": Outcome.UNKNOWN}
    unclear = [replace(BEHIND[0], found=Found.UNCLEAR), *BEHIND[1:]]
    assert turned(judged(behind=unclear)) == {"segregation.door": Outcome.UNKNOWN}


@pytest.mark.parametrize(
    ("beside", "outcome"),
    [
        ([BESIDE[0], replace(BESIDE[1], found=Found.ALLOWED)], Outcome.FAIL),
        ([replace(BESIDE[0], found=Found.DENIED), BESIDE[1]], Outcome.FAIL),
        ([BESIDE[0], replace(BESIDE[1], found=Found.UNCLEAR)], Outcome.UNKNOWN),
        ([BESIDE[1]], Outcome.UNKNOWN),
        ([], Outcome.UNKNOWN),
    ],
)
def test_a_fault_role_does_what_it_is_for_and_nothing_beside_it(
    beside: list[Stray], outcome: Outcome
) -> None:
    assert turned(judged(beside=beside)) == {"segregation.fault_role": outcome}


def test_a_stray_allow_is_named_as_exactly_that_cell() -> None:
    stray = next(
        each
        for each in TRIALS
        if each.cell.principal.wallet == "treasury-aster-hot"
        and each.cell.principal.region == each.cell.region == "us-west-2"
        and each.cell.key.name == "customer-aster-hot"
        and each.cell.tried.action == "kms:Sign"
    )
    findings = judged(
        [replace(each, found=Found.ALLOWED) if each is stray else each for each in TRIALS]
    )
    assert turned(findings) == dict.fromkeys(
        ("segregation.matrix", "segregation.one_signer", "segregation.buckets_apart"), Outcome.FAIL
    )
    assert len(findings["segregation.matrix"].details) == 1
    assert findings["segregation.matrix"].reason.startswith(
        f"{stray.cell.principal.name} may kms:Sign with customer-aster-hot in us-west-2;"
        " the policy denies it"
    )


@pytest.mark.parametrize(
    ("trials", "wanted"),
    [
        pytest.param(
            changed(
                where(
                    "kms:Sign",
                    kind="signer",
                    key="escrow-aster-hot",
                    region="us-east-1",
                    bucket="escrow",
                ),
                Found.DENIED,
            ),
            {"segregation.matrix": Outcome.FAIL, "segregation.one_signer": Outcome.FAIL},
            id="a signer cannot sign with its own key",
        ),
        pytest.param(
            changed(
                where(
                    "kms:DisableKey",
                    kind="break-glass",
                    key="escrow-aster-hot",
                    region="us-east-1",
                    bucket="escrow",
                ),
                Found.DENIED,
            ),
            {"segregation.matrix": Outcome.FAIL},
            id="break-glass cannot stop its key",
        ),
        pytest.param(
            changed(
                where(
                    "kms:PutKeyPolicy",
                    kind="admin",
                    key="escrow-aster-hot",
                    region="us-east-1",
                    bucket="treasury",
                ),
                Found.ALLOWED,
            ),
            {"segregation.matrix": Outcome.FAIL, "segregation.buckets_apart": Outcome.FAIL},
            id="an admin writes the policy of another bucket's key",
        ),
        pytest.param(
            changed(
                where("kms:Sign", kind="deployer", key="escrow-aster-hot", region="us-east-1"),
                Found.ALLOWED,
            ),
            {"segregation.matrix": Outcome.FAIL, "segregation.one_signer": Outcome.FAIL},
            id="the deployer signs",
        ),
        pytest.param(
            changed(
                where("kms:Sign", kind="kit", key="escrow-aster-hot", region="us-east-1"),
                Found.UNCLEAR,
            ),
            {"segregation.complete": Outcome.UNKNOWN, "segregation.one_signer": Outcome.UNKNOWN},
            id="one cell gave no clear answer",
        ),
        pytest.param(
            TRIALS[1:],
            {"segregation.complete": Outcome.UNKNOWN, "segregation.one_signer": Outcome.UNKNOWN},
            id="one cell was not tried",
        ),
        pytest.param(
            [],
            dict.fromkeys((*MATRIX, "segregation.complete"), Outcome.UNKNOWN),
            id="nothing was tried",
        ),
        pytest.param(
            [replace(each, found=Found.DENIED) for each in TRIALS],
            {
                "segregation.matrix": Outcome.FAIL,
                "segregation.one_signer": Outcome.FAIL,
                "segregation.buckets_apart": Outcome.UNKNOWN,
            },
            id="everything is denied: a wall is no segregation",
        ),
    ],
)
def test_every_check_of_the_matrix_fails_or_is_unknown_for_some_trials(
    trials: list[Trial], wanted: dict[str, Outcome]
) -> None:
    assert turned(judged(trials)) == wanted


@pytest.mark.parametrize(
    ("proofs", "wanted"),
    [
        pytest.param(
            [replace(PROOFS[0], recovered="0x" + "1" * 40), *PROOFS[1:]],
            {"control.keys": Outcome.FAIL},
            id="another key answers",
        ),
        pytest.param(
            [replace(PROOFS[0], recovered=None), *PROOFS[1:]],
            {"control.keys": Outcome.UNKNOWN},
            id="a key is silent",
        ),
        pytest.param(PROOFS[1:], {"control.keys": Outcome.UNKNOWN}, id="a key was not asked"),
        pytest.param(
            [replace(PROOFS[0], logged=False), *PROOFS[1:]],
            {"control.logged": Outcome.FAIL},
            id="the log lacks one",
        ),
        pytest.param(
            [],
            {"control.keys": Outcome.UNKNOWN, "control.logged": Outcome.UNKNOWN},
            id="no key was asked",
        ),
        pytest.param(
            [replace(proof, logged=None) for proof in PROOFS],
            {"control.logged": Outcome.UNKNOWN},
            id="no key answered through a signer",
        ),
    ],
)
def test_every_check_of_key_control_fails_or_is_unknown_for_some_proofs(
    proofs: list[Proof], wanted: dict[str, Outcome]
) -> None:
    assert turned(judged(proofs=proofs)) == wanted
