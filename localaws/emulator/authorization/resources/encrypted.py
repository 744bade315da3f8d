"""Objects under a KMS key: whoever reads or writes one needs the key as well.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html, "Permissions":
kms:Decrypt to get an object, kms:GenerateDataKey to put one; looking at its head needs neither (API
reference, HeadObject). S3 asks KMS as the caller, via S3: kms:ViaService
(https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html). Differs from AWS:
copies and multipart uploads are not judged.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from moto.s3.models import s3_backends

from localaws.emulator.authorization.resources.asked import Asked
from localaws.emulator.authorization.resources.buckets import S3Request
from localaws.emulator.authorization.resources.keys import key_asked

_KMS = "aws:kms"
_ALGORITHM, _KEY = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"


def encrypted_asked(request: S3Request) -> Iterator[Asked]:
    """The key that must be allowed, if the request gets or puts an object under one of the
    account's own keys.
    """
    response = request.call.response
    if not request.key or set(request.query) - {"versionId", "x-id"}:
        return  # of subresources only the bytes are encrypted, and those are not among them
    bucket: Any = s3_backends[request.call.account][request.call.partition].buckets.get(
        request.bucket
    )
    if bucket is None:
        return
    if response.method == "GET":
        version = request.query.get("versionId", [None])[0]
        found: Any = response.backend.get_object(request.bucket, request.key, version_id=version)
        if found is not None and found.encryption == _KMS:
            yield from _asked(request, found.kms_key_id, "Decrypt")
    elif response.method == "PUT" and "x-amz-copy-source" not in request.headers:
        algorithm, key = request.headers.get(_ALGORITHM), request.headers.get(_KEY)
        if algorithm is None:
            algorithm, key = _default(bucket)
        if algorithm == _KMS:
            yield from _asked(request, key, "GenerateDataKey")


def _default(bucket: Any) -> tuple[str | None, str | None]:
    """Algorithm and key of a bucket's default encryption."""
    try:
        rule = bucket.encryption["Rule"]
        by = (rule[0] if isinstance(rule, list) else rule)["ApplyServerSideEncryptionByDefault"]
    except (KeyError, TypeError, IndexError):
        return None, None
    return by.get("SSEAlgorithm"), by.get("KMSMasterKeyID")


def _asked(request: S3Request, key: str | None, operation: str) -> Iterator[Asked]:
    """AWS's own key, which is meant where none is named, lets everyone of the account use it
    through S3.
    """
    if not key:
        return
    region = key.split(":")[3] if key.startswith("arn:") else request.call.region
    one = key_asked(request.call, key, region=region)
    via: Any = ChainMap({"kms:viaservice": f"s3.{region}.amazonaws.com"}, one.context)  # type: ignore[arg-type]
    yield replace(one, action=f"kms:{operation}", region=region, context=via)
