"""S3: which actions a request is, under AWS's names, on which buckets and objects.

Names: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html; what
else an operation needs:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html. moto has
names for a third of them, and takes the rest for ListBucket, CreateBucket or GetObject.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import unescape

from moto.s3.models import s3_backends

from localaws.emulator.authorization.call import ApiCall
from localaws.emulator.authorization.resources.keys import requested_key
from localaws.emulator.authorization.resources.requested import UNKNOWN, RequestedResource, no_tags
from seawall.iam.request import ContextValue, ResourcePolicy

_CONFIGURATIONS = {
    "accelerate": "AccelerateConfiguration",
    "acl": "BucketAcl",
    "analytics": "AnalyticsConfiguration",
    "cors": "BucketCORS",
    "encryption": "EncryptionConfiguration",
    "intelligent-tiering": "IntelligentTieringConfiguration",
    "inventory": "InventoryConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "location": "BucketLocation",
    "logging": "BucketLogging",
    "metrics": "MetricsConfiguration",
    "notification": "BucketNotification",
    "object-lock": "BucketObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "replication": "ReplicationConfiguration",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
_DELETED_BY_NAME = frozenset({"policy", "website"})
"""Other configurations may be deleted by a caller that may put them."""
_LISTS = {"versions": "ListBucketVersions", "uploads": "ListBucketMultipartUploads"}
_OF_OBJECTS = {
    "GET": {
        "uploadId": "ListMultipartUploadParts",
        "acl": "GetObject{version}Acl",
        "tagging": "GetObject{version}Tagging",
        "retention": "GetObjectRetention",
        "legal-hold": "GetObjectLegalHold",
        "": "GetObject{version}",
    },
    "PUT": {
        "acl": "PutObject{version}Acl",
        "tagging": "PutObject{version}Tagging",
        "retention": "PutObjectRetention",
        "legal-hold": "PutObjectLegalHold",
        "": "PutObject",
    },
    "DELETE": {
        "uploadId": "AbortMultipartUpload",
        "tagging": "DeleteObject{version}Tagging",
        "": "DeleteObject{version}",
    },
    "POST": {
        "restore": "RestoreObject",
        "select": "GetObject",
        "uploads": "PutObject",
        "uploadId": "PutObject",
    },
}
_SUFFIXED = ("Acl", "Tagging")
_ALSO = {
    "x-amz-tagging": "PutObjectTagging",
    "x-amz-object-lock-mode": "PutObjectRetention",
    "x-amz-object-lock-legal-hold": "PutObjectLegalHold",
    "x-amz-acl": "PutObjectAcl",
}
_LOCK_HEADERS = {
    "s3:object-lock-mode": ("x-amz-object-lock-mode", "Mode"),
    "s3:object-lock-retain-until-date": ("x-amz-object-lock-retain-until-date", "RetainUntilDate"),
    "s3:object-lock-legal-hold": ("x-amz-object-lock-legal-hold", "Status"),
}
_HEADERS = {
    "s3:x-amz-acl": "x-amz-acl",
    "s3:x-amz-server-side-encryption": "x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id": "x-amz-server-side-encryption-aws-kms-key-id",
}
_QUERY = {"s3:prefix": "prefix", "s3:delimiter": "delimiter", "s3:versionid": "versionId"}
_KEYS_MAX = "1000"
"""What a listing returns by default (API reference, ListObjectsV2)."""
_DELETED = re.compile(r"<Object>(.*?)</Object>", re.DOTALL)
_ROLE = re.compile(r"<Role>\s*(.*?)\s*</Role>", re.DOTALL)


class S3Request:
    """The parts of an S3 request that identify its operation."""

    def __init__(self, call: ApiCall, arn: str) -> None:
        response = call.response
        self.call = call
        self.query = parse_qs(response.parsed_url.query, keep_blank_values=True)
        self.headers: Mapping[str, str] = response.headers
        self.method = "GET" if response.method == "HEAD" else str(response.method)
        self.bucket, _, self.key = arn.partition(":::")[2].partition("/")
        if self.bucket == "*":
            self.bucket = ""

    @property
    def body(self) -> str:
        """The body as text; only read where it is XML."""
        raw = self.call.response.raw_body
        return raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw or "")

    @property
    def replication_role(self) -> str | None:
        """The role that PutReplicationConfiguration hands to S3."""
        if self.method != "PUT" or self.key or "replication" not in self.query:
            return None
        found = _ROLE.search(self.body)
        return None if found is None else unescape(found.group(1))


def requested_buckets(request: S3Request) -> Iterator[RequestedResource]:
    """Yield every action that must be allowed, each on its bucket or object."""
    if not request.bucket:
        # NotAction's page says that ListAllMyBuckets "requires the * resource", the example of
        # another page allows it on arn:aws:s3:::*
        yield (
            RequestedResource(arn="*", action="s3:ListAllMyBuckets", tags=no_tags)
            if request.method == "GET"
            else UNKNOWN
        )
    elif request.method == "POST" and "delete" in request.query:
        yield from _deletions(request)
    elif request.key:
        yield from _requested_object(request)
    else:
        for action in _bucket_actions(request):
            yield _requested(request, request.bucket, "", action)


def _bucket_actions(request: S3Request) -> Iterator[str]:
    subresource = next((name for name in request.query if name in _CONFIGURATIONS), None)
    if subresource is not None:
        verb = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}.get(request.method, "Put")
        if verb == "Delete" and subresource not in _DELETED_BY_NAME:
            verb = "Put"
        yield f"{verb}{_CONFIGURATIONS[subresource]}"
    elif request.method == "GET":
        yield next(
            (action for name, action in _LISTS.items() if name in request.query), "ListBucket"
        )
    elif request.method == "PUT":
        yield "CreateBucket"
        if request.headers.get("x-amz-bucket-object-lock-enabled", "").lower() == "true":
            yield from ("PutBucketObjectLockConfiguration", "PutBucketVersioning")
    else:
        yield {"DELETE": "DeleteBucket", "POST": "PutObject"}.get(request.method, "ListBucket")


def _requested_object(request: S3Request) -> Iterator[RequestedResource]:
    names = _OF_OBJECTS.get(request.method, {})
    version = "Version" if "versionId" in request.query else ""
    form = next(
        (action for name, action in names.items() if name and name in request.query),
        names.get("", ""),
    )
    action = form.format(version=version)
    if not action:
        yield UNKNOWN
        return
    yield _requested(request, request.bucket, request.key, action)
    if form == "PutObject":
        for header, also in _ALSO.items():
            if header in request.headers:
                yield _requested(request, request.bucket, request.key, also)
        source = request.headers.get("x-amz-copy-source")
        if source is not None:
            path, _, old = unquote(source).lstrip("/").partition("?versionId=")
            bucket, _, key = path.partition("/")
            yield _requested(request, bucket, key, "GetObjectVersion" if old else "GetObject")
    if _bypasses(request) and action in ("PutObjectRetention", "DeleteObjectVersion"):
        yield _requested(request, request.bucket, request.key, "BypassGovernanceRetention")


def _deletions(request: S3Request) -> Iterator[RequestedResource]:
    for one in _DELETED.findall(request.body):
        key = re.search(r"<Key>(.*?)</Key>", one, re.DOTALL)
        action = "DeleteObjectVersion" if "<VersionId>" in one else "DeleteObject"
        name = unescape(key.group(1)) if key else "*"
        yield _requested(request, request.bucket, name, action)
        if action == "DeleteObjectVersion" and _bypasses(request):
            yield _requested(request, request.bucket, name, "BypassGovernanceRetention")


def _bypasses(request: S3Request) -> bool:
    return request.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"


def _requested(request: S3Request, name: str, key: str, action: str) -> RequestedResource:
    call = request.call
    bucket: Any = s3_backends[call.account][call.partition].buckets.get(name)
    document = bucket.policy if bucket is not None else None
    return RequestedResource(
        arn=call.arn("s3:::{value}", f"{name}/{key}" if key else name),
        action=f"s3:{action}",
        policy=None
        if document is None
        else ResourcePolicy(documents=(document.decode(),), decisive=False),
        context=_context(request, action),
    )


def _context(request: S3Request, action: str) -> Mapping[str, ContextValue]:
    known: dict[str, ContextValue] = {
        "s3:authtype": "REST-HEADER",
        "s3:signatureversion": "AWS4-HMAC-SHA256",
        "s3:tlsversion": "1.3",
        "s3:resourceaccount": request.call.account,
    }
    known |= {
        name: request.query[parameter][0]
        for name, parameter in _QUERY.items()
        if parameter in request.query
    }
    known |= {
        name: request.headers[header]
        for name, header in _HEADERS.items()
        if header in request.headers
    }
    if action.startswith("ListBucket"):
        known["s3:max-keys"] = request.query.get("max-keys", [_KEYS_MAX])[0]
    if action == "CreateBucket" and (place := _element(request, "LocationConstraint")):
        known["s3:locationconstraint"] = place
    if action in ("PutObject", "PutObjectRetention", "PutObjectLegalHold"):
        for name, (header, element) in _LOCK_HEADERS.items():
            value = request.headers.get(header) or (
                _element(request, element) if action != "PutObject" else None
            )
            if value:
                known[name] = value
        until = known.get("s3:object-lock-retain-until-date")
        if isinstance(until, str):
            left = datetime.fromisoformat(until) - datetime.now(UTC)
            known["s3:object-lock-remaining-retention-days"] = str(left.days)
    return known


def _element(request: S3Request, name: str) -> str | None:
    found = re.search(rf"<{name}>\s*(.*?)\s*</{name}>", request.body, re.DOTALL)
    return None if found is None else unescape(found.group(1))


# ------------------------------------------------------------------------------------------------
# Objects under a KMS key
#
# A caller that reads or writes an object under a KMS key needs the key as well.
#
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html, "Permissions":
# kms:Decrypt to get an object, kms:GenerateDataKey to put one; looking at its head needs neither
# (API reference, HeadObject). S3 asks KMS as the caller, via S3: kms:ViaService
# (https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html). Differs from AWS:
# copies and multipart uploads are not judged.
# ------------------------------------------------------------------------------------------------

_KMS = "aws:kms"
_ALGORITHM, _KEY = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"


def requested_object_keys(request: S3Request) -> Iterator[RequestedResource]:
    """Yield the KMS key that must be allowed too.

    Only where the request gets or puts an object under one of the account's own keys.
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
            yield from _key_of_object(request, found.kms_key_id, "Decrypt")
    elif response.method == "PUT" and "x-amz-copy-source" not in request.headers:
        algorithm, key = request.headers.get(_ALGORITHM), request.headers.get(_KEY)
        if algorithm is None:
            algorithm, key = _default(bucket)
        if algorithm == _KMS:
            yield from _key_of_object(request, key, "GenerateDataKey")


def _default(bucket: Any) -> tuple[str | None, str | None]:
    """Algorithm and key of a bucket's default encryption."""
    try:
        rule = bucket.encryption["Rule"]
        by = (rule[0] if isinstance(rule, list) else rule)["ApplyServerSideEncryptionByDefault"]
    except (KeyError, TypeError, IndexError):
        return None, None
    return by.get("SSEAlgorithm"), by.get("KMSMasterKeyID")


def _key_of_object(
    request: S3Request, key: str | None, operation: str
) -> Iterator[RequestedResource]:
    """Yield the key, unless it is AWS's own.

    AWS's own key, which is meant where none is named, lets everyone of the account use it through
    S3.
    """
    if not key:
        return
    region = key.split(":")[3] if key.startswith("arn:") else request.call.region
    one = requested_key(request.call, key, region=region)
    via: Any = ChainMap({"kms:viaservice": f"s3.{region}.amazonaws.com"}, one.context)  # type: ignore[arg-type]
    yield replace(one, action=f"kms:{operation}", region=region, context=via)
