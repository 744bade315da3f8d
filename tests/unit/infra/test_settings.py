"""A wrong stack configuration is refused with every problem at once, and what to write instead."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi.runtime import set_all_config

from infra.settings import read_settings, refuse_other_account
from seawall.conventions import environment
from seawall.errors import PolicyError, UsageError
from tests.testing.declared import POLICY_PATH, ROOT, configuration, run


def read(stack: str = "sandbox", **change: Any) -> Any:
    set_all_config(
        configuration(
            stack if stack in ("sandbox", "staging", "production") else "sandbox", **change
        )
    )
    return read_settings(pulumi.Config("seawall"), stack=stack, repository=ROOT)


def principals() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(configuration()["seawall:principals"])
    return found


@pytest.fixture(autouse=True)
def policy_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.POLICY_VARIABLE, str(POLICY_PATH))


def test_the_stacks_of_the_repository_are_well_formed() -> None:
    assert [read(stack).protected for stack in ("sandbox", "staging", "production")] == [
        False,
        True,
        True,
    ]
    assert {read(stack).lock_mode for stack in ("sandbox", "staging", "production")} == {
        "GOVERNANCE"
    }
    assert read("production", irrevocableCompliance=True).lock_mode == "COMPLIANCE"


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        read(
            "elsewhere",
            deletion="maybe",
            principals=None,
            runner={"vpc": "v"},
            indicatorsPublished="perhaps",
        )
    said = str(caught.value)
    for line in (
        "the stack: found 'elsewhere'; select one of production, sandbox, staging",
        "seawall:deletion: found 'maybe'; write protected or disposable",
        "seawall:principals.signers.us-west-2.escrow: found nothing; name the ARN",
        "seawall:principals.gamedays: found nothing",
        "seawall:runner.cluster: found None",
        "seawall:indicatorsPublished: found 'perhaps'; write true once",
    ):
        assert line in said


def _share(found: dict[str, Any]) -> None:
    found["signers"]["us-west-2"]["escrow"] = found["signers"]["us-west-2"]["customer"]


def _admin_signs(found: dict[str, Any]) -> None:
    found["admins"]["customer"] = found["signers"]["us-east-1"]["customer"]


def _anyone(found: dict[str, Any]) -> None:
    found["gamedays"] = "*"


def _root(found: dict[str, Any]) -> None:
    found["breakGlass"]["kit"] = "arn:aws:iam::123456789012:root"


def _unknown(found: dict[str, Any]) -> None:
    found["admins"]["marketing"] = "arn:aws:iam::123456789012:user/marketing"


def _no_kit(found: dict[str, Any]) -> None:
    del found["breakGlass"]["kit"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            _share,
            (
                r"signers.us-west-2.escrow: found .*customer-us-west-2'; "
                r"seawall:principals.signers.us-west-2.customer has it"
            ),
        ),
        (
            _admin_signs,
            (
                r"admins.customer: found .*; seawall:principals.signers.us-east-1.customer has "
                r"it already; give admin of"
            ),
        ),
        (_anyone, r"gamedays: found '\*'; name the ARN .* nobody else and no wildcard"),
        (_root, r"breakGlass.kit: found 'arn:aws:iam::123456789012:root'; name the ARN"),
        (_unknown, r"admins.marketing: found .*; leave it out"),
        (_no_kit, r"breakGlass.kit: found nothing"),
    ],
)
def test_principals_that_are_shared_unnamed_or_anybody_are_refused(
    spoil: Callable[[dict[str, Any]], None], said: str
) -> None:
    found = principals()
    spoil(found)
    with pytest.raises(UsageError, match=said):
        read(principals=found)


def test_the_regions_of_one_bucket_may_be_one_workload() -> None:
    found = principals()
    found["signers"]["us-west-2"]["escrow"] = found["signers"]["us-east-1"]["escrow"]
    assert read(principals=found).principals.signers["us-west-2"]["escrow"].endswith("us-east-1")


def test_what_nobody_can_undo_is_refused_in_a_disposable_stack() -> None:
    with pytest.raises(
        UsageError, match=r"irrevocableCompliance: found true in a disposable stack"
    ):
        read(irrevocableCompliance=True)


def test_a_stack_without_a_policy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(environment.POLICY_VARIABLE, raising=False)
    with pytest.raises(UsageError, match="no policy"):
        read()


def test_a_replica_region_that_equals_the_primary_is_the_policys_fault(
    tmp_path: Any, monkeypatch: Any
) -> None:
    text = (ROOT / "policies" / "production.yaml").read_text(encoding="utf-8")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        text.replace("standby: us-west-2}", "standby: us-east-1}", 1), encoding="utf-8"
    )
    monkeypatch.setenv(environment.POLICY_VARIABLE, str(wrong))
    with pytest.raises(
        PolicyError,
        match=r"regions.standby: found 'us-east-1'; name a region other than the primary",
    ):
        read()


def test_credentials_of_another_account_are_refused() -> None:
    with pytest.raises(
        UsageError,
        match=r"stack staging belongs in account 321098765432, and these .* are of 123456789012",
    ):
        refuse_other_account(read("staging"), caller="123456789012")


def test_the_program_declares_nothing_with_credentials_of_another_account() -> None:
    done = run("production", configuration("production"), account="123456789012")
    assert done.returncode != 0
    assert done.stdout == ""
    assert "belongs in account 210987654321" in done.stderr
