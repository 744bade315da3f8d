"""Permission boundaries: what a kind of role can never exceed, whatever is attached to it later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from infra.documents import Statement, document
from seawall.conventions import aws


@dataclass(frozen=True, kw_only=True)
class BoundaryArgs:
    """``statements``: the most that a role of this kind may do, by identity policy or by a
    resource's policy that names it.
    """

    venue: str
    account: str
    statements: Sequence[Statement]
    tags: Mapping[str, str]


class Boundary(pulumi.ComponentResource):
    """A managed policy per kind of role.

    Roles name its ``arn`` as their boundary, and must be made after it (``policy``).

    The Deny of all else also binds where a resource's policy names a session, which an implicit
    deny would not (IAM user guide, "Permissions boundaries for IAM entities", Evaluating effective
    permissions with boundaries).
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
