"""A role that a person or a process takes on.

One principal is trusted, a boundary bounds it, and what it may do stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import iam

from infra.boundaries import Boundary
from infra.documents import trust
from seawall.keys.access import Principal


@dataclass(frozen=True, kw_only=True)
class SegregatedRole:
    """``trusted``: the ARN that alone may take the role on.

    What it may do with a key stands in that key's policy.
    """

    principal: Principal
    account: str
    trusted: str
    boundary: Boundary
    tags: Mapping[str, str]

    @property
    def description(self) -> dict[str, Any]:
        """Its part of the stack's output ``principals``."""
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
    """A role as the stack's output ``principals`` tells it; ``trusts`` is who may take it on."""
    return {
        "arn": principal.arn(account),
        "kind": principal.kind,
        "bucket": principal.bucket,
        "region": principal.region,
        "wallet": principal.wallet,
        "approver": principal.approver,
        "trusts": trusts,
    }
