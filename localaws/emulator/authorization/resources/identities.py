"""IAM's users, groups, roles and policies, and the roles that STS opens sessions of.

The resource types of each action:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
and .../list_awssecuritytokenservice.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moto.iam.models import IAMBackend, iam_backends

from localaws.emulator.authorization.call import ApiCall
from localaws.emulator.authorization.callers import UserKey, managed_policy
from localaws.emulator.authorization.resources.requested import UNKNOWN, UNSCOPED, RequestedResource
from seawall.iam.evaluation import statements_about
from seawall.iam.request import ContextValue, ResourcePolicy, UnevaluatedElementError

_KINDS = (
    ("RoleName", "role"),
    ("GroupName", "group"),
    ("UserName", "user"),
    ("InstanceProfileName", "instance-profile"),
)
_SELF = frozenset(
    {
        "GetUser",
        "ListAccessKeys",
        "CreateAccessKey",
        "DeleteAccessKey",
        "UpdateAccessKey",
        "ListMFADevices",
        "ChangePassword",
    }
)
"""Without a UserName these are about the caller."""
_OF_THE_PROFILE = frozenset({"AddRoleToInstanceProfile", "RemoveRoleFromInstanceProfile"})
_WITH_BOUNDARY = frozenset(
    {
        "AttachRolePolicy",
        "AttachUserPolicy",
        "CreateRole",
        "CreateUser",
        "DeleteRolePermissionsBoundary",
        "DeleteRolePolicy",
        "DeleteUserPermissionsBoundary",
        "DeleteUserPolicy",
        "DetachRolePolicy",
        "DetachUserPolicy",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
        "PutUserPermissionsBoundary",
        "PutUserPolicy",
    }
)
"""The actions with the key iam:PermissionsBoundary (service authorization reference)."""
_NOBODY = '{"Version": "2012-10-17", "Statement": []}'
"""A role that does not exist trusts no one."""
_REFUSED = ("SerialNumber", "TokenCode", "SourceIdentity", "ProvidedContexts")


def requested_identities(call: ApiCall, key: UserKey | object) -> Iterator[RequestedResource]:
    """Yield the identity or policy that an action of IAM is about."""
    account: Any = iam_backends[call.account][call.partition]
    kinds = _KINDS[3:] if call.operation in _OF_THE_PROFILE else _KINDS
    for parameter, kind in kinds:
        name = call.value(parameter)
        if name is not None:
            yield _identity(call, account, kind, name)
            return
    if call.operation in _SELF and isinstance(key, UserKey):
        yield _identity(call, account, "user", key.user_name)
    elif call.operation == "CreatePolicy":
        yield RequestedResource(
            arn=call.arn(
                "iam::{account}:policy{value}",
                f"{call.value('Path') or '/'}{call.value('PolicyName')}",
            )
        )
    elif call.operation == "CreateServiceLinkedRole":
        service = call.value("AWSServiceName") or ""
        yield RequestedResource(
            arn=call.arn("iam::{account}:role/aws-service-role/{value}/*", service),
            tags=UNSCOPED.tags,
        )
    elif (arn := call.value("PolicyArn")) is not None:
        policy = account.managed_policies.get(arn)
        yield RequestedResource(
            arn=arn, tags=lambda: _tags(policy.tags if policy is not None else {})
        )
    else:
        yield (
            UNSCOPED
            if call.operation.startswith(("List", "Get", "Generate", "Simulate"))
            else UNKNOWN
        )


def _identity(call: ApiCall, account: Any, kind: str, name: str) -> RequestedResource:
    known: Any = {
        "role": account.roles,
        "group": account.groups,
        "user": account.users,
        "instance-profile": account.instance_profiles,
    }[kind].values()
    found = next((item for item in known if item.name == name), None)
    path = found.path if found is not None else call.value("Path") or "/"
    context: dict[str, ContextValue] = {}
    if call.operation in _WITH_BOUNDARY:
        boundary = call.value("PermissionsBoundary") or getattr(
            found, "permissions_boundary_arn", None
        )
        context = {"iam:permissionsboundary": boundary} if boundary else {}
    return RequestedResource(
        arn=call.arn("iam::{account}:{value}", f"{kind}{path}{name}"),
        tags=lambda: _tags(getattr(found, "tags", None)),
        context=context,
    )


def requested_roles(call: ApiCall) -> Iterator[RequestedResource]:
    """Yield the role that AssumeRole asks for, with its trust policy.

    Tags passed along need sts:TagSession on it too.
    """
    if call.operation != "AssumeRole":
        yield UNSCOPED
        return
    for name in _REFUSED:
        if name in call.parameters:
            raise UnevaluatedElementError(f"{name} of AssumeRole")
    account = iam_backends[call.account][call.partition]
    _check_session_policies(call, account)
    arn = call.value("RoleArn")
    role: Any = next((role for role in account.roles.values() if role.arn == arn), None)
    trust = _NOBODY if role is None else role.assume_role_policy_document
    for action in ("sts:AssumeRole", *(("sts:TagSession",) if call.parameters.get("Tags") else ())):
        yield RequestedResource(
            arn=arn,
            action=action,
            policy=ResourcePolicy(documents=(trust,), decisive=True),
            tags=lambda: _tags(getattr(role, "tags", None)),
        )


def _check_session_policies(call: ApiCall, account: IAMBackend) -> None:
    """Refuse a session policy that cannot be evaluated when it is passed, not when it is used."""
    documents = [managed_policy(account, arn) for arn in call.values("PolicyArns.arn")]
    inline = call.value("Policy")
    for document in (*documents, *((inline,) if inline is not None else ())):
        statements_about(document, "sts:assumerole", of_resource=False)


def _tags(listed: Any) -> Mapping[str, str]:
    if isinstance(listed, Mapping):
        return {
            key: value["Value"] if isinstance(value, Mapping) else value
            for key, value in listed.items()
        }
    return {tag["Key"]: tag["Value"] for tag in listed or []}
