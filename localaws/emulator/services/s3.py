"""S3: object lock binds, settings of buckets are kept whole, and replication copies.

Each section cites what AWS does and what moto does instead.
"""

# ruff: noqa: SLF001 - moto keeps to itself what has to be replaced here

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import xmltodict
from moto.iam.models import iam_backends
from moto.s3.exceptions import (
    AccessDeniedByLock,
    InvalidBucketState,
    LockNotEnabled,
    MissingKey,
    NoSuchLifecycleConfiguration,
    ReplicationConfigurationNotFoundError,
    S3ClientError,
)
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend, s3_backends
from moto.s3.responses import S3Response

from localaws.emulator.authorization.service_calls import role_may, service_may
from seawall.conventions import aws


def install() -> None:
    """Install every correction of this module."""
    _install_object_lock()
    _install_bucket_settings()
    _install_replication()


# ------------------------------------------------------------------------------------------------
# Object lock
#
# AWS, "Locking objects with Object Lock"
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html): in compliance mode no
# user, the account's root included, can delete a protected version, "its retention mode can't be
# changed, and its retention period can't be shortened"; governance mode takes
# `s3:BypassGovernanceRetention` and the header ``x-amz-bypass-governance-retention: true``. A
# bucket under object lock stays versioned, and its default retention may change at any time (user
# guide, "Configuring S3 Object Lock"). moto changes any retention, takes the header from any
# caller and even if it says false, has no `GetObjectRetention`, suspends the versioning, and sets
# a default on an empty bucket only.
# ------------------------------------------------------------------------------------------------

_BYPASS = "x-amz-bypass-governance-retention"


def _install_object_lock() -> None:
    """Put the rules of object lock around what reads, changes and deletes versions."""
    response: Any = S3Response
    backend: Any = S3Backend
    _around(response, "put_object_retention", _put_retention)
    _around(response, "get_object", _get_retention)
    _around(response, "delete_object", _delete_version)
    _around(response, "_bucket_response_delete_keys", _delete_versions)
    _around(backend, "delete_object", _true_bypass)
    _around(backend, "put_bucket_versioning", _stay_versioned)
    backend.put_object_lock_configuration = _put_default


