"""Worked examples of permission boundaries.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html, in its order.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.testing.iam_requests import allow, deny, may, user

SHIRLEY, ZHANG, NIKHIL = user("ShirleyRodriguez"), user("Zhang"), user("Nikhil")
SHIRLEYS_BOUNDARY = [allow(["s3:*", "cloudwatch:*", "ec2:*"])]


@pytest.mark.parametrize(
    ("allowed", "action", "identity"),
    [
        pytest.param(
            False, "s3:ListAllMyBuckets", [], id="a boundary provides no permission on its own"
        ),
        pytest.param(
            False,
            "iam:CreateUser",
            [allow("iam:CreateUser")],
            id="what the boundary lacks fails, though a policy allows it",
        ),
        pytest.param(True, "s3:ListAllMyBuckets", [allow("s3:*")], id="what both allow is allowed"),
    ],
)
def test_shirley_stays_within_her_boundary(
    allowed: bool, action: str, identity: list[dict[str, Any]]
) -> None:
    assert may(SHIRLEY, action, "*", identity=identity, boundary=SHIRLEYS_BOUNDARY) is allowed


COMPANY = "arn:aws:iam::123456789012:policy/XCompanyBoundaries"
DELEGATED = "arn:aws:iam::123456789012:policy/DelegatedUserBoundary"
ZHANGS_BOUNDARY = [
    allow(
        [
            "iam:AttachUserPolicy",
            "iam:CreateUser",
            "iam:DeleteUserPolicy",
            "iam:PutUserPermissionsBoundary",
            "iam:PutUserPolicy",
        ],
        Condition={"StringEquals": {"iam:PermissionsBoundary": COMPANY}},
    ),
    {
        "Effect": "Allow",
        "Action": [
            "cloudwatch:*",
            "iam:CreateAccessKey",
            "iam:CreatePolicy",
            "iam:DeletePolicy",
            "iam:GetUser",
            "iam:ListUsers",
        ],
        "NotResource": "arn:aws:iam::123456789012:user/Maria",
    },
    deny(
        [
            "iam:CreatePolicyVersion",
            "iam:DeletePolicy",
            "iam:DeletePolicyVersion",
            "iam:SetDefaultPolicyVersion",
        ],
        [COMPANY, DELEGATED],
    ),
    deny("iam:DeleteUserPermissionsBoundary"),
]
ZHANGS_PERMISSIONS = [
    allow("iam:*"),
    allow(["cloudwatch:GetDashboard", "cloudwatch:ListDashboards", "cloudwatch:ListMetrics"]),
    allow("s3:ListBucket", "arn:aws:s3:::ZhangBucket"),
]


def iam(kind: str, name: str) -> str:
    return f"arn:aws:iam::123456789012:{kind}/{name}"


@pytest.mark.parametrize(
    ("allowed", "action", "resource", "boundary"),
    [
        pytest.param(
            False,
            "iam:CreateUser",
            iam("user", "Nikhil"),
            None,
            id="task 4.4: without a boundary, refused",
        ),
        pytest.param(
            True,
            "iam:CreateUser",
            iam("user", "Nikhil"),
            COMPANY,
            id="task 4.6: with the company's, created",
        ),
        pytest.param(
            False,
            "iam:CreateUser",
            iam("user", "Nikhil"),
            DELEGATED,
            id="with another boundary, refused",
        ),
        pytest.param(
            True, "iam:CreateAccessKey", iam("user", "Nikhil"), None, id="keys for anyone"
        ),
        pytest.param(False, "iam:CreateAccessKey", iam("user", "Maria"), None, id="but Maria"),
        pytest.param(
            False, "iam:DeletePolicy", COMPANY, None, id="no edit of the boundary policies"
        ),
        pytest.param(
            True, "iam:DeletePolicy", iam("policy", "other"), None, id="other policies may go"
        ),
        pytest.param(
            False,
            "iam:DeleteUserPermissionsBoundary",
            iam("user", "Nikhil"),
            None,
            id="no removal of a boundary",
        ),
        pytest.param(
            False,
            "iam:CreateRole",
            iam("role", "r"),
            None,
            id="full access to IAM, limited by the boundary",
        ),
        pytest.param(
            True, "cloudwatch:ListMetrics", "*", None, id="CloudWatch, limited by the permissions"
        ),
        pytest.param(
            False, "cloudwatch:PutMetricData", "*", None, id="CloudWatch, beyond the permissions"
        ),
        pytest.param(
            False,
            "s3:ListBucket",
            "arn:aws:s3:::ZhangBucket",
            None,
            id="S3, which the boundary lacks",
        ),
    ],
)
def test_zhang_delegates_within_his_boundary(
    allowed: bool, action: str, resource: str, boundary: str | None
) -> None:
    context = {"iam:PermissionsBoundary": boundary} if boundary else {}
    asked = may(
        ZHANG,
        action,
        resource,
        identity=ZHANGS_PERMISSIONS,
        boundary=ZHANGS_BOUNDARY,
        context=context,
    )
    assert asked is allowed


COMPANY_BOUNDARY = [
    allow(["s3:*", "cloudwatch:*", "ec2:*", "dynamodb:*"]),
    allow(["iam:ListUsers", "iam:GetAccountPasswordPolicy"]),
    allow(
        ["iam:*AccessKey*", "iam:ChangePassword", "iam:GetUser"],
        ["arn:aws:iam::*:user/${aws:username}"],
    ),
    deny("s3:*", ["arn:aws:s3:::logs", "arn:aws:s3:::logs/*"]),
    deny("ec2:*", "arn:aws:ec2:*:*:instance/i-1234567890abcdef0"),
]
NIKHILS_PERMISSIONS = [allow("iam:*"), allow(["s3:Get*", "s3:List*"])]
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:s-abcdef"


@pytest.mark.parametrize(
    ("allowed", "action", "resource", "policy"),
    [
        pytest.param(
            True, "iam:ChangePassword", iam("user", "Nikhil"), None, id="his own password"
        ),
        pytest.param(
            False, "iam:ChangePassword", iam("user", "Zhang"), None, id="another's password"
        ),
        pytest.param(False, "iam:CreateUser", iam("user", "x"), None, id="no other user"),
        pytest.param(True, "s3:GetObject", "arn:aws:s3:::reports/r", None, id="S3, read only"),
        pytest.param(False, "s3:PutObject", "arn:aws:s3:::reports/r", None, id="S3, not written"),
        pytest.param(False, "s3:GetObject", "arn:aws:s3:::logs/l", None, id="not the logs"),
        pytest.param(
            False,
            "s3:PutObject",
            "arn:aws:s3:::logs/l",
            [allow("s3:PutObject", "arn:aws:s3:::logs/*", Principal={"AWS": NIKHIL.arn})],
            id="a bucket's policy does not overcome the boundary's explicit deny",
        ),
        pytest.param(
            True,
            "secretsmanager:GetSecretValue",
            SECRET,
            [allow("secretsmanager:GetSecretValue", "*", Principal={"AWS": NIKHIL.arn})],
            id="a secret's policy overcomes the boundary's silence",
        ),
    ],
)
def test_nikhil_is_bounded_by_what_zhang_had_to_set(
    allowed: bool, action: str, resource: str, policy: list[dict[str, Any]] | None
) -> None:
    asked = may(
        NIKHIL,
        action,
        resource,
        identity=NIKHILS_PERMISSIONS,
        boundary=COMPANY_BOUNDARY,
        on_resource=policy,
        context={"aws:username": "Nikhil"},
    )
    assert asked is allowed
