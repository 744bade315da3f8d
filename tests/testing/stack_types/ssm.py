"""Examples of the resource types of Parameter Store."""

from __future__ import annotations

from tests.testing.stack_types.example import Example

EXAMPLES: dict[str, Example] = {
    "aws:ssm/parameter:Parameter": Example(
        inputs={
            "name": "/seawall/thing",
            "type": "SecureString",
            "value": "armed",
            "description": "one",
            "keyId": "alias/seawall/parameters",
            "allowedPattern": "^(armed|safe)$",
            "tags": {"a": "1"},
        },
        changed={
            "value": "safe",
            "description": "two",
            "allowedPattern": "^[a-z]+$",
            "keyId": "alias/seawall/other",
            "tier": "Advanced",
            "tags": {"b": "2"},
        },
        one_way=("tier",),
    )
}
