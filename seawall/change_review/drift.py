"""Drift: where the cloud differs from the stack's state, property by property; changes nothing.

Two sources. The first is `pulumi refresh --preview-only --json`
(pulumi/pkg/backend/display/json.go, ShowPreviewDigest): an unchanged resource stays a `refresh`
step; a changed one becomes an `update` whose old state is the stack's and whose new state is the
cloud's; one that is gone becomes a `delete`.

The second is S3, for the content of objects, which no refresh reads. No provider reads content
back, the deployer may have no right to decrypt it, and the entity tag of an object that KMS
encrypts says nothing of its content (S3 user guide, "Checking object integrity"). But every write
makes another version, and HeadObject tells which one is current. So the version in the stack's
state must be the current one.

Secrets are masked in everything that is returned.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from seawall.change_review.engine import Engine
from seawall.errors import EvidenceError, ExitCode

_UNCHANGED = frozenset({"refresh", "same"})
_ABSENT = object()
_SHOWN_MAX = 160
_SECRET = "[secret]"  # noqa: S105  (what the engine prints in place of one)
_SECRETIVE = re.compile(
    r"(secret|password|passphrase|token|credential|privatekey|secretkey|accesskey)", re.IGNORECASE
)
_NAMED_SO = re.compile(r"(^|\.)(secretId|secretArn|tokenKey)$")
_PATH_PART = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[\]]+)')
_OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=10
)
_NOT_THERE = frozenset({"404", "NoSuchKey", "NoSuchBucket"})

Head = Mapping[str, Any]
"""What HeadObject answers."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One property; ``before`` is what the stack's state holds, ``after`` what the cloud says, both
    as text and masked if secret.
    """

    path: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class DriftedResource:
    """One resource. ``gone``: deleted behind the engine's back."""

    urn: str
    kind: str
    name: str
    gone: bool
    differences: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What a refresh would change. ``compared``: how many resources were compared."""

    stack: str
    compared: int
    resources: tuple[DriftedResource, ...]

    @property
    def exit_code(self) -> ExitCode:
        """0 without drift, 1 with."""
        return ExitCode.FAIL if self.resources else ExitCode.PASS

    def lines(self) -> Iterator[str]:
        """The view for people."""
        if not self.resources:
            yield f"no drift: {self.compared} resources of {self.stack} are as declared"
            return
        yield f"drift: {len(self.resources)} of {self.compared} resources of {self.stack} are not as declared"
        for each in self.resources:
            yield f"{each.kind} {each.name}{': deleted behind the back of the stack' if each.gone else ''}"
            yield from (
                f"    {diff.path}: {diff.before} -> {diff.after}" for diff in each.differences
            )
        yield "ask first who did it, then `pulumi up --refresh` puts it back: docs/runbooks/infrastructure-change.md"

    def document(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "exit_code": int(self.exit_code),
            "stack": self.stack,
            "compared": self.compared,
            "drifted": [
                {**vars(each), "differences": [vars(diff) for diff in each.differences]}
                for each in self.resources
            ],
        }


def find_drift(engine: Engine) -> Drift:
    """What differs. Raises :class:`EvidenceError` if not everything could be compared.

    That is not known, and no absence of drift.
    """
    done = engine.run("refresh", "--preview-only", "--json", "--suppress-permalink=true")
    drift = read_refresh(done.stdout, exit_code=done.exit_code, stderr=done.stderr)
    stored = stored_objects(done.stdout)
    return with_overwritten(drift, stored, heads(engine.environment)) if stored else drift


def read_refresh(text: str, *, exit_code: int, stderr: str = "") -> Drift:
    """The drift in an output of the engine. Raises :class:`EvidenceError`."""
    try:
        document = json.loads(text)
        steps, summary = document["steps"], document["changeSummary"]
        errors = [
            entry["message"]
            for entry in document.get("diagnostics") or []
            if entry.get("severity") == "error"
        ]
        stack = steps[0]["urn"].split("::")[0].rpartition(":")[2]
        resources = tuple(_drifted(step) for step in steps if step["op"] not in _UNCHANGED)
        counted = sum(count for op, count in summary.items() if op not in _UNCHANGED)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        message = f"the refresh said nothing that can be compared: {stderr.strip() or text.strip()[:200] or type(error).__name__}"
        raise EvidenceError(
            message, remedy="is the stack up, and do the credentials hold?"
        ) from error
    if errors or exit_code != 0:
        said = (
            "; ".join(" ".join(str(each).split()) for each in errors)
            or stderr.strip()
            or f"pulumi ended with {exit_code}"
        )
        message = f"the refresh of {stack} failed: {said}"
        raise EvidenceError(
            message, remedy="what could not be read may have drifted; put that right first"
        )
    if counted > len(resources):
        message = f"the refresh of {stack} counts {counted} resources that differ and lists {len(resources)}"
        raise EvidenceError(message, remedy="`pulumi refresh --preview-only --diff` shows them")
    return Drift(stack=stack, compared=len(steps), resources=resources)


def _drifted(step: Mapping[str, Any]) -> DriftedResource:
    urn = str(step["urn"])
    _, _, kind, name = urn.split("::", 3)
    gone = step["op"] == "delete"
    return DriftedResource(
        urn=urn,
        kind=kind.rpartition("$")[2],
        name=name,
        gone=gone,
        differences=() if gone else tuple(_differences(step)),
    )


def _differences(step: Mapping[str, Any]) -> Iterator[Difference]:
    """By the engine's detailed diff; where it has none, by comparing inputs, then outputs."""
    old, new = step.get("oldState") or {}, step.get("newState") or {}
    seen: set[str] = set()
    for path, entry in sorted((step.get("detailedDiff") or {}).items()):
        sides = ("inputs", "outputs") if entry.get("inputDiff") else ("outputs", "inputs")
        for side in sides:
            before, after = _at(old.get(side), path), _at(new.get(side), path)
            found = [diff for diff in _compared(before, after, path) if diff.path not in seen]
            if found:
                seen |= {diff.path for diff in found}
                yield from found
                break
        else:
            seen.add(path)
            hidden = _SECRET in (_at(old.get(sides[0]), path), _at(new.get(sides[0]), path))
            before, after = (
                (_SECRET, _SECRET) if hidden else ("?", f"? ({entry.get('kind', 'differs')})")
            )
            yield Difference(path=path, before=before, after=after)
    for side in ("inputs", "outputs"):
        if seen:
            return
        for diff in _compared(old.get(side) or {}, new.get(side) or {}, ""):
            seen.add(diff.path)
            yield diff


