from __future__ import annotations

from seawall.sandbox.provider.values import Properties
from tests.integration.aws_site import STANDBY
from tests.integration.stack_types.example import Example

KEY: Properties = {"keyUsage": "SIGN_VERIFY", "customerMasterKeySpec": "ECC_SECG_P256K1", "multiRegion": True}
KEY_NEEDED = ("aws:kms/key:Key", KEY)

EXAMPLES: dict[str, Example] = {
    "aws:kms/key:Key": Example(
        inputs={**KEY, "description": "one", "tags": {"a": "1", "b": "2"}, "deletionWindowInDays": 7},
        changed={"description": "two", "tags": {"a": "3"}, "isEnabled": False},
    ),
    "aws:kms/replicaKey:ReplicaKey": Example(
        inputs={"primaryKeyArn": "$key.arn", "region": STANDBY, "description": "one", "tags": {"a": "1"}},
        changed={"description": "two", "tags": {}},
        needs={"key": KEY_NEEDED},
    ),
    "aws:kms/alias:Alias": Example(
        inputs={"name": "alias/seawall/thing", "targetKeyId": "$key.keyId"},
        changed={"targetKeyId": "$other.keyId"},
        needs={"key": KEY_NEEDED, "other": KEY_NEEDED},
    ),
}
