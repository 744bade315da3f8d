"""KMS: keys, replica keys, aliases, public keys. They act: see ``localaws.emulator.services.kms``.

What forces a replacement follows upstream (hashicorp/terraform-provider-aws,
internal/service/kms/key.go, replica_key.go, ForceNew).
"""

from __future__ import annotations

import base64
import textwrap

from localaws.provider.clients import Aws
from localaws.provider.sameness import same_document, same_key
from localaws.provider.table import Function, Property, ResourceType, unfinished
from localaws.provider.tagging import Tagging
from localaws.provider.values import Properties, to_aws

_DELETION_WINDOW_DAYS = 30
"""What KMS takes when no window is given (API reference, ScheduleKeyDeletion)."""
_ROTATION_DAYS = 365
"""What KMS takes when no period is given (API reference, EnableKeyRotation)."""
_SYMMETRIC = "SYMMETRIC_DEFAULT"
_PLAIN = {"KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": _SYMMETRIC, "MultiRegion": False}
"""What a key is by default (API reference, CreateKey)."""
_LOCKOUT = "bypassPolicyLockoutSafetyCheck"
_TAGGING = Tagging(
    service="kms",
    by="keyId",
    resource="KeyId",
    list="list_resource_tags",
    pair=("TagKey", "TagValue"),
)
_KEY = {
    "description": "Description",
    "keyUsage": "KeyUsage",
    "customerMasterKeySpec": "KeySpec",
    "multiRegion": "MultiRegion",
    "policy": "Policy",
    _LOCKOUT: "BypassPolicyLockoutSafetyCheck",
}
"""Properties of a key, and what CreateKey calls them."""


def _create_key(aws: Aws, inputs: Properties) -> str:
    made = aws.kms.create_key(
        **{**_PLAIN, **to_aws(_KEY, inputs)}, **_TAGGING.argument(inputs.get("tags"))
    )
    key_id = str(made["KeyMetadata"]["KeyId"])
    with unfinished(key_id):
        _set_rotation(aws, key_id, {}, inputs)
        if not inputs["isEnabled"]:
            aws.kms.disable_key(KeyId=key_id)
    return key_id


def _set_rotation(aws: Aws, key_id: str, old: Properties, new: Properties) -> None:
    """Change the rotation where the inputs do, whatever the key.

    So it is KMS that refuses it for an asymmetric key.
    """
    had, wanted = bool(old.get("enableKeyRotation")), bool(new.get("enableKeyRotation"))
    period = new.get("rotationPeriodInDays", _ROTATION_DAYS)
    if wanted and not (had and old.get("rotationPeriodInDays", _ROTATION_DAYS) == period):
        aws.kms.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=period)
    elif had and not wanted:
        aws.kms.disable_key_rotation(KeyId=key_id)


def _described(aws: Aws, key_id: str) -> Properties | None:
    """What both kinds of key have in common.

    A key pending deletion is gone, as the official plugin sees it.
    """
    metadata = aws.kms.describe_key(KeyId=key_id)["KeyMetadata"]
    if metadata["KeyState"] in ("PendingDeletion", "PendingReplicaDeletion"):
        return None
    return {
        "metadata": metadata,
        "arn": metadata["Arn"],
        "keyId": metadata["KeyId"],
        "description": metadata["Description"],
        "keyUsage": metadata["KeyUsage"],
        "policy": aws.kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"],
    }


def _read_key(aws: Aws, key_id: str) -> Properties | None:
    found = _described(aws, key_id)
    if found is None:
        return None
    metadata = found.pop("metadata")
    rotation = (
        aws.kms.get_key_rotation_status(KeyId=key_id) if metadata["KeySpec"] == _SYMMETRIC else {}
    )
    return {
        **found,
        "customerMasterKeySpec": metadata["KeySpec"],
        "multiRegion": metadata["MultiRegion"],
        "isEnabled": metadata["Enabled"],
        "enableKeyRotation": rotation.get("KeyRotationEnabled", False),
        "rotationPeriodInDays": rotation.get("RotationPeriodInDays"),
    }


def _update_key(aws: Aws, key_id: str, old: Properties, new: Properties) -> None:
    enabled = "enabled" if "enabled" in new else "isEnabled"
    # first, for KMS refuses changes of a key that is disabled
    if new[enabled] and not old[enabled]:
        aws.kms.enable_key(KeyId=key_id)
    _set_rotation(aws, key_id, old, new)
    if new.get("policy") and not same_document(old.get("policy"), new["policy"]):
        bypass = {"BypassPolicyLockoutSafetyCheck": bool(new.get(_LOCKOUT))}
        aws.kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=new["policy"], **bypass)
    if old.get("description", "") != new.get("description", ""):
        aws.kms.update_key_description(KeyId=key_id, Description=new.get("description", ""))
    if old[enabled] and not new[enabled]:
        aws.kms.disable_key(KeyId=key_id)


