"""A retention binds: nobody shortens or lifts one of COMPLIANCE, and one of GOVERNANCE only who may
bypass it.

AWS, "Locking objects with Object Lock"
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html): in compliance mode no
user, the account's root included, can delete a protected version, "its retention mode can't be
changed, and its retention period can't be shortened"; governance mode takes
`s3:BypassGovernanceRetention` and the header ``x-amz-bypass-governance-retention: true``. A bucket
under object lock stays versioned, and its default retention may change at any time (user guide,
"Configuring S3 Object Lock"). moto changes any retention, takes the header from anybody and even if
it says false, has no `GetObjectRetention`, suspends the versioning, and sets a default on an empty
bucket only.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.s3.exceptions import (
    AccessDeniedByLock,
    InvalidBucketState,
    LockNotEnabled,
    MissingKey,
    S3ClientError,
)
from moto.s3.models import FakeKey, S3Backend
from moto.s3.responses import S3Response

from localaws.emulator.shims.s3_xml import document, parsed

_BYPASS = "x-amz-bypass-governance-retention"


def install() -> None:
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
    """A list is judged for its deletions only, so a bypass within one is refused to all
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

    ``iam.enforcement`` has refused it already to who may not.
    """
    return str(self.headers.get(_BYPASS, "")).lower() == "true"


def _true_bypass(
    self: Any, original: Callable[..., Any], *place: Any, bypass: Any = None, **version: Any
) -> Any:
    return original(self, *place, **version, bypass=str(bypass).lower() == "true")


def _stay_versioned(self: Any, original: Callable[..., Any], bucket_name: str, status: str) -> Any:
    if status != "Enabled" and self.get_bucket(bucket_name).object_lock_enabled:
        raise InvalidBucketState(
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
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
