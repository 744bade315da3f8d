"""The role of a fault that needs AWS: it denies the signers' roles to sign, for a while.

AWS cannot restrict `iam:PutRolePolicy` by what a policy says or how it is called (service
authorization reference, IAM, condition keys of the action), so this role could also write an Allow.
That Allow must be harmless, and three things make it so: the role reaches the signers' roles only,
and those only while the signers' boundary bounds them; the boundary lets them sign and nothing
else; and no key's policy lets what is attached to a role of the stack decide anything.
"""

from __future__ import annotations

import pulumi

from infra.documents import Statement, allow
from infra.roles import DrillRole
from seawall.conventions import aws

_WRITES = ("iam:PutRolePolicy", "iam:DeleteRolePolicy")


def declare_fault_role(role: DrillRole, opts: pulumi.ResourceOptions) -> None:
    """Declare the role, its boundary and its policy, all under the logical name ``fault``."""
    role.declare(
        "fault",
        kind="FaultRole",
        name=aws.fault_role(role.venue),
        statements=denying(venue=role.venue, account=role.account),
        opts=opts,
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