def _around(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    def call(self: Any, *arguments: Any, **more: Any) -> Any:
        return wrapper(self, original, *arguments, **more)

    setattr(owner, name, call)


def _instant(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _holds(key: Any) -> bool:
    """Whether ``key`` is a version whose retention is in force."""
    if not isinstance(key, FakeKey) or not key.lock_mode or not key.lock_until:
        return False
    return _instant(key.lock_until) > datetime.now(UTC)


def _put_retention(self: Any, original: Callable[[Any], Any]) -> Any:
    name = self.parse_key_name()
    key = self.backend.get_object(self.bucket_name, name, version_id=self._get_param("versionId"))
    if key is None:
        raise MissingKey(key=name)
    wanted = parsed(self.body).get("Retention") or {}
    mode, until = wanted.get("Mode"), wanted.get("RetainUntilDate")
    if (mode is None) != (until is None):
        raise S3ClientError(
            "MalformedXML", "The XML you provided was not well-formed or did not validate"
        )
    ends = None if until is None else _instant(until)
    if ends is not None and ends <= datetime.now(UTC):
        raise S3ClientError("InvalidArgument", "The retain until date must be in the future!")
    if _holds(key):
        longer = (
            mode == key.lock_mode and ends is not None and ends >= _instant(str(key.lock_until))
        )
        if not longer and (key.lock_mode == "COMPLIANCE" or not _may_bypass(self)):
            raise AccessDeniedByLock
    if mode is None:
        key.lock_mode = key.lock_until = None
        return 200, self._get_cors_headers_other(), ""
    return original(self)


def _get_retention(self: Any, original: Callable[[Any], Any]) -> Any:
    if "retention" not in self.querystring:
        return original(self)
    if not self.backend.get_bucket(self.bucket_name).object_lock_enabled:
        raise LockNotEnabled
    key, _ = self._get_key(validate_storage_class=False)
    if not key.lock_mode or not key.lock_until:
        raise S3ClientError(
            "NoSuchObjectLockConfiguration",
            "The specified object does not have a ObjectLock configuration",
        )
    retention = {"Mode": key.lock_mode, "RetainUntilDate": key.lock_until}
    return 200, self._get_cors_headers_other(), document("Retention", retention)


def _delete_version(self: Any, original: Callable[[Any], Any]) -> Any:
    if _governed(self, self.parse_key_name(), self._get_param("versionId")) and not _may_bypass(
        self
    ):
        raise AccessDeniedByLock
    return original(self)


def _delete_versions(self: Any, original: Callable[..., Any], bucket_name: str, **more: Any) -> Any:
    """Refuse a list that has a version under GOVERNANCE.

    A list is judged for its deletions only, so a bypass within one is refused to all callers
    (``docs/divergences.md``).
    """
    listed = parsed(self.body)["Delete"].get("Object", [])
    for item in listed if isinstance(listed, list) else [listed]:
        if _governed(self, item["Key"], item.get("VersionId")):
            raise AccessDeniedByLock
    return original(self, bucket_name, **more)


def _governed(self: Any, name: str, version: str | None) -> bool:
    """Whether that is a version held under GOVERNANCE.

    Without a version only a delete marker is set.
    """
    key = (
        None
        if version is None
        else self.backend.get_object(self.bucket_name, name, version_id=version)
    )
    return key is not None and _holds(key) and key.lock_mode == "GOVERNANCE"


def _may_bypass(self: Any) -> bool:
    """Whether the request asks for the bypass.

    ``authorization.enforcement`` has already refused it to callers that may not.
    """
    return str(self.headers.get(_BYPASS, "")).lower() == "true"


def _true_bypass(
    self: Any, original: Callable[..., Any], *place: Any, bypass: Any = None, **version: Any
) -> Any:
    return original(self, *place, **version, bypass=str(bypass).lower() == "true")


def _stay_versioned(self: Any, original: Callable[..., Any], bucket_name: str, status: str) -> Any:
    if status != "Enabled" and self.get_bucket(bucket_name).object_lock_enabled:
        raise InvalidBucketState(
            "An Object Lock configuration is present on this bucket, so the versioning "
            "state cannot be changed."
        )
    return original(self, bucket_name, status)


def _put_default(self: Any, bucket_name: str, *given: Any) -> None:
    """``given`` as moto passes it: whether enabled, mode, days, years."""
    bucket = self.get_bucket(bucket_name)
    if not bucket.is_versioned:
        raise InvalidBucketState(
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
        )
    enabled, *default = given
    bucket.object_lock_enabled = bucket.object_lock_enabled or enabled
    bucket.default_lock_mode, bucket.default_lock_days, bucket.default_lock_years = default


# ------------------------------------------------------------------------------------------------
# Lifecycle and replication settings
#
# AWS: `GetBucketLifecycleConfiguration` and `GetBucketReplication` return the whole configuration,
# and S3 gives a rule without an id one of its own
# (https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html,
# API_PutBucketReplication.html). A replication needs versioning at both ends, and object lock at
# the destination if the source has it (user guide, "Requirements and considerations for
# replication", "Using S3 Object Lock with replication"). moto forgets the number of versions to
# keep, sizes in filters, filters of replication and what is done with delete markers and encrypted
# objects, and asks nothing of the destination.
# ------------------------------------------------------------------------------------------------


def _install_bucket_settings() -> None:
    """Keep both configurations whole."""
    backend: Any = S3Backend
    response: Any = S3Response
    backend.put_bucket_lifecycle = _put_lifecycle(backend.put_bucket_lifecycle)
    backend.put_bucket_replication = _put_replication(backend.put_bucket_replication)
    response.get_bucket_lifecycle = _get_lifecycle
    response.get_bucket_replication = _get_replication


def destination(rule: dict[str, Any]) -> FakeBucket | None:
    """Return the bucket to which a rule of replication copies; None if no account has it."""
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
    """Refuse a rule with a filter that leaves out what older rules implied.

    S3 user guide, "Backward compatibility considerations".
    """
    for name in ("Priority", "DeleteMarkerReplication"):
        if "Filter" in rule and name not in rule:
            raise S3ClientError(
                "InvalidRequest",
                f"{name} must be specified for this version of Cross Region Replication "
                "configuration schema.",
            )
    if selects_encrypted(rule) and not rule["Destination"].get("EncryptionConfiguration"):
        raise S3ClientError(
            "InvalidRequest",
            "ReplicaKmsKeyID must be specified if SseKmsEncryptedObjects tag is present.",
        )


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


# ------------------------------------------------------------------------------------------------
# Replication
#
# AWS, "What does Amazon S3 replicate?"
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnt-replicated.html):
# new versions with metadata, tags, retention and version id, in whatever Region the destination
# is; objects under SSE-KMS only if the rule selects them; replicas never again; delete markers if
# the rule says so, deletions of a version never. `HeadObject` says PENDING, COMPLETED, FAILED or,
# of the copy, REPLICA. The role is the service's: it must trust ``s3.amazonaws.com`` and be
# allowed `s3:GetObjectVersionForReplication`, `s3:ReplicateObject` and `s3:ReplicateDelete` (user
# guide, "Setting up permissions for live replication"). moto stores the configuration and copies
# nothing. Differs from AWS: the copy is there at once, of multipart uploads there is none, and the
# role's use of KMS keys is not judged.
# ------------------------------------------------------------------------------------------------

_STATUS = "x-amz-replication-status"


def _install_replication() -> None:
    """Copy after each put and copy of an object; add the status to the headers of a version."""
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
            # another put of this key may have come meanwhile
            version = result[1].get("x-amz-version-id")
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
    """Yield the enabled rules for an object of this name.

    Of several to one destination, only the one of highest priority.
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
    """Whether S3 may assume the configured role, and the role may read here and write there."""
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


# ------------------------------------------------------------------------------------------------
# XML documents
#
# As moto reads them: names to texts, mappings, or lists where a name comes more than once.
# ------------------------------------------------------------------------------------------------

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def parsed(body: bytes | str) -> dict[str, Any]:
    """The document in ``body``, under the name of its root."""
    tree: dict[str, Any] = xmltodict.parse(body)
    return tree


def document(root: str, content: dict[str, Any]) -> str:
    """A document as S3 answers with it."""
    text: str = xmltodict.unparse({root: {"@xmlns": _NAMESPACE, **content}})
    return text
