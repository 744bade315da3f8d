from __future__ import annotations

from tests.integration.stack_types.example import Example, document

TRUST = document(
    {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
)
SIGN = document({"Effect": "Allow", "Action": "kms:Sign", "Resource": "*"})
VERIFY = SIGN.replace("Sign", "Verify")
ROLE_NEEDED = ("aws:iam/role:Role", {"name": "seawall-role", "assumeRolePolicy": TRUST})

EXAMPLES: dict[str, Example] = {
    "aws:iam/role:Role": Example(
        inputs={"name": "seawall-thing", "assumeRolePolicy": TRUST, "description": "one", "tags": {"a": "1"}},
        changed={"description": "two", "maxSessionDuration": 7200, "tags": {"b": "2"}},
    ),
    "aws:iam/rolePolicy:RolePolicy": Example(
        inputs={"name": "sign", "role": "$role.name", "policy": SIGN},
        changed={"policy": VERIFY},
        needs={"role": ROLE_NEEDED},
    ),
}
