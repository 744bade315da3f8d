"""Read the output of `pulumi preview --json`: its steps, and reasons to doubt that they are all.

The shape is the engine's `PreviewDigest` (pulumi/pkg/display/json.go, 3.258.0): `steps` with `op`,
`urn`, `oldState`, `newState`; `diagnostics`; `changeSummary`, which is written last, so that a
document without it was cut short.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seawall.errors import DocumentError, EvidenceError
from seawall.formats.documents import parse_json

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The engine's word for a value that is known only after the update.

It is UnknownStringValue in pulumi/sdk/go/common/resource/plugin.
"""
SECRET = "[secret]"  # noqa: S105  (what the engine prints in place of one)
STACK_KIND = "pulumi:pulumi:Stack"

HARMLESS = frozenset(
    {"same", "create", "update", "read", "refresh", "import", "diff", "extend-parameterize"}
)
"""Steps that keep the resource; what they change is judged by its inputs."""
REMOVING = frozenset(
    {
        "delete",
        "replace",
        "create-replacement",
        "delete-replaced",
        "discard",
        "discard-replaced",
        "remove-pending-replace",
        "read-replacement",
        "import-replacement",
    }
)
"""Steps after which the former resource is gone, or no longer managed.

They are listed in pulumi/pkg/resource/deploy/step.go.
"""
_REPLACING = frozenset(
    {"replace", "create-replacement", "delete-replaced", "read-replacement", "import-replacement"}
)
_COMPARED = frozenset({"update", "replace"})
_PROTECTED = ("marked for protection", "because it is protected")
"""The engine's words when `protect` stopped it.

They are in step_generator.go and step.go of pulumi/pkg/resource/deploy.
"""
_EPILOGUE = "preview failed"
"""The error without a resource that the engine adds after another one."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One step of a preview.

    ``before`` and ``after`` are the resource's inputs, None if it did not or will not exist;
    ``known`` are its outputs before the change. ``provider_before`` and ``provider_after`` name
    providers without their ids, which change with every replacement.
    """

    urn: str
    kind: str
    name: str
    op: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    known: Mapping[str, Any] = field(default_factory=dict)
    custom: bool = True
    protected_before: bool = False
    protected_after: bool = False
    provider_before: str | None = None
    provider_after: str | None = None

    @property
    def removes(self) -> bool:
        """Whether the former resource is gone afterwards."""
        return self.op in REMOVING

    @property
    def replaces(self) -> bool:
        """Whether another resource takes its place."""
        return self.op in _REPLACING

    @property
    def changes(self) -> bool:
        """Whether it changes anything; a step that is `same` may still drop the protection."""
        return self.op not in {"same", "refresh", "read"} or self.unprotects

    @property
    def unprotects(self) -> bool:
        """Whether it lets a later delete pass that the engine refuses today."""
        return self.protected_before and not self.protected_after and self.after is not None

    @property
    def tags(self) -> Mapping[str, Any]:
        """The tags before the change, because that resource can be lost; else those after it."""
        for inputs in (self.before, self.after):
            tags = (inputs or {}).get("tags")
            if isinstance(tags, Mapping) and tags:
                return tags
        return {}

    @property
    def digest(self) -> str:
        """SHA-256 that identifies exactly this change."""
        protected = [self.protected_before, self.protected_after]
        text = json.dumps([self.op, self.urn, self.before, self.after, *protected], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A preview of one stack.

    ``doubts``: reasons why it may not be the whole truth; ``protected``: the engine's message for
    each resource that it refused to touch, by URN.
    """

    stack: str
    changes: tuple[Change, ...]
    doubts: tuple[str, ...]
    protected: Mapping[str, str]
    config: Mapping[str, str]
    outputs: Mapping[str, Any]
    digest: str


def parse(text: str, *, exit_code: int | None = None, stderr: str = "") -> Preview:
    """Read a preview.

    Args:
        text: the output of `pulumi preview --json`.
        exit_code: the engine's, if it was run here.
        stderr: the engine's, if it was run here.

    Raises:
        EvidenceError: ``text`` is no preview of one stack.
    """
    document = _document(text, stderr)
    doubts: list[str] = []
    changes: list[Change] = []
    for number, step in enumerate(document.get("steps") or []):
        change = _change(step, doubts, number)
        if change is not None:
            changes.append(change)
    stacks = {change.urn.split("::")[0].rpartition(":")[2] for change in changes}
    if len(stacks) != 1:
        raise EvidenceError(
            f"the preview is of {len(stacks)} stacks",
            remedy="give the whole output of one `pulumi preview --json`",
        )
    protected = _diagnostics(document.get("diagnostics") or [], doubts)
    doubts += _uncounted(document.get("changeSummary"), changes)
    if exit_code not in (None, 0) and not protected and not doubts:
        doubts.append(
            f"pulumi preview ended with {exit_code}: {stderr.strip() or 'it did not say why'}"
        )
    outputs = next((change.known for change in changes if change.kind == STACK_KIND), {})
    return Preview(
        stack=stacks.pop(),
        changes=tuple(changes),
        doubts=tuple(doubts),
        protected=protected,
        config=_mapping(document.get("config")),
        outputs=outputs,
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )


def _document(text: str, stderr: str) -> Mapping[str, Any]:
    try:
        document = parse_json(text, source="the preview")
    except DocumentError as error:
        said = stderr.strip() or text.strip()[:200] or "nothing"
        raise EvidenceError(
            f"there is no preview to judge; pulumi said: {said}",
            remedy="make one with `pulumi preview --json --show-sames`",
        ) from error
    if not isinstance(document, dict) or not isinstance(document.get("steps"), list):
        raise EvidenceError(
            "this is no preview: it lists no steps",
            remedy="give the whole output of `pulumi preview --json`",
        )
    return document


def _change(step: Any, doubts: list[str], number: int) -> Change | None:
    urn, op = (step.get("urn"), step.get("op")) if isinstance(step, dict) else (None, None)
    parts = urn.split("::", 3) if isinstance(urn, str) else []
    if (
        not isinstance(urn, str)
        or not isinstance(op, str)
        or len(parts) != len(("stack", "project", "type", "name"))
    ):
        doubts.append(f"step {number + 1} of the preview names no operation or no resource")
        return None
    old, new = step.get("oldState"), step.get("newState")
    state = old if isinstance(old, dict) else _mapping(new)
    custom = bool(state.get("custom", True))
    if op in _COMPARED and custom and not (isinstance(old, dict) and isinstance(new, dict)):
        doubts.append(f"{urn}: the preview does not show what it was and what it would be")
    if op in REMOVING - {
        "create-replacement",
        "read-replacement",
        "import-replacement",
    } and not isinstance(old, dict):
        doubts.append(f"{urn}: the preview does not show what would be lost")
    return Change(
        urn=urn,
        kind=parts[2].rpartition("$")[2],
        name=parts[3],
        op=op,
        before=_inputs(old),
        after=_inputs(new),
        known=_mapping(_mapping(old).get("outputs")),
        custom=custom,
        protected_before=bool(_mapping(old).get("protect")),
        protected_after=bool(_mapping(new).get("protect")),
        provider_before=_provider(old),
        provider_after=_provider(new),
    )


def _inputs(state: Any) -> Mapping[str, Any] | None:
    return _mapping(state.get("inputs")) if isinstance(state, dict) else None


def _provider(state: Any) -> str | None:
    reference = _mapping(state).get("provider")
    return reference.rpartition("::")[0] if isinstance(reference, str) and reference else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _diagnostics(found: list[Any], doubts: list[str]) -> dict[str, str]:
    """Return what `protect` refused, by URN; add every other error to ``doubts``."""
    errors = [
        entry for entry in found if isinstance(entry, dict) and entry.get("severity") == "error"
    ]
    protected: dict[str, str] = {}
    others = []
    for entry in errors:
        message = str(entry.get("message", "")).strip()
        if any(words in message for words in _PROTECTED):
            protected[str(entry.get("urn") or "the stack")] = message
        else:
            others.append((entry.get("urn"), message))
    # The epilogue explains nothing; it is ignored if another error is there.
    telling = [
        (urn, text)
        for urn, text in others
        if urn or text.removeprefix("error: ").lower() != _EPILOGUE
    ]
    if not telling and not protected:
        telling = others
    doubts += [f"the preview failed: {f'{urn}: ' if urn else ''}{text}" for urn, text in telling]
    return protected


def _uncounted(summary: Any, changes: list[Change]) -> list[str]:
    """Return the steps that the engine counted and the document does not list."""
    if not isinstance(summary, dict):
        return ["the preview has no summary of changes: it was cut short"]
    listed = Counter(change.op for change in changes)
    return [
        f"the engine would {op} {count} resources, the preview lists {listed[op]}"
        for op, count in sorted(summary.items())
        if op != "same" and isinstance(count, int) and listed[op] < count
    ]
