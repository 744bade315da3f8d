"""Who made a request, in the words of a CloudTrail record.

CloudTrail user guide, "CloudTrail userIdentity element": type, principal id, ARN, account and access key; for a role session its issuer.
"""

# ruff: noqa: SLF001 - a shim reaches into what moto keeps to itself

from __future__ import annotations

from typing import Any

from moto.iam import access_control
from moto.iam.models import iam_backends

from seawall.sandbox.aws.root import ROOT_ACCESS_KEY_ID


def user_identity(response: Any) -> dict[str, Any] | None:
    """The caller of the request that ``response`` answers; None for credentials that nobody has."""
    account, key_id = response.current_account, response.access_key
    known = {"accountId": account, "accessKeyId": key_id}
    if key_id == ROOT_ACCESS_KEY_ID:
        arn = f"arn:{response.partition}:iam::{account}:root"
        return {"type": "Root", "principalId": account, "arn": arn, **known}
    try:
        caller = access_control.create_access_key(account, response.partition, key_id, response.headers)
    except access_control.CreateAccessKeyFailure:
        return None
    backend = iam_backends[account][response.partition]
    if isinstance(caller, access_control.AssumedRoleAccessKey):
        role = backend.get_role(caller._owner_role_name)
        issuer = {
            "type": "Role", "principalId": role.id, "arn": role.arn, "accountId": account, "userName": role.name,
        }  # fmt: skip
        session = f"{role.id}:{caller._session_name}"
        return {
            "type": "AssumedRole", "principalId": session, "arn": caller.arn, **known,
            "sessionContext": {"sessionIssuer": issuer},
        }  # fmt: skip
    user = backend.get_user(caller._owner_user_name)
    return {"type": "IAMUser", "principalId": user.id, "arn": caller.arn, **known, "userName": user.name}
