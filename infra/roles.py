"""Roles within permission boundaries: the most that they may do, whatever is attached later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import iam

from infra.documents import Statement, document, trust
from seawall.conventions import aws
from seawall.keys.access import Principal


@dataclass(frozen=True, kw_only=True)
class BoundaryArgs:
    """The inputs of a :class:`Boundary`.

    Args:
        statements: the most that a role of this kind may do, by an identity policy or by a
            resource's policy that names it.
    """

    venue: str
    account: str
    statements: Sequence[Statement]
    tags: Mapping[str, str]


class Boundary(pulumi.ComponentResource):
    """The managed policy that bounds a kind of role.

    It denies everything else explicitly, because an implicit deny does not bind where a resource's
    policy names a session (IAM user guide, "Permissions boundaries for IAM entities", Evaluating
    effective permissions with boundaries).

    Attributes:
        arn: what roles name as their boundary.
        policy: the resource, which must be created before them.
    """

    arn: str
    policy: iam.Policy

    def __init__(self, kind: str, args: BoundaryArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:Boundary", kind, None, opts)
        name = aws.boundary(args.venue, kind)
        allowing = [statement for statement in args.statements if statement["Effect"] == "Allow"]
        actions = sorted({action for statement in allowing for action in statement["Action"]})
        self.arn = f"arn:aws:iam::{args.account}:policy/{name}"
        self.policy = iam.Policy(
            f"boundary-{kind}",
            name=name,
            description=f"The most that a role of kind {kind} may do",
            policy=document(
                *args.statements,
                {"Sid": "NothingElse", "Effect": "Deny", "NotAction": actions, "Resource": "*"},
            ),
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"arn": self.arn})


@dataclass(frozen=True, kw_only=True)
class BoundedRole:
    """A role with a boundary of its own, which allows no more than the role needs.

    Args:
        venue: whose stack it is.
        account: where it is.
        name: the role's name in IAM.
        trust: its trust policy, a document.
        reach: the most that it may do.
    """

    venue: str
    account: str
    name: str
    trust: str
    reach: Sequence[Statement]
    tags: Mapping[str, str]

    def declare(self, logical: str, *, parent: pulumi.Resource) -> iam.Role:
        """The role and its boundary, both under the logical name ``logical``."""
        boundary = Boundary(
            logical,
            BoundaryArgs(
                venue=self.venue, account=self.account, statements=self.reach, tags=self.tags
            ),
            pulumi.ResourceOptions(parent=parent),
        )
        return iam.Role(
            logical,
            name=self.name,
            assume_role_policy=self.trust,
            permissions_boundary=boundary.arn,
            tags=self.tags,
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[boundary.policy]),
        )


@dataclass(frozen=True, kw_only=True)
class DrillRole:
    """A role that drills use, apart from what it may do.

    Args:
        venue: whose stack it is.
        account: where it is.
        trusted: ARN of the principal that alone may take the role on.
    """

    venue: str
    account: str
    trusted: str
    tags: Mapping[str, str]

    def declare(
        self,
        logical: str,
        *,
        kind: str,
        name: str,
        statements: Sequence[Statement],
        opts: pulumi.ResourceOptions,
    ) -> None:
        """A role that may do what ``statements`` say, its boundary and its policy.

        All have the logical name ``logical``, within a component of type ``kind``.
        """
        component = pulumi.ComponentResource(f"seawall:infra:{kind}", logical, None, opts)
        role = BoundedRole(
            venue=self.venue,
            account=self.account,
            name=name,
            trust=trust(self.trusted),
            reach=statements,
            tags=self.tags,
        ).declare(logical, parent=component)
        iam.RolePolicy(
            logical,
            role=role.name,
            name="drill",
            policy=document(*statements),
            opts=pulumi.ResourceOptions(parent=component),
        )


@dataclass(frozen=True, kw_only=True)
class SegregatedRole:
    """The role of a principal of ``seawall.keys.access``; key policies say what it may do.

    Args:
        trusted: the ARN that alone may take the role on.
        boundary: that of its kind.
    """

    principal: Principal
    account: str
    trusted: str
    boundary: Boundary
    tags: Mapping[str, str]

    @property
    def description(self) -> dict[str, Any]:
        """The role's part of the stack's output ``principals``."""
        return described(self.principal, account=self.account, trusts=self.trusted)

    def declare(self, name: str, opts: pulumi.ResourceOptions) -> iam.Role:
        """The role, under its agreed name."""
        return iam.Role(
            name,
            name=self.principal.name,
            assume_role_policy=trust(self.trusted),
            permissions_boundary=self.boundary.policy.arn,
            tags=self.tags,
            opts=opts,
        )


def described(principal: Principal, *, account: str, trusts: str) -> dict[str, Any]:
    """A role as in the stack's output ``principals``; ``trusts`` is the ARN that may take it on."""
    return {
        "arn": principal.arn(account),
        "kind": principal.kind,
        "bucket": principal.bucket,
        "region": principal.region,
        "wallet": principal.wallet,
        "approver": principal.approver,
        "trusts": trusts,
    }
