"""Changes outside the stack in IAM."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from tests.testing.stack_drift.change import Account, Change, Removal, Resource, stray

ROLE, POLICY, INLINE = "aws:iam/role:Role", "aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy"
TAG = [{"Key": "owner", "Value": "mallory"}]


def written(document: Any) -> str:
    """IAM answers with a document, botocore opens it."""
    return json.dumps(document) if isinstance(document, dict) else unquote(document)


def trust(account: Account, role: Resource) -> str:
    iam = account.client("iam")
    document = written(iam.get_role(RoleName=role.id)["Role"]["AssumeRolePolicyDocument"])
    iam.update_assume_role_policy(RoleName=role.id, PolicyDocument=stray(document))
    return "Stray"


def bound(account: Account, role: Resource) -> str:
    """Another boundary of the stack: one that is meant for others."""
    others = (each.id for each in account.resources if each.kind == POLICY)
    other = next(arn for arn in others if arn != role.outputs["permissionsBoundary"])
    account.client("iam").put_role_permissions_boundary(RoleName=role.id, PermissionsBoundary=other)
    return other


def tag_role(account: Account, role: Resource) -> str:
    account.client("iam").tag_role(RoleName=role.id, Tags=TAG)
    return "mallory"


def tag_policy(account: Account, policy: Resource) -> str:
    account.client("iam").tag_policy(PolicyArn=policy.id, Tags=TAG)
    return "mallory"


def document_of(account: Account, policy: Resource) -> str:
    iam = account.client("iam")
    version = iam.get_policy(PolicyArn=policy.id)["Policy"]["DefaultVersionId"]
    return written(
        iam.get_policy_version(PolicyArn=policy.id, VersionId=version)["PolicyVersion"]["Document"]
    )


def new_version(account: Account, policy: Resource) -> str:
    document = stray(document_of(account, policy))
    account.client("iam").create_policy_version(
        PolicyArn=policy.id, PolicyDocument=document, SetAsDefault=True
    )
    return "Stray"


def bounded_by(account: Account, policy: Resource) -> list[str]:
    """Roles whose boundary it is now."""
    iam = account.client("iam")
    roles = [each.id for each in account.resources if each.kind == ROLE]
    boundary = {
        role: iam.get_role(RoleName=role)["Role"].get("PermissionsBoundary") or {} for role in roles
    }
    return [
        role for role, found in boundary.items() if found.get("PermissionsBoundaryArn") == policy.id
    ]


def make_anew(account: Account, policy: Resource) -> str:
    """IAM changes no description: only another policy of the same name has another one.

    It bounds whom the old one bounded.
    """
    iam, document = account.client("iam"), document_of(account, policy)
    bounded = bounded_by(account, policy)
    for role in bounded:
        iam.delete_role_permissions_boundary(RoleName=role)
    iam.delete_policy(PolicyArn=policy.id)
    tags = [{"Key": name, "Value": value} for name, value in policy.outputs["tags"].items()]
    iam.create_policy(
        PolicyName=policy.outputs["name"], PolicyDocument=document, Description="theirs", Tags=tags
    )
    for role in bounded:
        iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=policy.id)
    return "theirs"


def lengthen(account: Account, role: Resource) -> int:
    account.client("iam").update_role(RoleName=role.id, MaxSessionDuration=43_200)
    return 43_200


def put_inline(account: Account, policy: Resource) -> str:
    iam, place = account.client("iam"), place_of(policy)
    document = written(iam.get_role_policy(**place)["PolicyDocument"])
    iam.put_role_policy(**place, PolicyDocument=stray(document))
    return "Stray"


def place_of(policy: Resource) -> dict[str, str]:
    return {"RoleName": policy.outputs["role"], "PolicyName": policy.outputs["name"]}


def remove_role(account: Account, role: Resource) -> None:
    iam = account.client("iam")
    for name in iam.list_role_policies(RoleName=role.id)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role.id, PolicyName=name)
    iam.delete_role(RoleName=role.id)


def remove_policy(account: Account, policy: Resource) -> None:
    iam = account.client("iam")
    for role in bounded_by(account, policy):
        iam.delete_role_permissions_boundary(RoleName=role)
    for version in iam.list_policy_versions(PolicyArn=policy.id)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=policy.id, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=policy.id)


CHANGES = (
    Change(kind=ROLE, leaf="assumeRolePolicy", how=trust),
    Change(kind=ROLE, leaf="maxSessionDuration", how=lengthen),
    Change(kind=ROLE, leaf="permissionsBoundary", how=bound),
    Change(kind=ROLE, leaf="tags", how=tag_role),
    Change(kind=POLICY, leaf="description", how=make_anew),
    Change(kind=POLICY, leaf="policy", how=new_version),
    Change(kind=POLICY, leaf="tags", how=tag_policy),
    Change(kind=INLINE, leaf="policy", how=put_inline),
)
REMOVALS = (
    Removal(
        kind=INLINE,
        how=lambda account, each: account.client("iam").delete_role_policy(**place_of(each)),
    ),
    Removal(kind=POLICY, how=remove_policy, drags=(ROLE,)),
    Removal(kind=ROLE, how=remove_role, drags=(INLINE,)),
)
