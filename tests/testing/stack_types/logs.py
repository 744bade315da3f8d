"""Examples of the resource types of CloudWatch Logs."""

from __future__ import annotations

from tests.testing.stack_types.example import Example

KEY = "arn:aws:kms:us-east-1:123456789012:key"

EXAMPLES: dict[str, Example] = {
    "aws:cloudwatch/logGroup:LogGroup": Example(
        inputs={
            "name": "/seawall/thing",
            "retentionInDays": 30,
            "kmsKeyId": f"{KEY}/one",
            "tags": {"a": "1", "b": "2"},
        },
        changed={"retentionInDays": 365, "kmsKeyId": f"{KEY}/two", "tags": {"a": "3"}},
    )
}
