"""Examples of the resource types of IAM."""

from __future__ import annotations

from tests.testing.iam_requests import document
from tests.testing.stack_types.example import Example

TRUST = document(
    {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
    }
)
SIGN = document({"Effect": "Allow", "Action": "kms:Sign", "Resource": "*"})
VERIFY = SIGN.replace("Sign", "Verify")
ROLE_NEEDED = ("aws:iam/role:Role", {"name": "seawall-role", "assumeRolePolicy": TRUST})
POLICY_NEEDED = ("aws:iam/policy:Policy", {"name": "seawall-policy", "policy": SIGN})

EXAMPLES: dict[str, Example] = {
    "aws:iam/role:Role": Example(
        inputs={
            "name": "seawall-thing",
            "assumeRolePolicy": TRUST,
            "description": "one",
            "permissionsBoundary": "$one.arn",
            "forceDetachPolicies": True,
            "tags": {"a": "1"},
        },
        changed={
            "assumeRolePolicy": TRUST.replace("sts:AssumeRole", "sts:TagSession"),
            "description": "two",
            "maxSessionDuration": 7200,
            "permissionsBoundary": "$other.arn",
            "tags": {"b": "2"},
        },
        needs={
            "one": POLICY_NEEDED,
            "other": ("aws:iam/policy:Policy", {"name": "seawall-other", "policy": VERIFY}),
        },
    ),
    "aws:iam/rolePolicy:RolePolicy": Example(
        inputs={"name": "sign", "role": "$role.name", "policy": SIGN},
        changed={"policy": VERIFY},
        needs={"role": ROLE_NEEDED},
    ),
    "aws:iam/policy:Policy": Example(
        inputs={
            "name": "seawall-thing",
            "path": "/seawall-rails/",
            "description": "one",
            "policy": SIGN,
            "tags": {"a": "1"},
        },
        changed={"policy": VERIFY, "tags": {"b": "2"}},
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Example(
        inputs={"role": "$role.name", "policyArn": "$policy.arn"},
        needs={"role": ROLE_NEEDED, "policy": POLICY_NEEDED},
    ),
}
