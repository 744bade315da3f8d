"""The role that looks up who signed in AWS's own log, the event history of CloudTrail.

What a drill judges must not come from the venue alone, and whoever runs drills need not be able to
read who did what in the account. So this is a role of its own, which reads and does nothing else.
"""

from __future__ import annotations

import pulumi

from infra.documents import Statement, allow
from infra.roles import DrillRole
from seawall.conventions import aws


def declare_audit_role(role: DrillRole, opts: pulumi.ResourceOptions) -> None:
    """Declare the role, its boundary and its policy, all under the logical name ``audit``."""
    role.declare(
        "audit",
        kind="AuditRole",
        name=aws.audit_role(role.venue),
        statements=looking_up(),
        opts=opts,
    )


def looking_up() -> list[Statement]:
    """All that the role may do: look up events.

    The action knows no resource, so it is allowed on all of them (service authorization reference,
    AWS CloudTrail, LookupEvents). It shows every management event of the account and Region.
    """
    return [allow("LookUpEvents", ("cloudtrail:LookupEvents",), "*")]
