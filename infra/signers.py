"""A wallet's signer: one multi-Region key with a replica, and per region an alias and a role that may only sign with that key there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.addresses import address_of
from infra.settings import Deletion
from seawall import conventions
from seawall.policy import Wallet

_USE = ["kms:Sign", "kms:GetPublicKey"]
_ADMINISTER = [
    "kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias", "kms:DescribeKey", "kms:GetPublicKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy",
    "kms:GetKeyRotationStatus", "kms:ListResourceTags", "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription", "kms:ReplicateKey",
    "kms:EnableKey", "kms:DisableKey", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:ListGrants",
]  # fmt: skip
"""What the account may do by its own policies: everything that provisioning needs, and never kms:Sign."""


@dataclass(frozen=True, kw_only=True)
class WalletSignerArgs:
    """``primary`` and ``standby`` are regions; ``principals`` says by region who may assume the role there."""

    venue: str
    wallet: str
    declared: Wallet
    primary: str
    standby: str
    principals: Mapping[str, str]
    account_id: pulumi.Output[str]
    deletion: Deletion
    tags: Mapping[str, str]


class WalletSigner(pulumi.ComponentResource):
    """One wallet, one key, one address, signable from two regions. ``description`` is its part of the stack's outputs."""

    description: pulumi.Output[dict[str, Any]]

    def __init__(self, args: WalletSignerArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:WalletSigner", args.wallet, None, opts)
        self._args = args
        roles = {region: self._role(region) for region in (args.primary, args.standby)}
        key = aws.kms.Key(
            args.wallet,
            region=args.primary,
            description=f"Signs for {args.wallet} of {args.venue}",
            customer_master_key_spec="ECC_SECG_P256K1",
            key_usage="SIGN_VERIFY",
            multi_region=True,
            policy=self._key_policy(roles[args.primary]),
            deletion_window_in_days=args.deletion.key_window_days,
            tags=args.tags,
            opts=self._options(protect=args.deletion.protect),
        )
        replica = aws.kms.ReplicaKey(
            args.wallet,
            region=args.standby,
            description=f"Signs for {args.wallet} of {args.venue} when {args.primary} does not",
            primary_key_arn=key.arn,
            policy=self._key_policy(roles[args.standby]),
            deletion_window_in_days=args.deletion.key_window_days,
            tags=args.tags,
            opts=self._options(protect=args.deletion.protect),
        )
        alias = conventions.key_alias(args.venue, args.wallet)
        for region, key_id, arn in ((args.primary, key.key_id, key.arn), (args.standby, replica.key_id, replica.arn)):
            aws.kms.Alias(
                f"{args.wallet}-{region}", region=region, name=alias, target_key_id=key_id, opts=self._options()
            )
            self._allow_signing(region, roles[region], arn)
        public = aws.kms.get_public_key_output(
            key_id=key.key_id, region=args.primary, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        self.description = pulumi.Output.all(
            bucket=args.declared.bucket,
            network=args.declared.network,
            key_id=key.key_id,
            address=public.public_key.apply(address_of),
            alias=alias,
            roles={region: role.arn for region, role in roles.items()},
            **{"class": args.declared.wallet_class},
        )
        self.register_outputs({"signer": self.description})

    def _options(self, *, protect: bool = False) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=protect)

    def _role(self, region: str) -> aws.iam.Role:
        args = self._args
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": args.principals[region]}}
        return aws.iam.Role(
            f"{args.wallet}-{region}",
            name=conventions.signer_role(args.venue, args.wallet, region),
            assume_role_policy=_document(trust),
            tags=args.tags,
            opts=self._options(),
        )

    def _key_policy(self, role: aws.iam.Role) -> pulumi.Output[str]:
        """The role signs; the account administers and cannot sign, whatever its identity policies say."""
        return pulumi.Output.all(self._args.account_id, role.arn).apply(
            lambda known: _document(
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{known[0]}:root"},
                    "Action": _ADMINISTER,
                    "Resource": "*",
                },
                {"Effect": "Allow", "Principal": {"AWS": known[1]}, "Action": _USE, "Resource": "*"},
            )
        )

    def _allow_signing(self, region: str, role: aws.iam.Role, key_arn: pulumi.Output[str]) -> None:
        aws.iam.RolePolicy(
            f"{self._args.wallet}-{region}",
            name="sign",
            role=role.name,
            policy=key_arn.apply(lambda arn: _document({"Effect": "Allow", "Action": _USE, "Resource": arn})),
            opts=self._options(),
        )


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
