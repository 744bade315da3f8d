"""KMS: keys, replica keys, aliases, public keys. They act: see ``seawall.sandbox.aws.shims``."""

from __future__ import annotations

import base64
import textwrap

from botocore.exceptions import ClientError

from seawall.sandbox.provider.clients import Aws, is_gone
from seawall.sandbox.provider.table import (
    Function,
    Property,
    ResourceType,
    given,
    same_document,
    same_key,
    tag_map,
    tag_pairs,
)
from seawall.sandbox.provider.values import Properties

_DELETION_WINDOW_DAYS = 30
"""What KMS takes when no window is given (API reference, ScheduleKeyDeletion)."""


def _tags(inputs: Properties) -> list[dict[str, str]]:
    return tag_pairs(inputs.get("tags"), key="TagKey", value="TagValue")


def _create_key(aws: Aws, inputs: Properties) -> str:
    key = aws.kms.create_key(
        **given(
            Description=inputs.get("description"), KeyUsage=inputs.get("keyUsage"), KeySpec=inputs.get("customerMasterKeySpec"),
            MultiRegion=inputs.get("multiRegion"), Policy=inputs.get("policy"), Tags=_tags(inputs),
        )
    )  # fmt: skip
    key_id = str(key["KeyMetadata"]["KeyId"])
    _set_enabled(aws, key_id, enabled=inputs.get("isEnabled", True))
    return key_id


def _set_enabled(aws: Aws, key_id: str, *, enabled: bool) -> None:
    is_enabled = aws.kms.describe_key(KeyId=key_id)["KeyMetadata"]["Enabled"]
    if enabled and not is_enabled:
        aws.kms.enable_key(KeyId=key_id)
    if is_enabled and not enabled:
        aws.kms.disable_key(KeyId=key_id)


def _described(aws: Aws, key_id: str) -> Properties | None:
    """What both kinds of key have in common; a key pending deletion is gone, as the official plugin sees it."""
    try:
        metadata = aws.kms.describe_key(KeyId=key_id)["KeyMetadata"]
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    if metadata["KeyState"] in ("PendingDeletion", "PendingReplicaDeletion"):
        return None
    tags = tag_map(aws.kms.list_resource_tags(KeyId=key_id)["Tags"], key="TagKey", value="TagValue")
    return {
        "metadata": metadata, "arn": metadata["Arn"], "keyId": metadata["KeyId"], "description": metadata["Description"],
        "keyUsage": metadata["KeyUsage"], "policy": aws.kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"],
        "tags": tags, "tagsAll": tags,
    }  # fmt: skip


def _read_key(aws: Aws, key_id: str) -> Properties | None:
    found = _described(aws, key_id)
    if found is None:
        return None
    metadata = found.pop("metadata")
    return {
        **found,
        "customerMasterKeySpec": metadata["KeySpec"],
        "multiRegion": metadata["MultiRegion"],
        "isEnabled": metadata["Enabled"],
    }


def _update_key(aws: Aws, key_id: str, old: Properties, new: Properties) -> None:
    if not same_document(old.get("policy"), new.get("policy")) and new.get("policy"):
        aws.kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=new["policy"])
    if old.get("description") != new.get("description"):
        aws.kms.update_key_description(KeyId=key_id, Description=new.get("description", ""))
    gone = sorted(set(old.get("tags", {})) - set(new.get("tags", {})))
    if gone:
        aws.kms.untag_resource(KeyId=key_id, TagKeys=gone)
    if new.get("tags"):
        aws.kms.tag_resource(KeyId=key_id, Tags=_tags(new))
    _set_enabled(aws, key_id, enabled=bool(new.get("isEnabled", new.get("enabled", True))))


def _delete_key(aws: Aws, key_id: str, properties: Properties) -> None:
    if _described(aws, key_id) is not None:
        aws.kms.schedule_key_deletion(
            KeyId=key_id, PendingWindowInDays=properties.get("deletionWindowInDays", _DELETION_WINDOW_DAYS)
        )


