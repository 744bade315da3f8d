"""Settings of a bucket, each a resource of its own.

They are encryption, public access, ownership, policy, lifecycle and replication. Each has one call
to set it, one to read it and one to remove it; its id is the bucket's name, which is also what is
imported.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.sameness import equal, same_document
from localaws.provider.table import Property, ResourceType
from localaws.provider.tagging import tag_map, tag_pairs
from localaws.provider.values import Properties, given

_NAMES = {
    "id": "ID",
    "sseAlgorithm": "SSEAlgorithm",
    "kmsMasterKeyId": "KMSMasterKeyID",
    "replicaKmsKeyId": "ReplicaKmsKeyID",
}


def same_rules(one: Any, other: Any) -> bool:
    """Whether two lists of rules with ids say the same, in whatever order."""
    if isinstance(one, list) and isinstance(other, list):
        by_id = operator.methodcaller("get", "id", "")
        return sorted(one, key=by_id) == sorted(other, key=by_id)
    return equal(one, other)


def _setting(
    kind: str,
    *,
    acts: bool,
    inputs: dict[str, Property],
    put: Callable[[Aws, Properties], object],
    described: Callable[[Aws, str], Properties],
    take_away: Callable[[Aws, str], object],
    gone: str,
) -> ResourceType:
    """Make the entry of one setting.

    ``described`` returns the properties besides the bucket. ``gone`` is S3's code when nothing is
    set.
    """

    def create(aws: Aws, inputs: Properties) -> str:
        put(aws, inputs)
        return str(inputs["bucket"])

    def delete(aws: Aws, bucket: str, properties: Properties) -> None:
        if not properties.get("skipDestroy"):
            take_away(aws, bucket)

    return ResourceType(
        kind=kind,
        acts=acts,
        inputs={"bucket": Property(required=True, replaces=True), **inputs},
        outputs=(),
        create=create,
        read=lambda aws, bucket: {"bucket": bucket, **described(aws, bucket)},
        update=lambda aws, _bucket, _old, new: put(aws, new),
        delete=delete,
        gone=frozenset({gone}),
    )


def same_encryption(one: Any, other: Any) -> bool:
    """Whether two lists of encryption rules say the same.

    A bucket key that is not mentioned is none.
    """
    if isinstance(one, list) and isinstance(other, list):
        return [{"bucketKeyEnabled": False, **rule} for rule in one] == [
            {"bucketKeyEnabled": False, **rule} for rule in other
        ]
    return equal(one, other)


def _encryption(aws: Aws, bucket: str) -> Properties:
    answer = aws.s3.get_bucket_encryption(Bucket=bucket)
    return {"rules": from_aws(answer["ServerSideEncryptionConfiguration"]["Rules"], _NAMES)}


ENCRYPTION = _setting(
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    acts=False,  # objects say how they are encrypted, and are not
    inputs={"rules": Property(required=True, same=same_encryption)},
    put=lambda aws, inputs: aws.s3.put_bucket_encryption(
        Bucket=inputs["bucket"],
        ServerSideEncryptionConfiguration={"Rules": to_aws(inputs["rules"], _NAMES)},
    ),
    described=_encryption,
    gone="ServerSideEncryptionConfigurationNotFoundError",
    take_away=lambda aws, bucket: aws.s3.delete_bucket_encryption(Bucket=bucket),
)

_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def _blocks(aws: Aws, bucket: str) -> Properties:
    answer = aws.s3.get_public_access_block(Bucket=bucket)
    blocks: Properties = from_aws(answer["PublicAccessBlockConfiguration"], {})
    return blocks


PUBLIC_ACCESS_BLOCK = _setting(
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    acts=False,  # nothing in the sandbox is public
    inputs={**dict.fromkeys(_BLOCKS, Property(default=False)), "skipDestroy": Property(local=True)},
    put=lambda aws, inputs: aws.s3.put_public_access_block(
        Bucket=inputs["bucket"],
        PublicAccessBlockConfiguration=to_aws(
            {name: inputs.get(name, False) for name in _BLOCKS}, {}
        ),
    ),
    described=_blocks,
    gone="NoSuchPublicAccessBlockConfiguration",
    take_away=lambda aws, bucket: aws.s3.delete_public_access_block(Bucket=bucket),
)


def _ownership(aws: Aws, bucket: str) -> Properties:
    answer = aws.s3.get_bucket_ownership_controls(Bucket=bucket)
    return {"rule": from_aws(answer["OwnershipControls"]["Rules"][0], {})}


OWNERSHIP = _setting(
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    acts=False,  # there is one account, and it owns all objects
    inputs={"rule": Property(required=True)},
    put=lambda aws, inputs: aws.s3.put_bucket_ownership_controls(
        Bucket=inputs["bucket"], OwnershipControls={"Rules": [to_aws(inputs["rule"], {})]}
    ),
    described=_ownership,
    gone="OwnershipControlsNotFoundError",
    take_away=lambda aws, bucket: aws.s3.delete_bucket_ownership_controls(Bucket=bucket),
)


def _policy(aws: Aws, bucket: str) -> Properties:
    answer = aws.s3.get_bucket_policy(Bucket=bucket)
    return {"policy": answer["Policy"]}


POLICY = _setting(
    "aws:s3/bucketPolicy:BucketPolicy",
    acts=True,
    inputs={"policy": Property(required=True, same=same_document)},
    put=lambda aws, inputs: aws.s3.put_bucket_policy(
        Bucket=inputs["bucket"], Policy=inputs["policy"]
    ),
    described=_policy,
    gone="NoSuchBucketPolicy",
    take_away=lambda aws, bucket: aws.s3.delete_bucket_policy(Bucket=bucket),
)

_SMALL_OBJECTS = "transitionDefaultMinimumObjectSize"


def _put_lifecycle(aws: Aws, inputs: Properties) -> None:
    aws.s3.put_bucket_lifecycle_configuration(
        Bucket=inputs["bucket"],
        LifecycleConfiguration={"Rules": to_aws(inputs["rules"], _NAMES)},
        **given(TransitionDefaultMinimumObjectSize=inputs.get(_SMALL_OBJECTS)),
    )


def _lifecycle(aws: Aws, bucket: str) -> Properties:
    answer = aws.s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    return {
        "rules": from_aws(answer["Rules"], _NAMES),
        _SMALL_OBJECTS: answer.get("TransitionDefaultMinimumObjectSize"),
    }


LIFECYCLE = _setting(
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    acts=False,  # no time passes
    inputs={
        "rules": Property(required=True, same=same_rules),
        _SMALL_OBJECTS: Property(computed=True),
    },
    put=_put_lifecycle,
    described=_lifecycle,
    gone="NoSuchLifecycleConfiguration",
    take_away=lambda aws, bucket: aws.s3.delete_bucket_lifecycle(Bucket=bucket),
)


def _prioritised(rules: Any) -> Any:
    """Fill in the priority of rules: one without has the lowest, as upstream says.

    Documentation of aws_s3_bucket_replication_configuration.
    """
    return (
        [{"priority": 0, **rule} if "filter" in rule else rule for rule in rules]
        if isinstance(rules, list)
        else rules
    )


def _replication(aws: Aws, bucket: str) -> Properties:
    answer = aws.s3.get_bucket_replication(Bucket=bucket)
    kept = answer["ReplicationConfiguration"]
    return {"role": kept["Role"], "rules": from_aws(kept["Rules"], _NAMES)}


REPLICATION = _setting(
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
    acts=True,
    inputs={
        "role": Property(required=True),
        "rules": Property(
            required=True,
            same=lambda one, other: same_rules(_prioritised(one), _prioritised(other)),
        ),
    },
    put=lambda aws, inputs: aws.s3.put_bucket_replication(
        Bucket=inputs["bucket"],
        ReplicationConfiguration={
            "Role": inputs["role"],
            "Rules": to_aws(_prioritised(inputs["rules"]), _NAMES),
        },
    ),
    described=_replication,
    gone="ReplicationConfigurationNotFoundError",
    take_away=lambda aws, bucket: aws.s3.delete_bucket_replication(Bucket=bucket),
)


def instant(when: datetime) -> str:
    """RFC 3339 in UTC to the second, as the upstream provider writes times."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def same_instant(one: Any, other: Any) -> bool:
    """Whether two RFC 3339 texts name one moment."""
    if not isinstance(one, str) or not isinstance(other, str):
        return bool(one == other)
    try:
        return datetime.fromisoformat(one) == datetime.fromisoformat(other)
    except ValueError:
        return one == other


def to_aws(value: Any, special: Mapping[str, str]) -> Any:
    """Return ``value`` with every name as AWS has it.

    ``special``: those that differ by more than a capital. Maps of tags become pairs.
    """
    if isinstance(value, dict):
        return {
            special.get(name, name[:1].upper() + name[1:]): tag_pairs(item)
            if name == "tags"
            else to_aws(item, special)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [to_aws(item, special) for item in value]
    return value


def from_aws(value: Any, special: Mapping[str, str]) -> Any:
    """The inverse of :func:`to_aws` with the same ``special``; times become texts."""
    ours = {theirs: name for name, theirs in special.items()}
    if isinstance(value, dict):
        return {
            ours.get(name, name[:1].lower() + name[1:]): tag_map(item)
            if name == "Tags"
            else from_aws(item, special)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [from_aws(item, special) for item in value]
    return instant(value) if isinstance(value, datetime) else value
