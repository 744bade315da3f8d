"""IAM: roles with boundary and inline policies, managed policies and their attachment.

They act: see ``localaws.emulator.authorization``. What forces a replacement follows upstream's
schemas (hashicorp/terraform-provider-aws, internal/service/iam: role.go, policy.go,
role_policy_attachment.go, ForceNew).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.sameness import same_document
from localaws.provider.table import Function, Property, ResourceType
from localaws.provider.tagging import Tagging, tag_map
from localaws.provider.values import Properties, to_aws

_SESSION_SECONDS_MAX = 3600
"""What IAM takes when no session length is given (API reference, CreateRole)."""
_ROLE_TAGGING = Tagging(
    service="iam",
    by="name",
    resource="RoleName",
    list="list_role_tags",
    add="tag_role",
    remove="untag_role",
)
_ROLE = {
    "name": "RoleName",
    "assumeRolePolicy": "AssumeRolePolicyDocument",
    "path": "Path",
    "description": "Description",
    "maxSessionDuration": "MaxSessionDuration",
    "permissionsBoundary": "PermissionsBoundary",
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
        "name": role["RoleName"],
        "path": role["Path"],
        "arn": role["Arn"],
        "uniqueId": role["RoleId"],
        "createDate": role["CreateDate"].isoformat(),
        "assumeRolePolicy": _text(role["AssumeRolePolicyDocument"]),
        "description": role.get("Description", ""),
        "maxSessionDuration": role.get("MaxSessionDuration", _SESSION_SECONDS_MAX),
        "permissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        "tags": tag_map(role.get("Tags", [])),
    }


def _update_role(aws: Aws, name: str, old: Properties, new: Properties) -> None:
    _bound(aws, name, old.get("permissionsBoundary"), new.get("permissionsBoundary"))
    if not same_document(old["assumeRolePolicy"], new["assumeRolePolicy"]):
        aws.iam.update_assume_role_policy(RoleName=name, PolicyDocument=new["assumeRolePolicy"])
    about = {
        "Description": new.get("description", ""),
        "MaxSessionDuration": new["maxSessionDuration"],
    }
    aws.iam.update_role(RoleName=name, **about)


def _bound(aws: Aws, name: str, old: str | None, new: str | None) -> None:
    """Change the boundary of a role, before any other change.

    So the role never has more power than its new boundary leaves it.
    """
    if new is not None and new != old:
        aws.iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=new)
    elif new is None and old is not None:
        aws.iam.delete_role_permissions_boundary(RoleName=name)


def _attached(aws: Aws, role: str) -> list[str]:
    pages = aws.iam.get_paginator("list_attached_role_policies").paginate(RoleName=role)
    return [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]


def _delete_role(aws: Aws, name: str, properties: Properties) -> None:
    # else IAM refuses a role that still has policies: DeleteConflict
    if properties.get("forceDetachPolicies"):
        for arn in _attached(aws, name):
            aws.iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        for page in aws.iam.get_paginator("list_role_policies").paginate(RoleName=name):
            for inline in page["PolicyNames"]:
                aws.iam.delete_role_policy(RoleName=name, PolicyName=inline)
    aws.iam.delete_role(RoleName=name)


ROLE = ResourceType(
    kind="aws:iam/role:Role",
    acts=True,
    inputs={
        "name": Property(required=True, replaces=True),
        "path": Property(replaces=True, default="/"),
        "assumeRolePolicy": Property(required=True, same=same_document),
        "description": Property(),
        "maxSessionDuration": Property(default=_SESSION_SECONDS_MAX),
        "permissionsBoundary": Property(),
        "forceDetachPolicies": Property(local=True),
    },
    outputs=("arn", "uniqueId", "createDate"),
    create=_create_role,
    read=_read_role,
    update=_update_role,
    delete=_delete_role,
    named_by="name",
    regional=False,
    tagging=_ROLE_TAGGING,
)


def _put_role_policy(aws: Aws, inputs: Properties) -> str:
    aws.iam.put_role_policy(
        RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
    )
    return f"{inputs['role']}:{inputs['name']}"


def _named(identifier: str) -> dict[str, str]:
    role, _, name = identifier.partition(":")
    return {"RoleName": role, "PolicyName": name}


def _read_role_policy(aws: Aws, identifier: str) -> Properties:
    found = aws.iam.get_role_policy(**_named(identifier))
    return {
        "role": found["RoleName"],
        "name": found["PolicyName"],
        "policy": _text(found["PolicyDocument"]),
    }


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


_POLICY_TAGGING = Tagging(
    service="iam",
    resource="PolicyArn",
    list="list_policy_tags",
    add="tag_policy",
    remove="untag_policy",
)
_POLICY = {
    "name": "PolicyName",
    "policy": "PolicyDocument",
    "path": "Path",
    "description": "Description",
}
"""Properties of a managed policy, and what CreatePolicy calls them."""
_POLICY_VERSIONS_MAX = 5
"""Versions that IAM keeps of a managed policy (user guide, "IAM and AWS STS quotas")."""


def _create_policy(aws: Aws, inputs: Properties) -> str:
    made = aws.iam.create_policy(
        **to_aws(_POLICY, inputs), **_POLICY_TAGGING.argument(inputs.get("tags"))
    )
    return str(made["Policy"]["Arn"])


def _read_policy(aws: Aws, arn: str) -> Properties:
    policy = aws.iam.get_policy(PolicyArn=arn)["Policy"]
    version = aws.iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])[
        "PolicyVersion"
    ]
    return {
        "name": policy["PolicyName"],
        "path": policy["Path"],
        "description": policy.get("Description", ""),
        "policy": _text(version["Document"]),
        "arn": policy["Arn"],
        "policyId": policy["PolicyId"],
        "attachmentCount": policy["AttachmentCount"],
        "tags": tag_map(policy.get("Tags", [])),
    }


def _spare_versions(aws: Aws, arn: str) -> list[str]:
    """Return the versions that are not the default one, the oldest first.

    IAM numbers them upwards and no number twice.
    """
    versions = aws.iam.list_policy_versions(PolicyArn=arn)["Versions"]
    spare = [version["VersionId"] for version in versions if not version["IsDefaultVersion"]]
    return sorted(spare, key=lambda name: int(name.removeprefix("v")))


def _update_policy(aws: Aws, arn: str, old: Properties, new: Properties) -> None:
    if same_document(old.get("policy"), new["policy"]):
        return
    spare = _spare_versions(aws, arn)
    if len(spare) + 1 >= _POLICY_VERSIONS_MAX:
        aws.iam.delete_policy_version(PolicyArn=arn, VersionId=spare[0])
    aws.iam.create_policy_version(PolicyArn=arn, PolicyDocument=new["policy"], SetAsDefault=True)


def _delete_policy(aws: Aws, arn: str, _properties: Properties) -> None:
    for version in _spare_versions(
        aws, arn
    ):  # IAM wants them deleted first (API reference, DeletePolicy)
        aws.iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    aws.iam.delete_policy(PolicyArn=arn)


POLICY = ResourceType(
    kind="aws:iam/policy:Policy",
    acts=True,
    inputs={
        "name": Property(required=True, replaces=True),
        "path": Property(replaces=True, default="/"),
        "description": Property(replaces=True),
        "policy": Property(required=True, same=same_document),
    },
    outputs=("arn", "policyId", "attachmentCount"),
    create=_create_policy,
    read=_read_policy,
    update=_update_policy,
    delete=_delete_policy,
    named_by="name",
    regional=False,
    tagging=_POLICY_TAGGING,
)


def _attach(aws: Aws, inputs: Properties) -> str:
    aws.iam.attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
    return f"{inputs['role']}/{inputs['policyArn']}"


def _read_attachment(aws: Aws, identifier: str) -> Properties | None:
    role, _, arn = identifier.partition("/")
    return {"role": role, "policyArn": arn} if arn in _attached(aws, role) else None


def _detach(aws: Aws, identifier: str, _properties: Properties) -> None:
    role, _, arn = identifier.partition("/")
    aws.iam.detach_role_policy(RoleName=role, PolicyArn=arn)


ROLE_POLICY_ATTACHMENT = ResourceType(
    kind="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    acts=True,
    inputs={name: Property(required=True, replaces=True) for name in ("role", "policyArn")},
    outputs=(),
    create=_attach,
    read=_read_attachment,
    delete=_detach,
    regional=False,
)


def _get_caller_identity(aws: Aws, _inputs: Properties) -> Properties:
    caller = aws.sts.get_caller_identity()
    return {
        "accountId": caller["Account"],
        "arn": caller["Arn"],
        "id": caller["Account"],
        "userId": caller["UserId"],
    }


GET_CALLER_IDENTITY = Function(
    kind="aws:index/getCallerIdentity:getCallerIdentity",
    inputs={},
    call=_get_caller_identity,
    regional=False,
)
