"""Who made a request, in the words of a CloudTrail record.

CloudTrail user guide, "CloudTrail userIdentity element": type, principal id, ARN, account and
access key; for a role session its issuer.
"""

from __future__ import annotations

from typing import Any

from moto.iam.access_control import CreateAccessKeyFailure
from moto.iam.models import iam_backends

from localaws.emulator.authorization.callers import RootKey, key_of
from localaws.emulator.authorization.sessions import Session


def user_identity(response: Any) -> dict[str, Any] | None:
    """The caller of the request that ``response`` answers; None for credentials that nobody has."""
    account, partition, key_id = response.current_account, response.partition, response.access_key
    known = {"accountId": account, "accessKeyId": key_id}
    try:
        key = key_of(account, partition, key_id, response.headers)
    except CreateAccessKeyFailure:
        return None
    if isinstance(key, RootKey):
        return {
            "type": "Root",
            "principalId": account,
            "arn": f"arn:{partition}:iam::{account}:root",
            **known,
        }
    backend = iam_backends[account][partition]
    if isinstance(key, Session):
        name = key.role_arn.rpartition("/")[2]
        role = next((role for role in backend.roles.values() if role.arn == key.role_arn), None)
        issuer = {"type": "Role", "arn": key.role_arn, "accountId": account, "userName": name}
        principal = (
            "" if role is None else f"{role.id}:{key.name}"
        )  # a role that was deleted since has no id any more
        return {
            "type": "AssumedRole",
            "principalId": principal,
            **known,
            "arn": f"arn:{partition}:sts::{account}:assumed-role/{name}/{key.name}",
            "sessionContext": {
                "sessionIssuer": issuer if role is None else {**issuer, "principalId": role.id}
            },
        }
    user = backend.users[key.user_name]
    return {
        "type": "IAMUser",
        "principalId": user.id,
        "arn": user.arn,
        **known,
        "userName": user.name,
    }
