"""A signing key: a multi-Region secp256k1 key with a replica, aliases and an address."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import kms

from infra.settings import Deletion
from seawall.ethereum.keys import address_of_public_key_der


@dataclass(frozen=True, kw_only=True)
class SigningKeyArgs:
    """The inputs of a :class:`SigningKey`.

    Args:
        alias: the same in both regions.
        purpose: completes "Signs for ...".
        policies: the document of the key's policy by region, primary first.
        named: the roles that the policies name; they are created before the key.
        deletion: whether the key may be thrown away, and how soon.
    """

    alias: str
    purpose: str
    policies: Mapping[str, str]
    named: Sequence[pulumi.Resource]
    deletion: Deletion
    tags: Mapping[str, str]


class SigningKey(pulumi.ComponentResource):
    """A key and its replica.

    KMS rotates no asymmetric key (developer guide, "Rotating AWS KMS keys"), and another key would
    be another address: nothing here rotates.

    Attributes:
        key_id: valid in both regions.
        address: 0x and lower case.
        arns: by region.
    """

    key_id: pulumi.Output[str]
    address: pulumi.Output[str]
    arns: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: SigningKeyArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:SigningKey", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        lasting = pulumi.ResourceOptions(
            parent=self, protect=args.deletion.protect, depends_on=list(args.named)
        )
        primary, standby = args.policies
        key = kms.Key(
            name,
            region=primary,
            description=f"Signs for {args.purpose}",
            customer_master_key_spec="ECC_SECG_P256K1",
            key_usage="SIGN_VERIFY",
            multi_region=True,
            policy=args.policies[primary],
            deletion_window_in_days=args.deletion.key_window_days,
            tags=args.tags,
            opts=lasting,
        )
        replica = kms.ReplicaKey(
            name,
            region=standby,
            description=f"Signs for {args.purpose} when {primary} does not",
            primary_key_arn=key.arn,
            policy=args.policies[standby],
            deletion_window_in_days=args.deletion.key_window_days,
            tags=args.tags,
            opts=lasting,
        )
        for region, key_id in ((primary, key.key_id), (standby, replica.key_id)):
            kms.Alias(
                f"{name}-{region}", region=region, name=args.alias, target_key_id=key_id, opts=child
            )
        public = kms.get_public_key_output(
            key_id=key.key_id, region=primary, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        self.key_id = key.key_id
        self.address = public.public_key.apply(_address)
        self.arns = {primary: key.arn, standby: replica.arn}
        self.register_outputs({"key_id": self.key_id, "address": self.address, "arns": self.arns})


def _address(public_key_base64: str) -> str:
    """The address of a key whose public half KMS shows in base64 of DER."""
    return address_of_public_key_der(base64.b64decode(public_key_base64, validate=True))
