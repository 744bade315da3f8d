"""How an action is tried on a key without changing it, and what the answer means.

Each call is one that, where it is allowed, leaves the key as it was: the policy, tag or description
that it has already, a dry run, or something that KMS refuses only after it has allowed it (a
replica that exists already). Two actions have no such form, ``HARMFUL``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from seawall.scorecard.one_control import Found

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_kms.type_defs import TagTypeDef

HARMFUL = frozenset({"kms:DisableKey", "kms:ScheduleKeyDeletion"})
"""If these are allowed they stop the key.

On a money key they are tried only where money is play money, and undone at once.
"""
_WINDOW_DAYS = 30
_DIGEST = sha256(b"seawall segregation drill: this is no transaction").digest()

_DENIED = frozenset({"AccessDeniedException", "AccessDenied"})
_AUTHORISED = frozenset(
    {
        "DryRunOperationException",  # allowed, and not done (API reference, Sign, DryRun)
        "AlreadyExistsException",  # ReplicateKey where a replica is
        "KMSInvalidStateException",  # the key is not in a state for it, say, not pending deletion
        "UnsupportedOperationException",  # a replica cannot be replicated or made primary
        "DisabledException",
        "InvalidAliasNameException",
    }
)
"""Answers that KMS gives only to a principal that is allowed the call."""


@dataclass(frozen=True, kw_only=True)
class KeyFacts:
    """A key in a region as it is: what a harmless attempt repeats."""

    key_id: str
    alias: str
    region: str
    primary_region: str
    other_region: str
    policy: str
    description: str
    tag: TagTypeDef


def facts_of(kms: KMSClient, *, key_id: str, alias: str, region: str) -> KeyFacts:
    """Read the facts with a client that may read them. Raises botocore's errors."""
    metadata = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    declared_keys = metadata["MultiRegionConfiguration"]
    regions = [
        declared_keys["PrimaryKey"]["Region"],
        *(replica["Region"] for replica in declared_keys["ReplicaKeys"]),
    ]
    tags = kms.list_resource_tags(KeyId=key_id)["Tags"]
    return KeyFacts(
        key_id=key_id,
        alias=alias,
        region=region,
        primary_region=regions[0],
        other_region=next((name for name in regions if name != region), regions[0]),
        policy=kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"],
        description=metadata.get("Description", ""),
        tag=tags[0] if tags else {"TagKey": "owner", "TagValue": ""},
    )


def _sign(kms: KMSClient, key: KeyFacts, *, dry_run: bool) -> None:
    asked: dict[str, Any] = {"DryRun": True} if dry_run else {}
    kms.sign(
        KeyId=key.key_id,
        Message=_DIGEST,
        MessageType="DIGEST",
        SigningAlgorithm="ECDSA_SHA_256",
        **asked,
    )


def _calls(
    kms: KMSClient, key: KeyFacts, *, principal_arn: str, dry_run: bool
) -> Mapping[str, Callable[[], Any]]:
    key_id = key.key_id
    return {
        "kms:Sign": lambda: _sign(kms, key, dry_run=dry_run),
        "kms:GetPublicKey": lambda: kms.get_public_key(KeyId=key_id),
        "kms:DescribeKey": lambda: kms.describe_key(KeyId=key_id),
        "kms:GetKeyPolicy": lambda: kms.get_key_policy(KeyId=key_id, PolicyName="default"),
        "kms:PutKeyPolicy": lambda: kms.put_key_policy(
            KeyId=key_id, PolicyName="default", Policy=key.policy
        ),
        "kms:TagResource": lambda: kms.tag_resource(KeyId=key_id, Tags=[key.tag]),
        "kms:UpdateKeyDescription": lambda: kms.update_key_description(
            KeyId=key_id, Description=key.description
        ),
        "kms:DisableKey": lambda: kms.disable_key(KeyId=key_id),
        "kms:EnableKey": lambda: kms.enable_key(KeyId=key_id),
        "kms:ScheduleKeyDeletion": lambda: kms.schedule_key_deletion(
            KeyId=key_id, PendingWindowInDays=_WINDOW_DAYS
        ),
        "kms:CancelKeyDeletion": lambda: kms.cancel_key_deletion(KeyId=key_id),
        "kms:CreateGrant": lambda: kms.create_grant(
            KeyId=key_id, GranteePrincipal=principal_arn, Operations=["Sign"], DryRun=True
        ),
        "kms:UpdateAlias": lambda: kms.update_alias(AliasName=key.alias, TargetKeyId=key_id),
        "kms:ReplicateKey": lambda: kms.replicate_key(
            KeyId=key_id, ReplicaRegion=key.other_region, Policy=key.policy
        ),
        "kms:UpdatePrimaryRegion": lambda: kms.update_primary_region(
            KeyId=key_id, PrimaryRegion=key.primary_region
        ),
    }


def attempt(
    kms: KMSClient, action: str, key: KeyFacts, *, principal_arn: str, dry_run: bool
) -> tuple[Found, str]:
    """Try ``action`` on ``key``; what was found and the account's word for it.

    ``dry_run``: even a signature is only asked about.
    """
    try:
        _calls(kms, key, principal_arn=principal_arn, dry_run=dry_run)[action]()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "Unknown"))
        if code in _DENIED:
            return Found.DENIED, code
        return (Found.ALLOWED if code in _AUTHORISED else Found.UNCLEAR), code
    except BotoCoreError as error:
        return Found.UNCLEAR, type(error).__name__
    return Found.ALLOWED, "success"
