"""The role that looks up who signed, as the Pulumi program declares it."""

from __future__ import annotations

import json

import pytest

from seawall.iam.evaluation import decide
from seawall.iam.request import Policies, Principal, Request
from seawall.keys import access
from tests.testing.declared import ACCOUNT, POLICY, inputs_of

AUDIT = f"arn:aws:iam::{ACCOUNT}:role/{access.audit(POLICY).name}"


def may(action: str, resource: str = "*") -> bool:
    """Whether the audit role may do ``action``, by its policy and its boundary."""
    attached = inputs_of("aws:iam/rolePolicy:RolePolicy")["audit"]["policy"]
    bounds = inputs_of("aws:iam/policy:Policy")["boundary-audit"]["policy"]
    request = Request(
        principal=Principal(arn=AUDIT, account=ACCOUNT, role=AUDIT),
        action=action,
        resource=resource,
        context={},
    )
    return decide(request, Policies(identity=(attached,), boundary=bounds)).allowed


def test_it_looks_up_events() -> None:
    assert may("cloudtrail:LookupEvents")


@pytest.mark.parametrize(
    "action",
    [
        "cloudtrail:DescribeTrails",
        "cloudtrail:StopLogging",
        "cloudtrail:DeleteTrail",
        "cloudtrail:PutEventSelectors",
        "kms:Sign",
        "kms:GetPublicKey",
        "iam:PutRolePolicy",
        "s3:GetObject",
        "sts:AssumeRole",
    ],
)
def test_it_does_nothing_else(action: str) -> None:
    assert not may(action)


def test_one_principal_of_its_own_may_take_it_on() -> None:
    role = inputs_of("aws:iam/role:Role")["audit"]
    trusted = json.loads(role["assumeRolePolicy"])["Statement"]
    assert [each["Principal"]["AWS"].rpartition("/")[2] for each in trusted] == ["auditor"]
