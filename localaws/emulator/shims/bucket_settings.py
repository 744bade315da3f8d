"""What is set on a bucket is told as it was given.

`GetBucketLifecycleConfiguration` and `GetBucketReplication` return the whole configuration, and S3
gives a rule without an id one of its own
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html,
API_PutBucketReplication.html). A replication needs versioning at both ends, and object lock at the
destination if the source has it (user guide, "Requirements and considerations for replication",
"Using S3 Object Lock with replication"). moto forgets the number of versions to keep, sizes in
filters, filters of replication and what is done with delete markers and encrypted objects, and asks
nothing of the destination.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from moto.s3.exceptions import (
    NoSuchLifecycleConfiguration,
    ReplicationConfigurationNotFoundError,
    S3ClientError,
)
from moto.s3.models import FakeBucket, S3Backend, s3_backends
from moto.s3.responses import S3Response

from localaws.emulator.shims.s3_xml import document


def install() -> None:
    """Keep both configurations whole."""
    backend: Any = S3Backend
    response: Any = S3Response
    backend.put_bucket_lifecycle = _put_lifecycle(backend.put_bucket_lifecycle)
    backend.put_bucket_replication = _put_replication(backend.put_bucket_replication)
    response.get_bucket_lifecycle = _get_lifecycle
    response.get_bucket_replication = _get_replication


def destination(rule: dict[str, Any]) -> FakeBucket | None:
    """The bucket to which a rule of replication copies, if there is one of this name in any
    account.
    """
    name = rule["Destination"]["Bucket"].rpartition(":")[2]
    owner = s3_backends.bucket_accounts.get(name)
    if owner is None:
        return None
    partition, account = owner
    found: FakeBucket | None = s3_backends[account][partition].buckets.get(name)
    return found


def _put_lifecycle(original: Callable[..., None]) -> Callable[..., None]:
    def put(self: Any, bucket_name: str, rules: list[dict[str, Any]]) -> None:
        given = _named(deepcopy(rules))
        original(self, bucket_name, rules)
        self.get_bucket(bucket_name).lifecycle_given = given

    return put


def _get_lifecycle(self: Any) -> Any:
    bucket = self.backend.get_bucket(self.bucket_name)
    if not self.backend.get_bucket_lifecycle(self.bucket_name):
        raise NoSuchLifecycleConfiguration(bucket_name=self.bucket_name)
    headers = {"x-amz-transition-default-minimum-object-size": "all_storage_classes_128K"}
    return 200, headers, document("LifecycleConfiguration", {"Rule": bucket.lifecycle_given})


def _put_replication(original: Callable[..., None]) -> Callable[..., None]:
    def put(self: Any, bucket_name: str, replication: dict[str, Any]) -> None:
        rules = (
            replication["Rule"] if isinstance(replication["Rule"], list) else [replication["Rule"]]
        )
        locked = self.get_bucket(bucket_name).object_lock_enabled
        for rule in rules:
            _refuse_incomplete(rule)
            there = destination(rule)
            if there is None or not there.is_versioned:
                raise S3ClientError(
                    "InvalidRequest", "Destination bucket must have versioning enabled."
                )
            if locked and not there.object_lock_enabled:
                raise S3ClientError(
                    "InvalidRequest", "Destination bucket must have object lock enabled."
                )
        original(self, bucket_name, {**replication, "Rule": _named(rules)})

    return put


def _refuse_incomplete(rule: dict[str, Any]) -> None:
    """Since rules have a filter, what was implied before must be said (user guide, "Backward
    compatibility considerations").
    """
    for name in ("Priority", "DeleteMarkerReplication"):
        if "Filter" in rule and name not in rule:
            message = f"{name} must be specified for this version of Cross Region Replication configuration schema."
            raise S3ClientError("InvalidRequest", message)
    if selects_encrypted(rule) and not rule["Destination"].get("EncryptionConfiguration"):
        message = "ReplicaKmsKeyID must be specified if SseKmsEncryptedObjects tag is present."
        raise S3ClientError("InvalidRequest", message)


def selects_encrypted(rule: dict[str, Any]) -> bool:
    """Whether a rule of replication is for objects under SSE-KMS as well."""
    criteria = rule.get("SourceSelectionCriteria") or {}
    return bool((criteria.get("SseKmsEncryptedObjects") or {}).get("Status") == "Enabled")


def _get_replication(self: Any) -> Any:
    kept = self.backend.get_bucket_replication(self.bucket_name)
    if not kept:
        raise ReplicationConfigurationNotFoundError(bucket_name=self.bucket_name)
    return (
        200,
        {},
        document("ReplicationConfiguration", {"Role": kept["Role"], "Rule": kept["Rule"]}),
    )


def _named(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"ID": rule.get("ID") or str(uuid.uuid4()), **{k: v for k, v in rule.items() if k != "ID"}}
        for rule in rules
    ]
