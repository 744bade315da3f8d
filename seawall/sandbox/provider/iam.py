"""IAM: roles and their inline policies. They act: see ``seawall.sandbox.aws.shims.enforcement``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from seawall.sandbox.provider.clients import Aws
from seawall.sandbox.provider.fields import to_aws
from seawall.sandbox.provider.table import Function, Property, ResourceType, same_document
from seawall.sandbox.provider.tagging import Tagging, tag_map
from seawall.sandbox.provider.values import Properties

_SESSION_SECONDS_MAX = 3600
"""What IAM takes when no session length is given (API reference, CreateRole)."""
_ROLE_TAGGING = Tagging(
    service="iam", by="name", resource="RoleName", list="list_role_tags", add="tag_role", remove="untag_role"
)
_ROLE = {
    "name": "RoleName",
    "assumeRolePolicy": "AssumeRolePolicyDocument",
    "path": "Path",
    "description": "Description",
    "maxSessionDuration": "MaxSessionDuration",
}
"""Properties of a role, and what CreateRole calls them."""


def _text(document: Mapping[str, Any] | str) -> str:
    return document if isinstance(document, str) else json.dumps(document)


def _create_role(aws: Aws, inputs: Properties) -> str:
    aws.iam.create_role(**to_aws(_ROLE, inputs), **_ROLE_TAGGING.argument(inputs.get("tags")))
    return str(inputs["name"])


def _read_role(aws: Aws, name: str) -> Properties:
    role = aws.iam.get_role(RoleName=name)["Role"]
    return {
        "name": role["RoleName"], "path": role["Path"], "arn": role["Arn"], "uniqueId": role["RoleId"],
        "createDate": role["CreateDate"].isoformat(), "assumeRolePolicy": _text(role["AssumeRolePolicyDocument"]),
        "description": role.get("Description", ""), "maxSessionDuration": role.get("MaxSessionDuration", _SESSION_SECONDS_MAX),
        "tags": tag_map(role.get("Tags", [])),
    }  # fmt: skip


def _update_role(aws: Aws, name: str, old: Properties, new: Properties) -> None:
    if not same_document(old["assumeRolePolicy"], new["assumeRolePolicy"]):
        aws.iam.update_assume_role_policy(RoleName=name, PolicyDocument=new["assumeRolePolicy"])
    session_s = new.get("maxSessionDuration", _SESSION_SECONDS_MAX)
    aws.iam.update_role(RoleName=name, Description=new.get("description", ""), MaxSessionDuration=session_s)


ROLE = ResourceType(
    kind="aws:iam/role:Role",
    acts=True,
    inputs={
        "name": Property(required=True, replaces=True),
        "path": Property(replaces=True),
        "assumeRolePolicy": Property(required=True, same=same_document),
        "description": Property(),
        "maxSessionDuration": Property(),
    },
    outputs=("arn", "uniqueId", "createDate"),
    create=_create_role,
    read=_read_role,
    update=_update_role,
    delete=lambda aws, name, _properties: aws.iam.delete_role(RoleName=name),
    named_by="name",
    regional=False,
    tagging=_ROLE_TAGGING,
)


def _put_role_policy(aws: Aws, inputs: Properties) -> str:
    aws.iam.put_role_policy(RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"])
    return f"{inputs['role']}:{inputs['name']}"


def _named(identifier: str) -> dict[str, str]:
    role, _, name = identifier.partition(":")
    return {"RoleName": role, "PolicyName": name}


def _read_role_policy(aws: Aws, identifier: str) -> Properties:
    found = aws.iam.get_role_policy(**_named(identifier))
    return {"role": found["RoleName"], "name": found["PolicyName"], "policy": _text(found["PolicyDocument"])}


ROLE_POLICY = ResourceType(
    kind="aws:iam/rolePolicy:RolePolicy",
    acts=True,
    inputs={
        "role": Property(required=True, replaces=True),
        "name": Property(required=True, replaces=True),
        "policy": Property(required=True, same=same_document),
    },
    outputs=(),
    create=_put_role_policy,
    read=_read_role_policy,
    update=lambda aws, _identifier, _old, new: _put_role_policy(aws, new),
    delete=lambda aws, identifier, _properties: aws.iam.delete_role_policy(**_named(identifier)),
    named_by="name",
    regional=False,
)


def _get_caller_identity(aws: Aws, _inputs: Properties) -> Properties:
    caller = aws.sts.get_caller_identity()
    return {"accountId": caller["Account"], "arn": caller["Arn"], "id": caller["Account"], "userId": caller["UserId"]}


GET_CALLER_IDENTITY = Function(
    kind="aws:index/getCallerIdentity:getCallerIdentity", inputs={}, call=_get_caller_identity, regional=False
)
