"""What `pulumi refresh --preview-only --json` says, resource by resource and property by property.

An unchanged resource stays a `refresh` step; a changed one becomes an `update` whose old state is
the stack's and whose new state is the cloud's; one that is gone a `delete`
(pulumi/pkg/backend/display/json.go, ShowPreviewDigest).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One property; ``before`` is what the stack's state holds, ``after`` what the cloud says, both
    as text and masked if secret.
    """

    path: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Drifted:
    """One resource. ``gone``: deleted behind the engine's back."""

    urn: str
    kind: str
    name: str
    gone: bool
    differences: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What a refresh would change. ``looked_at``: how many resources were compared."""

    stack: str
    looked_at: int
    resources: tuple[Drifted, ...]

    @property
    def exit_code(self) -> ExitCode:
        """0 without drift, 1 with."""
        return ExitCode.FAIL if self.resources else ExitCode.PASS

    def lines(self) -> Iterator[str]:
        """The view for people."""
        if not self.resources:
            yield f"no drift: {self.looked_at} resources of {self.stack} are as declared"
            return
        yield f"drift: {len(self.resources)} of {self.looked_at} resources of {self.stack} are not as declared"
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
            "looked_at": self.looked_at,
            "drifted": [
                {**vars(each), "differences": [vars(diff) for diff in each.differences]}
                for each in self.resources
            ],
        }


def read_refresh(text: str, *, exit_code: int, complaint: str = "") -> Drift:
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
        message = f"the refresh said nothing that can be compared: {complaint.strip() or text.strip()[:200] or type(error).__name__}"
        raise EvidenceError(
            message, remedy="is the stack up, and do the credentials hold?"
        ) from error
    if errors or exit_code != 0:
        said = (
            "; ".join(" ".join(str(each).split()) for each in errors)
            or complaint.strip()
            or f"pulumi ended with {exit_code}"
        )
        message = f"the refresh of {stack} failed: {said}"
        raise EvidenceError(
            message, remedy="what could not be read may have drifted; put that right first"
        )
    if counted > len(resources):
        message = f"the refresh of {stack} counts {counted} resources that differ and lists {len(resources)}"
        raise EvidenceError(message, remedy="`pulumi refresh --preview-only --diff` shows them")
    return Drift(stack=stack, looked_at=len(steps), resources=resources)


def _drifted(step: Mapping[str, Any]) -> Drifted:
    urn = str(step["urn"])
    _, _, kind, name = urn.split("::", 3)
    gone = step["op"] == "delete"
    return Drifted(
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