def _delete_key(aws: Aws, key_id: str, properties: Properties) -> None:
    if _described(aws, key_id) is not None:
        window = properties.get("deletionWindowInDays", _DELETION_WINDOW_DAYS)
        aws.kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=window)


KEY = ResourceType(
    kind="aws:kms/key:Key",
    acts=True,
    inputs={
        "description": Property(computed=True),
        "keyUsage": Property(replaces=True, default="ENCRYPT_DECRYPT"),
        "customerMasterKeySpec": Property(replaces=True, default="SYMMETRIC_DEFAULT"),
        "multiRegion": Property(replaces=True, computed=True),
        "policy": Property(same=same_document, computed=True),
        "isEnabled": Property(default=True),
        "enableKeyRotation": Property(default=False),
        "rotationPeriodInDays": Property(computed=True),
        _LOCKOUT: Property(local=True),
        "deletionWindowInDays": Property(local=True),
    },
    outputs=("arn", "keyId"),
    create=_create_key,
    read=_read_key,
    update=_update_key,
    delete=_delete_key,
    tagging=_TAGGING,
)


def _create_replica(aws: Aws, inputs: Properties) -> str:
    arn = str(inputs["primaryKeyArn"])
    key_id = arn.rpartition("/")[2]
    primary = aws.elsewhere(arn.split(":")[3])
    about = to_aws({name: _KEY[name] for name in ("policy", "description", _LOCKOUT)}, inputs)
    tags = _TAGGING.argument(inputs.get("tags"))
    primary.kms.replicate_key(KeyId=key_id, ReplicaRegion=aws.region, **about, **tags)
    if not inputs["enabled"]:
        with unfinished(key_id):
            aws.kms.disable_key(KeyId=key_id)
    return key_id


def _read_replica(aws: Aws, key_id: str) -> Properties | None:
    found = _described(aws, key_id)
    if found is None:
        return None
    metadata = found.pop("metadata")
    primary = metadata["MultiRegionConfiguration"]["PrimaryKey"]["Arn"]
    return {
        **found,
        "keySpec": metadata["KeySpec"],
        "primaryKeyArn": primary,
        "enabled": metadata["Enabled"],
    }


REPLICA_KEY = ResourceType(
    kind="aws:kms/replicaKey:ReplicaKey",
    acts=True,
    inputs={
        "primaryKeyArn": Property(required=True, replaces=True),
        "description": Property(),
        "policy": Property(same=same_document, computed=True),
        "enabled": Property(default=True),
        _LOCKOUT: Property(local=True),
        "deletionWindowInDays": Property(local=True),
    },
    outputs=("arn", "keyId", "keySpec", "keyUsage"),
    create=_create_replica,
    read=_read_replica,
    update=_update_key,
    delete=_delete_key,
    tagging=_TAGGING,
)


def _create_alias(aws: Aws, inputs: Properties) -> str:
    aws.kms.create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
    return str(inputs["name"])


def _read_alias(aws: Aws, name: str) -> Properties:
    key = aws.kms.describe_key(KeyId=name)["KeyMetadata"]
    arn = f"{key['Arn'].rpartition(':')[0]}:{name}"
    return {"name": name, "arn": arn, "targetKeyId": key["KeyId"], "targetKeyArn": key["Arn"]}


ALIAS = ResourceType(
    kind="aws:kms/alias:Alias",
    acts=True,
    inputs={
        "name": Property(required=True, replaces=True),
        "targetKeyId": Property(required=True, same=same_key, moves=("targetKeyArn",)),
    },
    outputs=("arn", "targetKeyArn"),
    create=_create_alias,
    read=_read_alias,
    update=lambda aws, name, _old, new: aws.kms.update_alias(
        AliasName=name, TargetKeyId=new["targetKeyId"]
    ),
    delete=lambda aws, name, _properties: aws.kms.delete_alias(AliasName=name),
    named_by="name",
)


def _get_public_key(aws: Aws, inputs: Properties) -> Properties:
    answer = aws.kms.get_public_key(KeyId=inputs["keyId"])
    arn = aws.kms.describe_key(KeyId=inputs["keyId"])["KeyMetadata"]["Arn"]
    text = base64.b64encode(answer["PublicKey"]).decode()
    body = "\n".join(textwrap.wrap(text, 64))
    return {
        "arn": arn,
        "id": arn,
        "keyId": inputs["keyId"],
        "region": aws.region,
        "keyUsage": answer["KeyUsage"],
        "customerMasterKeySpec": answer["CustomerMasterKeySpec"],
        "signingAlgorithms": answer.get("SigningAlgorithms") or [],
        "encryptionAlgorithms": answer.get("EncryptionAlgorithms") or [],
        "publicKey": text,
        "publicKeyPem": f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n",
    }


GET_PUBLIC_KEY = Function(
    kind="aws:kms/getPublicKey:getPublicKey",
    inputs={"keyId": Property(required=True)},
    call=_get_public_key,
)
