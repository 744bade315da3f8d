"""A canary: a key without money that carries, one after another, the policies of the money keys.

What a principal may do to a key is decided by the key's policy, so a destructive action that a
policy allows is shown on a key that may come to harm. The deployer makes it, because it makes every
key, and schedules its deletion in the end.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from seawall.conventions import aws
from seawall.drill.segregation.actors import Actors
from seawall.drill.segregation.attempts import KeyFacts, facts_of
from seawall.keys.access import DEPLOYER

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_kms.type_defs import TagTypeDef

_PENDING = ("PendingDeletion", "PendingReplicaDeletion")
_WINDOW_DAYS = 7
"""The shortest that KMS allows (API reference, ScheduleKeyDeletion)."""


@dataclass(frozen=True, kw_only=True)
class Canary:
    """The canary in one region.

    ``blank`` is its own policy, under which the deployer may do everything but sign.
    """

    kms: KMSClient
    facts: KeyFacts
    blank: str

    def carry(self, policy: str) -> KeyFacts:
        """Enable the canary again and give it ``policy``; returns the facts for an attempt."""
        self._put(self.blank)
        state = self.kms.describe_key(KeyId=self.facts.key_id)["KeyMetadata"]["KeyState"]
        if state in _PENDING:
            self.kms.cancel_key_deletion(KeyId=self.facts.key_id)
        if state != "Enabled":
            self.kms.enable_key(KeyId=self.facts.key_id)
        self._put(policy)
        return replace(self.facts, policy=policy)

    def remove(self) -> None:
        """Schedule its deletion and drop its alias."""
        self._put(self.blank)
        with suppress(ClientError):  # the drill may have died before there was one
            self.kms.delete_alias(AliasName=self.facts.alias)
        if (
            self.kms.describe_key(KeyId=self.facts.key_id)["KeyMetadata"]["KeyState"]
            not in _PENDING
        ):
            self.kms.schedule_key_deletion(
                KeyId=self.facts.key_id, PendingWindowInDays=_WINDOW_DAYS
            )

    def _put(self, policy: str) -> None:
        self.kms.put_key_policy(KeyId=self.facts.key_id, PolicyName="default", Policy=policy)


@contextmanager
def canaries(
    actors: Actors, *, venue: str, account: str, primary: str, standby: str
) -> Iterator[Mapping[str, Canary]]:
    """A canary and its replica, by region, while they are needed.

    Raises botocore's errors if the deployer may not make them.
    """
    blank = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "Drill",
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                    "Action": "kms:*",
                    "Resource": "*",
                }
            ],
        }
    )
    alias = f"alias/{aws.PREFIX}/{venue}/canary-{secrets.token_hex(4)}"
    here, there = (actors.kms(DEPLOYER, region) for region in (primary, standby))
    tags: list[TagTypeDef] = [{"TagKey": "purpose", "TagValue": "segregation drill"}]
    key_id = here.create_key(
        KeySpec="ECC_SECG_P256K1",
        KeyUsage="SIGN_VERIFY",
        MultiRegion=True,
        Policy=blank,
        Tags=tags,
        Description="Canary of a segregation drill; holds no money",
    )["KeyMetadata"]["KeyId"]
    made: list[tuple[str, KMSClient]] = [(primary, here)]
    try:
        here.replicate_key(KeyId=key_id, ReplicaRegion=standby, Policy=blank, Tags=tags)
        made.append((standby, there))
        for _, kms in made:
            kms.create_alias(AliasName=alias, TargetKeyId=key_id)
        yield {
            region: Canary(
                kms=kms, facts=facts_of(kms, key_id=key_id, alias=alias, region=region), blank=blank
            )
            for region, kms in made
        }
    finally:
        # A replica goes before its primary (KMS developer guide, "Deleting multi-Region keys").
        for region, kms in reversed(made):
            facts = facts_of(kms, key_id=key_id, alias=alias, region=region)
            Canary(kms=kms, facts=facts, blank=blank).remove()
