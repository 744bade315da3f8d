"""Examples of the resource types of Secrets Manager."""

from __future__ import annotations

from tests.testing.aws_harness import STANDBY
from tests.testing.iam_requests import document
from tests.testing.stack_types.example import Example

READ = {
    "Effect": "Deny",
    "Principal": {"AWS": "arn:aws:iam::123456789012:user/nobody"},
    "Resource": "*",
}

EXAMPLES: dict[str, Example] = {
    "aws:secretsmanager/secret:Secret": Example(
        inputs={
            "name": "seawall/thing",
            "description": "one",
            "policy": document({**READ, "Action": "secretsmanager:GetSecretValue"}),
            "replicas": [{"region": STANDBY}],
            "recoveryWindowInDays": 0,
            "tags": {"a": "1"},
        },
        changed={
            "description": "",
            "kmsKeyId": "alias/seawall/secrets",
            "policy": document({**READ, "Action": "secretsmanager:*"}),
            "replicas": [
                {"region": STANDBY, "kmsKeyId": "alias/seawall/there"},
                {"region": "eu-west-1"},
            ],
            "tags": {"b": "2"},
        },
    ),
    "aws:secretsmanager/secretPolicy:SecretPolicy": Example(
        inputs={
            "secretArn": "$secret.arn",
            "policy": document({**READ, "Action": "secretsmanager:GetSecretValue"}),
            "blockPublicPolicy": True,
        },
        changed={"policy": document({**READ, "Action": "secretsmanager:*"})},
        needs={
            "secret": (
                "aws:secretsmanager/secret:Secret",
                {"name": "seawall/needed", "recoveryWindowInDays": 0},
            )
        },
    ),
}
