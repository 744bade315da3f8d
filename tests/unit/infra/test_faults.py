"""The role of the fault that denies signing, as the Pulumi program declares it."""

from __future__ import annotations

import json

import pytest

from seawall.iam.evaluation import decide
from seawall.iam.request import Policies, Principal, Request
from seawall.keys import access
from tests.testing.declared import ACCOUNT, POLICY, inputs_of, statements

ROLE = f"arn:aws:iam::{ACCOUNT}:role"
FAULT = f"{ROLE}/{access.fault(POLICY).name}"
SIGNERS = f"arn:aws:iam::{ACCOUNT}:policy/seawall-harbour-boundary-signer"


def may(action: str, role: str, *, boundary: str = SIGNERS) -> bool:
    """Whether the fault role may do ``action`` with the role called ``role``."""
    attached = inputs_of("aws:iam/rolePolicy:RolePolicy")["fault"]["policy"]
    bounds = inputs_of("aws:iam/policy:Policy")["boundary-fault"]["policy"]
    request = Request(
        principal=Principal(arn=FAULT, account=ACCOUNT, role=FAULT),
        action=action,
        resource=f"{ROLE}/{role}",
        context={"iam:permissionsboundary": boundary},
    )
    return decide(request, Policies(identity=(attached,), boundary=bounds)).allowed


def test_it_writes_and_deletes_inline_policies_of_every_signers_role_and_of_no_other() -> None:
    for each in access.principals(POLICY):
        for action in ("iam:PutRolePolicy", "iam:DeleteRolePolicy"):
            assert may(action, each.name) is (each.kind == "signer"), each


@pytest.mark.parametrize(
    "action",
    [
        "iam:AttachRolePolicy",
        "iam:DeleteRolePermissionsBoundary",
        "iam:PutRolePermissionsBoundary",
        "iam:UpdateAssumeRolePolicy",
        "iam:PassRole",
        "iam:DeleteRole",
        "sts:AssumeRole",
        "iam:GetRolePolicy",
    ],
)
def test_it_does_nothing_else_to_them(action: str) -> None:
    signer = next(each for each in access.principals(POLICY) if each.kind == "signer")
    assert not may(action, signer.name)


def test_it_reaches_no_role_that_the_signers_boundary_does_not_bound() -> None:
    """Where the boundary is gone, an Allow through this door would not be harmless."""
    signer = next(each for each in access.principals(POLICY) if each.kind == "signer")
    assert not may("iam:PutRolePolicy", signer.name, boundary="")
    assert not may("iam:PutRolePolicy", signer.name, boundary=f"{SIGNERS}2")


def test_one_principal_of_its_own_may_take_it_on() -> None:
    role = inputs_of("aws:iam/role:Role")["fault"]
    trusted = json.loads(role["assumeRolePolicy"])["Statement"]
    assert [each["Principal"]["AWS"].rpartition("/")[2] for each in trusted] == ["fault-injector"]
    assert statements(role["assumeRolePolicy"])["Assume"]["Action"] == "sts:AssumeRole"
