"""Replication copies: an object that is put arrives in the destination bucket, in whatever region,
as the role of the rule may.

AWS, "What does Amazon S3 replicate?"
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnt-replicated.html):
new versions with metadata, tags, retention and version id; objects under SSE-KMS only if the rule
selects them; replicas never again; delete markers if the rule says so, deletions of a version
never. `HeadObject` tells PENDING, COMPLETED, FAILED or, of the copy, REPLICA. The role is the
service's: it must trust ``s3.amazonaws.com`` and be allowed `s3:GetObjectVersionForReplication`,
`s3:ReplicateObject` and `s3:ReplicateDelete` (user guide, "Setting up permissions for live
replication"). moto stores the configuration and copies nothing. Differs from AWS: the copy is there
at once, of multipart uploads there is none, and the role's use of KMS keys is not judged.
"""

# ruff: noqa: SLF001 - a shim reaches into what moto keeps to itself

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from moto.iam.models import iam_backends
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, s3_backends
from moto.s3.responses import S3Response

from localaws.emulator.authorization.service_calls import role_may, service_may
from localaws.emulator.shims.bucket_settings import destination, selects_encrypted
from seawall.conventions import aws

_STATUS = "x-amz-replication-status"


def install() -> None:
    """Copy after each put and copy of an object; tell the status with the headers of a version."""
    response: Any = S3Response
    response.put_object = _then_replicate(response.put_object)
    response.copy_object = _then_replicate(response.copy_object)
    response.delete_object = _then_mark(response.delete_object)
    headers = FakeKey.response_dict.fget  # type: ignore[attr-defined]

    def with_status(self: Any) -> dict[str, Any]:
        status = getattr(self, "replication_status", None)
        return {**headers(self), **({_STATUS: status} if status else {})}

    FakeKey.response_dict = property(with_status)  # type: ignore[assignment,method-assign]


def _then_replicate(operation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def answer(self: Any) -> Any:
        result = operation(self)
        bucket = self.backend.get_bucket(self.bucket_name)
        if getattr(bucket, "replication", None):
            version = result[1].get(
                "x-amz-version-id"
            )  # another put of this key may have come meanwhile
            key = self.backend.get_object(
                self.bucket_name, self.parse_key_name(), version_id=version
            )
            if key is not None:
                _replicate(self, bucket, key)
        return result

    return answer


def _replicate(response: Any, bucket: FakeBucket, key: FakeKey) -> None:
    statuses = set()
    for rule, there in _rules(response, bucket, key.name):
        if key.encryption == "aws:kms" and not selects_encrypted(rule):
            continue
        if (
            there is None
            or not there.is_versioned
            or not _role_may(response, bucket, key.name, there, "ReplicateObject")
        ):
            statuses.add("FAILED")
            continue
        _copy(key, there, rule["Destination"])
        statuses.add("COMPLETED")
    if statuses:
        key.replication_status = "FAILED" if "FAILED" in statuses else "COMPLETED"  # type: ignore[attr-defined]


def _rules(
    response: Any, bucket: Any, name: str
) -> Iterator[tuple[dict[str, Any], FakeBucket | None]]:
    """The enabled rules for an object of this name, of those to one destination the one of highest
    priority.
    """
    tags = response._tagging_from_headers(response.headers) or {}
    chosen: dict[str, dict[str, Any]] = {}
    for rule in sorted(bucket.replication["Rule"], key=lambda rule: int(rule.get("Priority", 0))):
        if rule["Status"] == "Enabled" and _matches(rule, name, tags):
            chosen[rule["Destination"]["Bucket"]] = rule
    for rule in chosen.values():
        yield rule, destination(rule)


def _matches(rule: dict[str, Any], name: str, tags: dict[str, str]) -> bool:
    chosen = rule.get("Filter") or {"Prefix": rule.get("Prefix")}
    chosen = chosen.get("And") or chosen
    wanted = chosen.get("Tag") or []
    pairs = wanted if isinstance(wanted, list) else [wanted]
    has_tags = all(tags.get(pair["Key"]) == (pair.get("Value") or "") for pair in pairs)
    return has_tags and name.startswith(chosen.get("Prefix") or "")


def _copy(key: Any, there: Any, asked: dict[str, Any]) -> None:
    backend = s3_backends[there.account_id][there.partition]
    lock = {
        "lock_mode": key.lock_mode,
        "lock_legal_status": key.lock_legal_status,
        "lock_until": key.lock_until,
    }
    if not key.lock_mode and there.has_default_lock:
        lock = {
            **lock,
            "lock_mode": there.default_lock_mode,
            "lock_until": there.default_retention(),
        }
    replica: Any = backend.put_object(
        there.name,
        key.name,
        key.value,
        storage=asked.get("StorageClass") or key.storage_class,
        encryption=key.encryption,
        kms_key_id=(asked.get("EncryptionConfiguration") or {}).get("ReplicaKmsKeyID"),
        checksum_value=key.checksum_value,
        **(lock if there.object_lock_enabled else {}),
    )
    replica._version_id = key.version_id
    replica.set_metadata(dict(key.metadata))
    replica.set_acl(key.acl)
    replica.checksum_algorithm = key.checksum_algorithm
    replica.replication_status = "REPLICA"
    backend.put_object_tagging(
        replica,
        s3_backends[key.account_id][key.partition].tagger.get_tag_dict_for_resource(key.arn),
    )


def _then_mark(operation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def answer(self: Any) -> Any:
        result = operation(self)
        bucket: Any = self.backend.get_bucket(self.bucket_name)
        if (
            getattr(bucket, "replication", None)
            and self._get_param("versionId") is None
            and bucket.is_versioned
        ):
            _mark(self, bucket, self.parse_key_name())
        return result

    return answer


def _mark(response: Any, bucket: FakeBucket, name: str) -> None:
    for rule, there in _rules(response, bucket, name):
        wanted = (rule.get("DeleteMarkerReplication") or {}).get("Status") == "Enabled"
        known: Any = None if there is None else there.keys.get(name)
        if not wanted or there is None or known is None or isinstance(known, FakeDeleteMarker):
            continue
        if _role_may(response, bucket, name, there, "ReplicateDelete"):
            s3_backends[there.account_id][there.partition]._set_delete_marker(there.name, name)


def _role_may(response: Any, bucket: Any, name: str, there: FakeBucket, operation: str) -> bool:
    """Whether S3 may assume the role that the configuration names, and the role may read here
    and write there.
    """
    account = iam_backends[response.current_account][response.partition]
    if all(user.name != aws.DEPLOYER for user in account.users.values()):
        return True  # enforcement has not begun
    role = next(
        (role for role in account.roles.values() if role.arn == bucket.replication["Role"]), None
    )
    if role is None or not service_may(
        role.assume_role_policy_document,
        service="s3.amazonaws.com",
        action="sts:AssumeRole",
        resource=role.arn,
        # S3 user guide, "Creating an IAM role" for replication: both may be conditions of its trust
        context={"aws:SourceAccount": role.account_id, "aws:SourceArn": bucket.arn},
    ):
        return False
    asked = (("s3:GetObjectVersionForReplication", bucket), (f"s3:{operation}", there))
    return all(
        role_may(
            account,
            role,
            session="s3-replication",
            action=action,
            resource=f"{holder.arn}/{name}",
            resource_policy=holder.policy.decode() if holder.policy is not None else None,
        )
        for action, holder in asked
    )