def _compared(before: Any, after: Any, path: str) -> Iterator[Difference]:
    """Leaves that differ; policy documents in text are compared as what they say."""
    before, after = _opened(before), _opened(after)
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _compared(
                before.get(key, _ABSENT), after.get(key, _ABSENT), f"{path}.{key}" if path else key
            )
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _compared(one, other, f"{path}[{index}]")
    else:
        secret = _SECRET in (before, after) or (
            _SECRETIVE.search(path) is not None and not _NAMED_SO.search(path)
        )
        yield Difference(
            path=path, before=_shown(before, secret=secret), after=_shown(after, secret=secret)
        )


def _opened(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _at(state: Any, path: str) -> Any:
    """The value at a property path of the engine: `tags.owner`, `rules[0].days`, `tags["a.b"]`."""
    found = state
    for quoted, index, name in _PATH_PART.findall(path):
        if isinstance(found, list) and index and int(index) < len(found):
            found = found[int(index)]
        elif isinstance(found, dict) and (quoted or name) in found:
            found = found[quoted or name]
        else:
            return _ABSENT
    return found


def _shown(value: Any, *, secret: bool) -> str:
    if value is _ABSENT:
        return "nothing"
    if secret:
        return _SECRET
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    text = "".join(each if each.isprintable() else "?" for each in text)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """One object as the stack's state has it.

    ``version`` is None in a bucket without versions, where ``etag`` must do.
    """

    urn: str
    bucket: str
    key: str
    region: str | None
    version: str | None
    etag: str


def stored_objects(text: str) -> tuple[StoredObject, ...]:
    """The objects in an output of `pulumi refresh --preview-only --json` that was read without
    stderr before.
    """
    found = []
    for step in json.loads(text)["steps"]:
        told = (step.get("oldState") or {}).get("outputs") or {}
        if step["urn"].split("::")[2].rpartition("$")[2] != _OBJECT:
            continue
        found.append(
            StoredObject(
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
    drift: Drift, stored: Sequence[StoredObject], look: Callable[[StoredObject], Head | None]
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
            known = DriftedResource(
                urn=each.urn,
                kind=_OBJECT,
                name=each.urn.split("::", 3)[3],
                gone=False,
                differences=(),
            )
        drifted[each.urn] = replace(known, differences=(*known.differences, difference))
    return replace(drift, resources=tuple(drifted.values()))


def heads(environment: Mapping[str, str]) -> Callable[[StoredObject], Head | None]:
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

    def look(stored: StoredObject) -> Head | None:
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


def _overwritten(stored: StoredObject, head: Head) -> Difference | None:
    if stored.version is not None:
        before, after = stored.version, str(head.get("VersionId"))
    else:
        before, after = stored.etag, str(head.get("ETag", "")).strip('"')
    if before == after:
        return None
    since = head.get("LastModified")
    written = "" if since is None else f", written {since:%Y-%m-%dT%H:%M:%SZ}"
    return Difference(path="content", before=f"version {before}", after=f"version {after}{written}")


def _unknown(stored: StoredObject, error: Exception) -> EvidenceError:
    message = f"nobody knows what is in s3://{stored.bucket}/{stored.key}: {error}"
    return EvidenceError(
        message, remedy="the credentials that look need s3:GetObject on the stack's objects"
    )
