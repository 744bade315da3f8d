"""The role of a fault that needs AWS: it denies the signers' roles to sign, for a while.

AWS cannot restrict `iam:PutRolePolicy` by what a policy says or how it is called (service
authorization reference, IAM, condition keys of the action), so this role could also write an Allow.
That Allow must be harmless, and three things make it so: the role reaches the signers' roles only,
and those only while the signers' boundary bounds them; the boundary lets them sign and nothing
else; and no key's policy lets what is attached to a role of the stack decide anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from infra.documents import Statement, allow, document, trust
from infra.roles import BoundedRole
from seawall.conventions import aws

_WRITES = ("iam:PutRolePolicy", "iam:DeleteRolePolicy")


@dataclass(frozen=True, kw_only=True)
class FaultRoleArgs:
    """The inputs of :func:`declare_fault_role`.

    Args:
        trusted: ARN of the principal that alone may take the role on.
    """

    venue: str
    account: str
    trusted: str
    tags: Mapping[str, str]


def declare_fault_role(args: FaultRoleArgs, opts: pulumi.ResourceOptions) -> None:
    """Declare the role, its boundary and its policy, all under the logical name ``fault``."""
    component = pulumi.ComponentResource("seawall:infra:FaultRole", "fault", None, opts)
    statements = denying(venue=args.venue, account=args.account)
    role = BoundedRole(
        venue=args.venue,
        account=args.account,
        name=aws.fault_role(args.venue),
        trust=trust(args.trusted),
        reach=statements,
        tags=args.tags,
    ).declare("fault", parent=component)
    iam.RolePolicy(
        "fault",
        role=role.name,
        name="drill",
        policy=document(*statements),
        opts=pulumi.ResourceOptions(parent=component),
    )


def denying(*, venue: str, account: str) -> list[Statement]:
    """All that the role may do: write and delete inline policies of the signers' roles.

    Only while the signers' boundary bounds them (IAM user guide, "Permissions boundaries for IAM
    entities", has this condition for delegating permissions).
    """
    boundary = f"arn:aws:iam::{account}:policy/{aws.boundary(venue, 'signer')}"
    return [
        allow(
            "DenySigners",
            _WRITES,
            f"arn:aws:iam::{account}:role/{aws.every_signer_role(venue)}",
            Condition={"StringEquals": {"iam:PermissionsBoundary": boundary}},
        )
    ]
