"""Nothing is tried on a stack whose principals are of another account than it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from seawall.drill.segregation.deployments import on_deployment
from seawall.drill.segregation.run import DrilledStack, drill_segregation
from seawall.drill.segregation.trial import Means
from seawall.errors import ExitCode, UsageError
from seawall.formats.atomic import write_whole
from seawall.keys import access
from seawall.keys.access import Principal
from seawall.policy_file import load_policy
from tests.testing.deployments import make_deployment

POLICY = load_policy(Path(__file__).resolve().parents[3] / "policies" / "sandbox.yaml")
KEY = {"key_id": "k", "address": "0x1"}
OUTPUTS = {
    "policy_digest": POLICY.infrastructure_digest,
    "signers": dict.fromkeys(POLICY.signing_wallets(), KEY),
    "approvers": dict.fromkeys(POLICY.approver_roles(), KEY),
}


class Elsewhere:
    """All principals in ``account`` but ``stray``, who is in production's; nothing else works."""

    def __init__(self, account: str, stray: str | None = None) -> None:
        self.account, self.stray = account, stray

    def sts(self, principal: Principal, _region: str) -> Any:
        """Of each principal."""
        return type(
            "Sts",
            (),
            {
                "get_caller_identity": lambda _: {
                    "Account": POLICY.accounts["production"]
                    if principal.name == self.stray
                    else self.account
                }
            },
        )()


def drilled(stack: str, actors: Elsewhere) -> DrilledStack:
    return DrilledStack(
        policy=POLICY,
        stack=stack,
        outputs=OUTPUTS,
        actors=cast("Any", actors),
        means=Means(dry_run=True, harm=False),
    )


@pytest.mark.parametrize(
    ("stack", "actors"),
    [
        ("production", Elsewhere(POLICY.accounts["staging"])),
        ("staging", Elsewhere(POLICY.accounts["production"])),
        ("staging", Elsewhere(POLICY.accounts["staging"], stray=access.fault(POLICY).name)),
    ],
)
def test_principals_of_another_account_are_refused_before_anything_is_tried(
    stack: str, actors: Elsewhere
) -> None:
    """Else the gate of production would be green for what staging answered."""
    with pytest.raises(UsageError, match=f"belongs in {POLICY.accounts[stack]}") as refused:
        drill_segregation(drilled(stack, actors), report=lambda _line: None)
    assert refused.value.exit_code is ExitCode.USAGE


def test_what_aws_said_of_every_principal_is_kept() -> None:
    account = POLICY.accounts["staging"]
    seen = drilled("staging", Elsewhere(account)).observed(access.principals(POLICY))
    assert seen == {each.name: account for each in access.principals(POLICY)}


def test_a_deployment_must_not_contradict_the_policys_account(tmp_path: Path) -> None:
    write_whole(tmp_path / "outputs.json", "{}")
    deployment = make_deployment(
        tmp_path,
        kind="staging",
        stack="staging",
        account=POLICY.accounts["production"],
        outputs=str(tmp_path / "outputs.json"),
    )
    with pytest.raises(UsageError, match="says account"):
        on_deployment(deployment, POLICY)
