"""The role that looks up who signed in AWS's own log, the event history of CloudTrail.

What a drill judges must not come from the venue alone, and whoever runs drills need not be able to
read who did what in the account. So this is a role of its own, which reads and does nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from infra.documents import Statement, allow, document, trust
from infra.roles import BoundedRole
from seawall.conventions import aws


@dataclass(frozen=True, kw_only=True)
class AuditRoleArgs:
    """The inputs of :func:`declare_audit_role`.

    Args:
        trusted: ARN of the principal that alone may take the role on.
    """

    venue: str
    account: str
    trusted: str
    tags: Mapping[str, str]


def declare_audit_role(args: AuditRoleArgs, opts: pulumi.ResourceOptions) -> None:
    """Declare the role, its boundary and its policy, all under the logical name ``audit``."""
    component = pulumi.ComponentResource("seawall:infra:AuditRole", "audit", None, opts)
    statements = looking_up()
    role = BoundedRole(
        venue=args.venue,
        account=args.account,
        name=aws.audit_role(args.venue),
        trust=trust(args.trusted),
        reach=statements,
        tags=args.tags,
    ).declare("audit", parent=component)
    iam.RolePolicy(
        "audit",
        role=role.name,
        name="drill",
        policy=document(*statements),
        opts=pulumi.ResourceOptions(parent=component),
    )


def looking_up() -> list[Statement]:
    """All that the role may do: look up events.

    The action knows no resource, so it is allowed on all of them (service authorization reference,
    AWS CloudTrail, LookupEvents). It shows every management event of the account and Region.
    """
    return [allow("LookUpEvents", ("cloudtrail:LookupEvents",), "*")]
