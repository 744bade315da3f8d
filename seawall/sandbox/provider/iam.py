"""IAM: roles and their inline policies. They act: see ``seawall.sandbox.aws.shims.enforcement``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from seawall.sandbox.provider.clients import Aws, is_gone
from seawall.sandbox.provider.table import Function, Property, ResourceType, given, same_document, tag_map, tag_pairs
from seawall.sandbox.provider.values import Properties

_SESSION_SECONDS_MAX = 3600
"""What IAM takes when no session length is given (API reference, CreateRole)."""


def _text(document: Mapping[str, Any] | str) -> str:
    return document if isinstance(document, str) else json.dumps(document)


def _create_role(aws: Aws, inputs: Properties) -> str:
    aws.iam.create_role(
        RoleName=inputs["name"], AssumeRolePolicyDocument=inputs["assumeRolePolicy"], Tags=tag_pairs(inputs.get("tags")),
        **given(Path=inputs.get("path"), Description=inputs.get("description"), MaxSessionDuration=inputs.get("maxSessionDuration")),
    )  # fmt: skip
    return str(inputs["name"])


def _read_role(aws: Aws, name: str) -> Properties | None:
    try:
        role = aws.iam.get_role(RoleName=name)["Role"]
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    tags = tag_map(role.get("Tags", []))
    return {
        "name": role["RoleName"], "path": role["Path"], "arn": role["Arn"], "uniqueId": role["RoleId"],
        "createDate": role["CreateDate"].isoformat(), "assumeRolePolicy": _text(role["AssumeRolePolicyDocument"]),
        "description": role.get("Description", ""), "maxSessionDuration": role.get("MaxSessionDuration", _SESSION_SECONDS_MAX),
        "tags": tags, "tagsAll": tags,
    }  # fmt: skip


def _update_role(aws: Aws, name: str, old: Properties, new: Properties) -> None:
    if not same_document(old["assumeRolePolicy"], new["assumeRolePolicy"]):
        aws.iam.update_assume_role_policy(RoleName=name, PolicyDocument=new["assumeRolePolicy"])
    aws.iam.update_role(
        RoleName=name,
        Description=new.get("description", ""),
        MaxSessionDuration=new.get("maxSessionDuration", _SESSION_SECONDS_MAX),
    )
    gone = sorted(set(old.get("tags", {})) - set(new.get("tags", {})))
    if gone:
        aws.iam.untag_role(RoleName=name, TagKeys=gone)
    if new.get("tags"):
        aws.iam.tag_role(RoleName=name, Tags=tag_pairs(new["tags"]))


def _delete_role(aws: Aws, name: str, _properties: Properties) -> None:
    if _read_role(aws, name) is not None:
        aws.iam.delete_role(RoleName=name)


ROLE = ResourceType(
    kind="aws:iam/role:Role",
    acts=True,
    inputs={
        "name": Property(required=True, replaces=True),
        "path": Property(replaces=True),
        "assumeRolePolicy": Property(required=True, same=same_document),
        "description": Property(),
        "maxSessionDuration": Property(),
        "tags": Property(),
    },
    outputs=("arn", "uniqueId", "createDate", "tagsAll"),
    create=_create_role,
    read=_read_role,
    update=_update_role,
    delete=_delete_role,
    named_by="name",
    regional=False,
)


def _put_role_policy(aws: Aws, inputs: Properties) -> str:
    aws.iam.put_role_policy(RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"])
    return f"{inputs['role']}:{inputs['name']}"


def _read_role_policy(aws: Aws, identifier: str) -> Properties | None:
    role, _, name = identifier.partition(":")
    try:
        found = aws.iam.get_role_policy(RoleName=role, PolicyName=name)
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    return {"role": role, "name": name, "policy": _text(found["PolicyDocument"])}


def _update_role_policy(aws: Aws, _identifier: str, _old: Properties, new: Properties) -> None:
    _put_role_policy(aws, new)


def _delete_role_policy(aws: Aws, identifier: str, _properties: Properties) -> None:
    role, _, name = identifier.partition(":")
    if _read_role_policy(aws, identifier) is not None:
        aws.iam.delete_role_policy(RoleName=role, PolicyName=name)


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
    update=_update_role_policy,
    delete=_delete_role_policy,
    named_by="name",
    regional=False,
)


def _get_caller_identity(aws: Aws, _inputs: Properties) -> Properties:
    caller = aws.sts.get_caller_identity()
    return {"accountId": caller["Account"], "arn": caller["Arn"], "id": caller["Account"], "userId": caller["UserId"]}


GET_CALLER_IDENTITY = Function(
    kind="aws:index/getCallerIdentity:getCallerIdentity", inputs={}, call=_get_caller_identity, regional=False
)
