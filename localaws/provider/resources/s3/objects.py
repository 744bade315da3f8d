"""Objects in S3: a text, bytes or an asset of the engine under a key.

As upstream's ``aws_s3_object`` (internal/service/s3/object.go): the content of an object is never
read back, so that the deployer does not need the right to read it. Content that another client put
is seen by the ``etag``, if that is declared, and beyond upstream by the SHA-256 that S3 keeps of
an object that was uploaded with ``checksumAlgorithm`` SHA256. Its id, and what is imported, is
``BUCKET/KEY``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from localaws.provider.clients import Aws, code_of
from localaws.provider.resources.s3.settings import instant, same_instant
from localaws.provider.sameness import equal, same_key
from localaws.provider.table import Property, ResourceType
from localaws.provider.tagging import tag_map, tag_pairs
from localaws.provider.values import Properties, from_aws, given, to_aws

_UNTIL = "objectLockRetainUntilDate"
_TOLD = {
    "bucketKeyEnabled": "BucketKeyEnabled",
    "cacheControl": "CacheControl",
    "contentDisposition": "ContentDisposition",
    "contentEncoding": "ContentEncoding",
    "contentLanguage": "ContentLanguage",
    "contentType": "ContentType",
    "kmsKeyId": "SSEKMSKeyId",
    "metadata": "Metadata",
    "objectLockLegalHoldStatus": "ObjectLockLegalHoldStatus",
    "objectLockMode": "ObjectLockMode",
    "serverSideEncryption": "ServerSideEncryption",
    "storageClass": "StorageClass",
}
"""Properties that S3 takes and returns under these names."""
_ASKED = {"checksumAlgorithm": "ChecksumAlgorithm"}
"""Properties that S3 only takes."""
_IN_PLACE = frozenset(
    {"objectLockMode", _UNTIL, "objectLockLegalHoldStatus", "tags", "forceDestroy"}
)
"""Properties that are changed on the existing version; any other change is a new version."""
_COMPUTED = frozenset(
    {
        "objectLockMode",
        "objectLockLegalHoldStatus",
        "bucketKeyEnabled",
        "contentType",
        "serverSideEncryption",
        "storageClass",
    }
)
"""What S3 fills in by default."""
_VERSION = ("etag", "versionId", "checksumSha256")
"""Outputs that another content changes."""
_ASSET, _ARCHIVE = "c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
"""How an asset travels
(https://pkg.go.dev/github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig#pkg-constants).
"""


def same_asset(one: Any, other: Any) -> bool:
    """Whether two assets hold the same bytes, wherever they come from."""
    if isinstance(one, dict) and isinstance(other, dict):
        return bool(one.get("hash")) and one.get("hash") == other.get("hash")
    return equal(one, other)


def _place(identifier: str) -> dict[str, str]:
    bucket, _, key = identifier.partition("/")
    return {"Bucket": bucket, "Key": key}


def _content(inputs: Properties) -> bytes:
    """Return the bytes to upload.

    Raises :class:`LookupError` if they cannot be read, or are not what the engine saw.
    """
    if "source" in inputs:
        return _bytes_of(inputs["source"])
    if "contentBase64" in inputs:
        try:
            return base64.b64decode(inputs["contentBase64"], validate=True)
        except binascii.Error as error:
            raise LookupError(f"contentBase64 is not base64: {error}") from error
    return str(inputs.get("content", "")).encode()


def _bytes_of(asset: Any) -> bytes:
    signature = asset.get(_SIGNATURE) if isinstance(asset, dict) else None
    if signature != _ASSET:
        what = "an archive" if signature == _ARCHIVE else "no asset"
        raise LookupError(f"source is {what}; the sandbox takes a FileAsset or a StringAsset")
    if "path" in asset:
        if not Path(asset["path"]).is_absolute():
            raise LookupError(
                f"source {asset['path']} is a relative path, and the provider runs "
                "elsewhere than the program (resolve it there)"
            )
        try:
            content = Path(asset["path"]).read_bytes()
        except OSError as error:
            raise LookupError(f"source {asset['path']}: {error.strerror}") from error
    elif "uri" in asset:
        raise LookupError(
            "source is a remote asset; the sandbox takes a FileAsset or a StringAsset"
        )
    else:
        content = str(asset.get("text", "")).encode()
    if asset.get("hash") not in (None, "", hashlib.sha256(content).hexdigest()):
        raise LookupError("source changed since the engine read it")
    return content


def _holds(content: bytes, found: Properties) -> bool:
    kept = found.get("checksumSha256")
    return kept is None or kept == base64.b64encode(hashlib.sha256(content).digest()).decode()


def _put_object(aws: Aws, inputs: Properties) -> str:
    until = inputs.get(_UNTIL)
    lock = given(ObjectLockRetainUntilDate=None if until is None else datetime.fromisoformat(until))
    tagging = {"Tagging": urlencode(inputs["tags"])} if inputs.get("tags") else {}
    place = {"Bucket": inputs["bucket"], "Key": inputs["key"]}
    aws.s3.put_object(
        **place, Body=_content(inputs), **to_aws({**_TOLD, **_ASKED}, inputs), **lock, **tagging
    )
    return f"{inputs['bucket']}/{inputs['key']}"


def _read_object(aws: Aws, identifier: str) -> Properties:
    place = _place(identifier)
    head = aws.s3.head_object(**place, ChecksumMode="ENABLED")
    until = head.get("ObjectLockRetainUntilDate")
    return {
        **from_aws(_TOLD, head),
        "bucket": place["Bucket"],
        "key": place["Key"],
        "storageClass": head.get("StorageClass", "STANDARD"),
        _UNTIL: None if until is None else instant(until),
        "etag": head["ETag"].strip('"'),
        "versionId": head.get("VersionId"),
        "arn": f"arn:aws:s3:::{identifier}",
        "checksumSha256": head.get("ChecksumSHA256"),
        "tags": tag_map(aws.s3.get_object_tagging(**place)["TagSet"]),
    }


def _update_object(aws: Aws, identifier: str, old: Properties, new: Properties) -> None:
    changed = {
        name for name, prop in OBJECT.inputs.items() if not prop.same(old.get(name), new.get(name))
    }
    if changed - _IN_PLACE:
        _put_object(aws, new)
        return
    place = _place(identifier)
    if "objectLockLegalHoldStatus" in changed:
        aws.s3.put_object_legal_hold(
            **place, LegalHold={"Status": new.get("objectLockLegalHoldStatus", "OFF")}
        )
    if changed & {"objectLockMode", _UNTIL}:
        _retain(aws, place, old, new)
    if "tags" in changed:
        aws.s3.put_object_tagging(**place, Tagging={"TagSet": tag_pairs(new.get("tags"))})


def _retain(aws: Aws, place: Properties, old: Properties, new: Properties) -> None:
    """Set the retention of a version.

    To shorten one needs a bypass, which S3 grants under GOVERNANCE only.
    """
    had, wanted = (
        None if text is None else datetime.fromisoformat(text)
        for text in (old.get(_UNTIL), new.get(_UNTIL))
    )
    retention = given(Mode=new.get("objectLockMode"), RetainUntilDate=wanted)
    shorter = had is not None and (wanted is None or wanted < had)
    aws.s3.put_object_retention(
        **place, Retention=retention, **({"BypassGovernanceRetention": True} if shorter else {})
    )


def _delete_object(aws: Aws, identifier: str, properties: Properties) -> None:
    """Delete every version, as upstream does; S3 refuses for those that are locked."""
    bucket, key = _place(identifier).values()
    force = bool(properties.get("forceDestroy"))
    for page in aws.s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
        versions, markers = page.get("Versions", []), page.get("DeleteMarkers", [])
        for version in [*versions, *markers]:
            if version["Key"] != key:
                continue
            place = {"Bucket": bucket, "Key": key, "VersionId": version["VersionId"]}
            if force and version in versions:
                _release(aws, place)
            aws.s3.delete_object(**place, **({"BypassGovernanceRetention": True} if force else {}))


def _release(aws: Aws, place: Properties) -> None:
    try:
        aws.s3.put_object_legal_hold(**place, LegalHold={"Status": "OFF"})
    except ClientError as error:
        # the bucket has no object lock, hence there is nothing to release
        if code_of(error) != "InvalidRequest":
            raise


OBJECT = ResourceType(
    kind="aws:s3/bucketObjectv2:BucketObjectv2",
    acts=True,
    inputs={
        "bucket": Property(required=True, replaces=True),
        "key": Property(required=True, replaces=True),
        "content": Property(
            local=True, moves=_VERSION, agrees=lambda text, found: _holds(text.encode(), found)
        ),
        "contentBase64": Property(
            local=True,
            moves=_VERSION,
            agrees=lambda text, found: _holds(base64.b64decode(text), found),
        ),
        "source": Property(local=True, moves=_VERSION, same=same_asset),
        "sourceHash": Property(local=True),
        "etag": Property(computed=True),
        _UNTIL: Property(same=same_instant, computed=True),
        "forceDestroy": Property(local=True),
        "tags": Property(),
        **dict.fromkeys(_ASKED, Property(local=True)),
        **{name: Property(computed=name in _COMPUTED) for name in _TOLD},
        "kmsKeyId": Property(same=same_key, computed=True),
    },
    outputs=("arn", "versionId", "checksumSha256"),
    create=_put_object,
    read=_read_object,
    update=_update_object,
    delete=_delete_object,
)
