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

from seawall.aws import isolated_client
from seawall.change_review.engine import Engine
from seawall.errors import EvidenceError, ExitCode
from seawall.processes.environment import is_loopback

_UNCHANGED = frozenset({"refresh", "same"})
_ABSENT = object()
_SHOWN_MAX = 160
_SECRET = "[secret]"  # noqa: S105  (what the engine prints in place of one)
_SECRET_NAME = re.compile(
    r"(secret|password|passphrase|token|credential|privatekey|secretkey|accesskey)", re.IGNORECASE
)
_NOT_SECRET = re.compile(r"(^|\.)(secretId|secretArn|tokenKey)\Z")
"""Names and identifiers, which the pattern before would also mask."""
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
    """One property that differs, as text and masked if it is secret.

    ``before`` is the value in the stack's state, ``after`` the value in the cloud.
    """

    path: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class DriftedResource:
    """A resource that differs; ``gone``: it was deleted outside the stack."""

    urn: str
    kind: str
    name: str
    gone: bool
    differences: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The resources that differ, out of the number that was ``compared``."""

    stack: str
    compared: int
    resources: tuple[DriftedResource, ...]

    @property
    def exit_code(self) -> ExitCode:
        """0 without drift, 1 with."""
        return ExitCode.FAIL if self.resources else ExitCode.PASS

    def lines(self) -> Iterator[str]:
        """Render it for people."""
        if not self.resources:
            yield f"no drift: {self.compared} resources of {self.stack} are as declared"
            return
        yield (
            f"drift: {len(self.resources)} of {self.compared} resources of {self.stack}"
            " are not as declared"
        )
        for each in self.resources:
            gone = ": deleted outside the stack" if each.gone else ""
            yield f"{each.kind} {each.name}{gone}"
            yield from (
                f"    {diff.path}: {diff.before} -> {diff.after}" for diff in each.differences
            )
        yield (
            "find out who did it, then `pulumi up --refresh` puts it back:"
            " docs/runbooks/infrastructure-change.md"
        )

    def document(self) -> dict[str, Any]:
        """Render it as JSON."""
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
    """Compare the stack of ``engine`` with the cloud.

    Raises:
        EvidenceError: not everything could be compared, so it is not known whether there is drift.
    """
    done = engine.run("refresh", "--preview-only", "--json", "--suppress-permalink=true")
    drift = read_refresh(done.stdout, exit_code=done.exit_code, stderr=done.stderr)
    stored = stored_objects(done.stdout)
    return with_overwritten(drift, stored, head_reader(engine.environment)) if stored else drift


def read_refresh(text: str, *, exit_code: int, stderr: str = "") -> Drift:
    """Read the output of `pulumi refresh --preview-only --json`.

    Raises:
        EvidenceError: the refresh failed, or its output lists less than it counts.
    """
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
        raise EvidenceError(
            "the refresh printed nothing that can be compared: "
            f"{stderr.strip() or text.strip()[:200] or type(error).__name__}",
            remedy="is the stack up, and do the credentials hold?",
        ) from error
    if errors or exit_code != 0:
        said = (
            "; ".join(" ".join(str(each).split()) for each in errors)
            or stderr.strip()
            or f"pulumi ended with {exit_code}"
        )
        raise EvidenceError(
            f"the refresh of {stack} failed: {said}",
            remedy="what could not be read may have drifted; put that right first",
        )
    if counted > len(resources):
        raise EvidenceError(
            f"the refresh of {stack} counts {counted} resources that differ"
            f" and lists {len(resources)}",
            remedy="`pulumi refresh --preview-only --diff` shows them",
        )
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
    """Read the engine's detailed diff; where it has none, compare inputs, then outputs."""
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
    """Yield the leaves that differ; JSON in a text is compared value by value."""
    before, after = _decoded(before), _decoded(after)
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
            _SECRET_NAME.search(path) is not None and not _NOT_SECRET.search(path)
        )
        yield Difference(
            path=path, before=_shown(before, secret=secret), after=_shown(after, secret=secret)
        )


def _decoded(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _at(state: Any, path: str) -> Any:
    """Return the value at a property path of the engine: `tags.owner`, `rules[0].days`, ..."""
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
    """An S3 object as the stack's state has it.

    ``version`` is None in a bucket without versions; there the ``etag`` is compared.
    """

    urn: str
    bucket: str
    key: str
    region: str | None
    version: str | None
    etag: str


def stored_objects(text: str) -> tuple[StoredObject, ...]:
    """List the S3 objects in the output of a refresh that :func:`read_refresh` accepted."""
    found = []
    for step in json.loads(text)["steps"]:
        outputs = (step.get("oldState") or {}).get("outputs") or {}
        if step["urn"].split("::")[2].rpartition("$")[2] != _OBJECT:
            continue
        found.append(
            StoredObject(
                urn=step["urn"],
                bucket=outputs["bucket"],
                key=outputs["key"],
                region=outputs.get("region"),
                version=outputs.get("versionId") or None,
                etag=str(outputs.get("etag", "")),
            )
        )
    return tuple(found)


def with_overwritten(
    drift: Drift, stored: Sequence[StoredObject], read_head: Callable[[StoredObject], Head | None]
) -> Drift:
    """Add to ``drift`` each object whose current version is not the stack's.

    The difference is named as the property ``content``.

    Args:
        drift: what the refresh found; an object that is gone is named there already.
        stored: the objects in the stack's state.
        read_head: returns an object's head, or None if the object is gone.
    """
    drifted = {each.urn: each for each in drift.resources}
    for each in stored:
        known = drifted.get(each.urn)
        if known is not None and known.gone:
            continue
        head = read_head(each)
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


def _s3(environment: Mapping[str, str], endpoint: str | None, region: str | None) -> Any:
    """A client of S3 with the credentials in ``environment``.

    At an endpoint on this machine nothing else of the user's AWS configuration counts.
    """
    key, secret, token = (
        environment.get(f"AWS_{name}")
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
    )
    if endpoint is not None and key is not None and secret is not None and is_loopback(endpoint):
        return isolated_client(
            "s3",
            endpoint=endpoint,
            region=region or environment["AWS_REGION"],
            access_key_id=key,
            secret_access_key=secret,
            session_token=token,
            config=_CONFIG,
        )
    session = boto3.Session(
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        region_name=environment.get("AWS_REGION"),
    )
    return session.client("s3", region_name=region, endpoint_url=endpoint, config=_CONFIG)


def head_reader(environment: Mapping[str, str]) -> Callable[[StoredObject], Head | None]:
    """Return a function that calls HeadObject as the engine would with ``environment``.

    It uses the same credentials, region and endpoint. It returns None for an object that is gone,
    and raises :class:`EvidenceError` if S3 does not answer: then it is not known whether the
    object is the stack's.
    """
    clients: dict[str | None, Any] = {}

    def read_head(stored: StoredObject) -> Head | None:
        try:
            if stored.region not in clients:
                endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get(
                    "AWS_ENDPOINT_URL"
                )
                clients[stored.region] = _s3(environment, endpoint, stored.region)
            answer: Head = clients[stored.region].head_object(Bucket=stored.bucket, Key=stored.key)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _NOT_THERE:
                return None
            raise _unreadable(stored, error) from error
        except BotoCoreError as error:
            raise _unreadable(stored, error) from error
        return answer

    return read_head


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


def _unreadable(stored: StoredObject, error: Exception) -> EvidenceError:
    return EvidenceError(
        f"it is not known what is in s3://{stored.bucket}/{stored.key}: {error}",
        remedy="the credentials need s3:GetObject on the stack's objects",
    )
