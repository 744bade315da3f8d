"""Examples of the resource types of KMS."""

from __future__ import annotations

import json

from localaws.provider.values import Properties
from tests.testing.aws_harness import STANDBY
from tests.testing.stack_types.example import Example

KEY: Properties = {
    "keyUsage": "SIGN_VERIFY",
    "customerMasterKeySpec": "ECC_SECG_P256K1",
    "multiRegion": True,
}
ACCOUNT = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
    "Resource": "*",
}
OPEN = json.dumps({"Version": "2012-10-17", "Statement": [{**ACCOUNT, "Action": "kms:*"}]})
STRAY = {
    "Sid": "Stray",
    "Effect": "Allow",
    "Principal": {"AWS": "*"},
    "Action": "kms:Verify",
    "Resource": "*",
}
WIDER = json.dumps({"Version": "2012-10-17", "Statement": [{**ACCOUNT, "Action": "kms:*"}, STRAY]})
KEY_NEEDED = ("aws:kms/key:Key", KEY)

EXAMPLES: dict[str, Example] = {
    "aws:kms/key:Key": Example(
        inputs={
            **KEY,
            "description": "one",
            "tags": {"a": "1", "b": "2"},
            "deletionWindowInDays": 7,
            "policy": OPEN,
        },
        changed={"description": "two", "tags": {"a": "3"}, "isEnabled": False, "policy": WIDER},
    ),
    "aws:kms/replicaKey:ReplicaKey": Example(
        inputs={
            "primaryKeyArn": "$key.arn",
            "region": STANDBY,
            "description": "one",
            "tags": {"a": "1"},
            "policy": OPEN,
        },
        changed={"description": "two", "tags": {}, "policy": WIDER},
        needs={"key": KEY_NEEDED},
    ),
    "aws:kms/alias:Alias": Example(
        inputs={"name": "alias/seawall/thing", "targetKeyId": "$key.keyId"},
        changed={"targetKeyId": "$other.keyId"},
        needs={"key": KEY_NEEDED, "other": KEY_NEEDED},
    ),
}
