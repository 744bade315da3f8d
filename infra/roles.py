"""A role that a person or a process takes on: one principal is trusted, and what it may do stands elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import iam

from infra.documents import trust
from seawall.contract.segregation import Principal


@dataclass(frozen=True, kw_only=True)
class SegregatedRole:
    """``trusted``: the ARN that alone may take the role on. What it may do with a key stands in that key's policy."""

    principal: Principal
    account: str
    trusted: str
    tags: Mapping[str, str]

    @property
    def description(self) -> dict[str, Any]:
        """Its part of the stack's output ``principals``."""
        principal = self.principal
        return {
            "arn": principal.arn(self.account), "kind": principal.kind, "bucket": principal.bucket, "region": principal.region,
            "wallet": principal.wallet, "approver": principal.approver, "trusts": self.trusted,
        }  # fmt: skip

    def declare(self, name: str, opts: pulumi.ResourceOptions) -> iam.Role:
        """The role, under its agreed name."""
        return iam.Role(
            name,
            name=self.principal.name,
            assume_role_policy=trust(self.trusted),
            tags=self.tags,
            opts=opts,
        )
