"""Objects that somebody wrote over: what is in one is no property that the engine's refresh reads.

No provider reads content back, whoever deploys may not even be able to decrypt it, and the entity
tag of an object that KMS encrypts says nothing of its content (S3 user guide, "Checking object
integrity"). But every write makes another version, and S3 tells which one is current to whoever may
look at the head. So the version that the stack's state holds must be the current one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from seawall.change_review.drift.refresh import Difference, Drift, Drifted
from seawall.errors import EvidenceError

_OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=10
)
_NOT_THERE = frozenset({"404", "NoSuchKey", "NoSuchBucket"})

Head = Mapping[str, Any]
"""What HeadObject answers."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One object as the stack's state has it.

    ``version`` is None in a bucket without versions, where ``etag`` must do.
    """

    urn: str
    bucket: str
    key: str
    region: str | None
    version: str | None
    etag: str


def stored_objects(text: str) -> tuple[Stored, ...]:
    """The objects in an output of `pulumi refresh --preview-only --json` that was read without
    complaint before.
    """
    found = []
    for step in json.loads(text)["steps"]:
        told = (step.get("oldState") or {}).get("outputs") or {}
        if step["urn"].split("::")[2].rpartition("$")[2] != _OBJECT:
            continue
        found.append(
            Stored(
                urn=step["urn"],
                bucket=told["bucket"],
                key=told["key"],
                region=told.get("region"),
                version=told.get("versionId") or None,
                etag=str(told.get("etag", "")),
            )
        )
    return tuple(found)


def with_overwritten(
    drift: Drift, stored: Sequence[Stored], look: Callable[[Stored], Head | None]
) -> Drift:
    """``drift`` and, as the property ``content``, each object whose current version is not the
    stack's.

    ``look`` gives an object's head, or None if there is none any more, which the refresh itself
    names. Raises what ``look`` raises.
    """
    drifted = {each.urn: each for each in drift.resources}
    for each in stored:
        known = drifted.get(each.urn)
        if known is not None and known.gone:
            continue
        head = look(each)
        difference = None if head is None else _overwritten(each, head)
        if difference is None:
            continue
        if known is None:
            known = Drifted(
                urn=each.urn,
                kind=_OBJECT,
                name=each.urn.split("::", 3)[3],
                gone=False,
                differences=(),
            )
        drifted[each.urn] = replace(known, differences=(*known.differences, difference))
    return replace(drift, resources=tuple(drifted.values()))


def heads(environment: Mapping[str, str]) -> Callable[[Stored], Head | None]:
    """Ask S3 with the credentials, the region and the endpoint that ``environment`` gives the
    engine.

    What it returns raises :class:`EvidenceError` if S3 does not answer: then it is not known
    whether the object is the stack's.
    """
    session = boto3.Session(
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environment.get("AWS_SESSION_TOKEN"),
        region_name=environment.get("AWS_REGION"),
    )
    clients: dict[str | None, Any] = {}

    def look(stored: Stored) -> Head | None:
        try:
            if stored.region not in clients:
                endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get(
                    "AWS_ENDPOINT_URL"
                )
                clients[stored.region] = session.client(
                    "s3", region_name=stored.region, endpoint_url=endpoint, config=_CONFIG
                )
            answer: Head = clients[stored.region].head_object(Bucket=stored.bucket, Key=stored.key)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _NOT_THERE:
                return None
            raise _unknown(stored, error) from error
        except BotoCoreError as error:
            raise _unknown(stored, error) from error
        return answer

    return look


def _overwritten(stored: Stored, head: Head) -> Difference | None:
    if stored.version is not None:
        before, after = stored.version, str(head.get("VersionId"))
    else:
        before, after = stored.etag, str(head.get("ETag", "")).strip('"')
    if before == after:
        return None
    since = head.get("LastModified")
    written = "" if since is None else f", written {since:%Y-%m-%dT%H:%M:%SZ}"
    return Difference(path="content", before=f"version {before}", after=f"version {after}{written}")


def _unknown(stored: Stored, error: Exception) -> EvidenceError:
    message = f"nobody knows what is in s3://{stored.bucket}/{stored.key}: {error}"
    return EvidenceError(
        message, remedy="the credentials that look need s3:GetObject on the stack's objects"
    )
