"""Secrets Manager: secrets and their resource policies.

There is no type for a value: none passes through Pulumi, in or out.

The id of both, and what is imported, is the secret's ARN. What forces a replacement follows
upstream (hashicorp/terraform-provider-aws, internal/service/secretsmanager/secret.go,
secret_policy.go, ForceNew).
"""

from __future__ import annotations

from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.sameness import equal, same_document
from localaws.provider.table import Property, ResourceType, unfinished
from localaws.provider.tagging import Tagging, tag_map
from localaws.provider.values import Properties, to_aws

_TAGGING = Tagging(service="secretsmanager", resource="SecretId")
_RECOVERY_DAYS = 30
"""What Secrets Manager takes when no window is given (API reference, DeleteSecret)."""
_MANAGED_KEY = "alias/aws/secretsmanager"
"""AWS's own key, which encrypts where none is named."""
_NOTHING = "{}"
"""A declared policy that means none (upstream documentation of aws_secretsmanager_secret, policy).
"""
_SECRET = {"name": "Name", "description": "Description", "kmsKeyId": "KmsKeyId"}


def same_replicas(one: Any, other: Any) -> bool:
    """Whether two lists name the same regions with the same keys, in whatever order."""
    return (
        _regions(one) == _regions(other)
        if isinstance(one, list) and isinstance(other, list)
        else equal(one, other)
    )


def same_policy(one: Any, other: Any) -> bool:
    """Whether two resource policies say the same; ``{}`` is none."""
    return same_document(*(None if policy == _NOTHING else policy for policy in (one, other)))


def _regions(replicas: list[Properties] | None) -> dict[str, str]:
    return {
        replica["region"]: replica.get("kmsKeyId") or _MANAGED_KEY for replica in replicas or []
    }


def _theirs(regions: dict[str, str]) -> list[dict[str, str]]:
    """Leave the key of a replica out where it is AWS's own.

    That is one per Region, and is named by leaving it out.
    """
    return [
        {"Region": region, **({} if key == _MANAGED_KEY else {"KmsKeyId": key})}
        for region, key in sorted(regions.items())
    ]


def _create_secret(aws: Aws, inputs: Properties) -> str:
    replicas = _theirs(_regions(inputs.get("replicas")))
    made = aws.secretsmanager.create_secret(
        **to_aws(_SECRET, inputs),
        **_TAGGING.argument(inputs.get("tags")),
        **(
            {
                "AddReplicaRegions": replicas,
                "ForceOverwriteReplicaSecret": bool(inputs.get("forceOverwriteReplicaSecret")),
            }
            if replicas
            else {}
        ),
    )
    arn = str(made["ARN"])
    with unfinished(arn):
        _set_policy(aws, arn, None, inputs.get("policy"))
    return arn


def _set_policy(aws: Aws, arn: str, old: str | None, new: str | None) -> None:
    """As upstream: a policy that is not declared may be a SecretPolicy's, and is left alone."""
    if new is None or same_policy(old, new):
        return
    if new == _NOTHING:
        aws.secretsmanager.delete_resource_policy(SecretId=arn)
    else:
        aws.secretsmanager.put_resource_policy(SecretId=arn, ResourcePolicy=new)


def _read_secret(aws: Aws, arn: str) -> Properties | None:
    described = aws.secretsmanager.describe_secret(SecretId=arn)
    if "DeletedDate" in described:
        return None
    replicas = [
        {
            "region": status["Region"],
            **({"kmsKeyId": status["KmsKeyId"]} if status["KmsKeyId"] != _MANAGED_KEY else {}),
        }
        for status in described.get("ReplicationStatus", [])
    ]
    return {
        "name": described["Name"],
        "description": described.get("Description", ""),
        "kmsKeyId": described.get("KmsKeyId"),
        "arn": described["ARN"],
        "policy": aws.secretsmanager.get_resource_policy(SecretId=arn).get("ResourcePolicy"),
        "replicas": replicas,
        "tags": tag_map(described.get("Tags", [])),
    }


def _update_secret(aws: Aws, arn: str, old: Properties, new: Properties) -> None:
    had, wanted = _regions(old.get("replicas")), _regions(new.get("replicas"))
    _remove_replicas(aws, arn, [region for region, key in had.items() if wanted.get(region) != key])
    added = {region: key for region, key in wanted.items() if had.get(region) != key}
    if added:
        aws.secretsmanager.replicate_secret_to_regions(
            SecretId=arn,
            AddReplicaRegions=_theirs(added),
            ForceOverwriteReplicaSecret=bool(new.get("forceOverwriteReplicaSecret")),
        )
    if any(not equal(old.get(name), new.get(name)) for name in ("description", "kmsKeyId")):
        # An empty key is AWS's own (API reference, UpdateSecret).
        aws.secretsmanager.update_secret(
            SecretId=arn, Description=new.get("description", ""), KmsKeyId=new.get("kmsKeyId", "")
        )
    _set_policy(aws, arn, old.get("policy"), new.get("policy"))


def _remove_replicas(aws: Aws, arn: str, regions: list[str]) -> None:
    if regions:
        aws.secretsmanager.remove_regions_from_replication(
            SecretId=arn, RemoveReplicaRegions=sorted(regions)
        )


def _delete_secret(aws: Aws, arn: str, properties: Properties) -> None:
    found = _read_secret(aws, arn)
    if found is None:
        return
    # first, or the deletion is refused
    _remove_replicas(aws, arn, list(_regions(found["replicas"])))
    days = properties.get("recoveryWindowInDays", _RECOVERY_DAYS)
    how: dict[str, Any] = (
        {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
    )
    aws.secretsmanager.delete_secret(SecretId=arn, **how)


SECRET = ResourceType(
    kind="aws:secretsmanager/secret:Secret",
    acts=True,
    inputs={
        "name": Property(required=True, replaces=True),
        "description": Property(),
        "kmsKeyId": Property(),
        "policy": Property(same=same_policy, computed=True),
        "replicas": Property(same=same_replicas, computed=True),
        "recoveryWindowInDays": Property(local=True),
        "forceOverwriteReplicaSecret": Property(local=True),
    },
    outputs=("arn",),
    create=_create_secret,
    read=_read_secret,
    update=_update_secret,
    delete=_delete_secret,
    named_by="name",
    tagging=_TAGGING,
)


def _put_policy(aws: Aws, inputs: Properties) -> str:
    block = (
        {"BlockPublicPolicy": inputs["blockPublicPolicy"]} if "blockPublicPolicy" in inputs else {}
    )
    answer = aws.secretsmanager.put_resource_policy(
        SecretId=inputs["secretArn"], ResourcePolicy=inputs["policy"], **block
    )
    return str(answer["ARN"])


def _read_policy(aws: Aws, arn: str) -> Properties | None:
    described = aws.secretsmanager.get_resource_policy(SecretId=arn)
    return (
        {"secretArn": described["ARN"], "policy": described["ResourcePolicy"]}
        if described.get("ResourcePolicy")
        else None
    )


SECRET_POLICY = ResourceType(
    kind="aws:secretsmanager/secretPolicy:SecretPolicy",
    acts=True,
    inputs={
        "secretArn": Property(required=True, replaces=True),
        "policy": Property(required=True, same=same_document),
        "blockPublicPolicy": Property(local=True),
    },
    outputs=(),
    create=_put_policy,
    read=_read_policy,
    update=lambda aws, _arn, _old, new: _put_policy(aws, new),
    delete=lambda aws, arn, _properties: aws.secretsmanager.delete_resource_policy(SecretId=arn),
)