KEY = ResourceType(
    kind="aws:kms/key:Key",
    acts=True,
    inputs={
        "description": Property(),
        "keyUsage": Property(replaces=True),
        "customerMasterKeySpec": Property(replaces=True),
        "multiRegion": Property(replaces=True),
        "policy": Property(same=same_document),
        "isEnabled": Property(default=True),
        "deletionWindowInDays": Property(local=True),
        "tags": Property(),
    },
    outputs=("arn", "keyId", "tagsAll"),
    create=_create_key,
    read=_read_key,
    update=_update_key,
    delete=_delete_key,
)


def _create_replica(aws: Aws, inputs: Properties) -> str:
    arn = str(inputs["primaryKeyArn"])
    primary = aws.elsewhere(arn.split(":")[3])
    key_id = arn.rpartition("/")[2]
    primary.kms.replicate_key(
        KeyId=key_id, ReplicaRegion=aws.region, Tags=_tags(inputs),
        **given(Policy=inputs.get("policy"), Description=inputs.get("description")),
    )  # fmt: skip
    _set_enabled(aws, key_id, enabled=inputs.get("enabled", True))
    return key_id


def _read_replica(aws: Aws, key_id: str) -> Properties | None:
    found = _described(aws, key_id)
    if found is None:
        return None
    metadata = found.pop("metadata")
    primary = metadata["MultiRegionConfiguration"]["PrimaryKey"]["Arn"]
    return {**found, "keySpec": metadata["KeySpec"], "primaryKeyArn": primary, "enabled": metadata["Enabled"]}


REPLICA_KEY = ResourceType(
    kind="aws:kms/replicaKey:ReplicaKey",
    acts=True,
    inputs={
        "primaryKeyArn": Property(required=True, replaces=True),
        "description": Property(),
        "policy": Property(same=same_document),
        "enabled": Property(default=True),
        "deletionWindowInDays": Property(local=True),
        "tags": Property(),
    },
    outputs=("arn", "keyId", "keySpec", "keyUsage", "tagsAll"),
    create=_create_replica,
    read=_read_replica,
    update=_update_key,
    delete=_delete_key,
)


def _create_alias(aws: Aws, inputs: Properties) -> str:
    aws.kms.create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
    return str(inputs["name"])


def _read_alias(aws: Aws, name: str) -> Properties | None:
    try:
        key = aws.kms.describe_key(KeyId=name)["KeyMetadata"]
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    arn = f"{key['Arn'].rpartition(':')[0]}:{name}"
    return {"name": name, "arn": arn, "targetKeyId": key["KeyId"], "targetKeyArn": key["Arn"]}


def _update_alias(aws: Aws, name: str, _old: Properties, new: Properties) -> None:
    aws.kms.update_alias(AliasName=name, TargetKeyId=new["targetKeyId"])


def _delete_alias(aws: Aws, name: str, _properties: Properties) -> None:
    if _read_alias(aws, name) is not None:
        aws.kms.delete_alias(AliasName=name)


ALIAS = ResourceType(
    kind="aws:kms/alias:Alias",
    acts=True,
    inputs={"name": Property(required=True, replaces=True), "targetKeyId": Property(required=True, same=same_key)},
    outputs=("arn", "targetKeyArn"),
    create=_create_alias,
    read=_read_alias,
    update=_update_alias,
    delete=_delete_alias,
    named_by="name",
)


def _get_public_key(aws: Aws, inputs: Properties) -> Properties:
    answer = aws.kms.get_public_key(KeyId=inputs["keyId"])
    arn = aws.kms.describe_key(KeyId=inputs["keyId"])["KeyMetadata"]["Arn"]
    text = base64.b64encode(answer["PublicKey"]).decode()
    body = "\n".join(textwrap.wrap(text, 64))
    return {
        "arn": arn, "id": arn, "keyId": inputs["keyId"], "region": aws.region, "keyUsage": answer["KeyUsage"],
        "customerMasterKeySpec": answer["CustomerMasterKeySpec"], "signingAlgorithms": answer.get("SigningAlgorithms") or [],
        "encryptionAlgorithms": answer.get("EncryptionAlgorithms") or [], "publicKey": text,
        "publicKeyPem": f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n",
    }  # fmt: skip


GET_PUBLIC_KEY = Function(
    kind="aws:kms/getPublicKey:getPublicKey", inputs={"keyId": Property(required=True)}, call=_get_public_key
)
