"""What `pulumi preview --json` says, read without trusting it.

Steps, and every reason to doubt that they are all of them.

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
"""What the engine writes for a value that only an update will know (sdk/go/common/resource/plugin,
UnknownStringValue).
"""
SECRET = "[secret]"  # noqa: S105  (what the engine prints in place of one)
STACK_KIND = "pulumi:pulumi:Stack"

HARMLESS = frozenset(
    {"same", "create", "update", "read", "refresh", "import", "diff", "extend-parameterize"}
)
"""Steps that leave the resource where it is; what they change is judged by its inputs."""
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
"""Steps after which the resource that was there is gone, or is not looked after any more
(pulumi/pkg/resource/deploy/step.go).
"""
_REPLACING = frozenset(
    {"replace", "create-replacement", "delete-replaced", "read-replacement", "import-replacement"}
)
_COMPARED = frozenset({"update", "replace"})
_PROTECTED = ("marked for protection", "because it is protected")
"""The engine's words when `protect` stopped it (pulumi/pkg/resource/deploy.

Step_generator.go, step.go).
"""
_EPILOGUE = "preview failed"
"""What it adds, without a resource, once something else failed."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One step. ``before`` and ``after`` are the inputs.

    None if the resource did not or will not exist.

    ``provider_before`` and ``provider_after`` name providers without their ids, which change with
    every replacement.
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
        """Whether what was there is gone afterwards."""
        return self.op in REMOVING

    @property
    def replaces(self) -> bool:
        """Whether something else stands in its place afterwards."""
        return self.op in _REPLACING

    @property
    def changes(self) -> bool:
        """Whether it changes anything at all.

        A step that is `same` may still drop its protection.
        """
        return self.op not in {"same", "refresh", "read"} or self.unprotects

    @property
    def unprotects(self) -> bool:
        """Whether a later delete would pass that is refused today."""
        return self.protected_before and not self.protected_after and self.after is not None

    @property
    def tags(self) -> Mapping[str, Any]:
        """Tags before the change: what is there now is what can be lost."""
        for inputs in (self.before, self.after):
            tags = (inputs or {}).get("tags")
            if isinstance(tags, Mapping) and tags:
                return tags
        return {}

    @property
    def digest(self) -> str:
        """Identity of exactly this change."""
        protected = [self.protected_before, self.protected_after]
        text = json.dumps([self.op, self.urn, self.before, self.after, *protected], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A preview. ``doubts``: why it may not be the whole truth.

    ``protected``: what the engine itself refused to touch, by URN.
    """

    stack: str
    changes: tuple[Change, ...]
    doubts: tuple[str, ...]
    protected: Mapping[str, str]
    config: Mapping[str, str]
    outputs: Mapping[str, Any]
    digest: str


def parse(text: str, *, exit_code: int | None = None, complaint: str = "") -> Preview:
    """Read a preview; ``exit_code`` and ``complaint`` (standard error) are the engine's, if it was
    run here.

    Raises :class:`EvidenceError` if ``text`` is no such document at all.
    """
    document = _document(text, complaint)
    doubts: list[str] = []
    changes: list[Change] = []
    for number, step in enumerate(document.get("steps") or []):
        change = _change(step, doubts, number)
        if change is not None:
            changes.append(change)
    stacks = {change.urn.split("::")[0].rpartition(":")[2] for change in changes}
    if len(stacks) != 1:
        message = f"the preview is of {len(stacks)} stacks"
        raise EvidenceError(message, remedy="give the whole output of one `pulumi preview --json`")
    protected = _diagnostics(document.get("diagnostics") or [], doubts)
    doubts += _uncounted(document.get("changeSummary"), changes)
    if exit_code not in (None, 0) and not protected and not doubts:
        doubts.append(
            f"pulumi preview ended with {exit_code}: {complaint.strip() or 'it did not say why'}"
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


def _document(text: str, complaint: str) -> Mapping[str, Any]:
    try:
        document = parse_json(text, source="the preview")
    except DocumentError as error:
        said = complaint.strip() or text.strip()[:200] or "nothing"
        message = f"there is no preview to judge; pulumi said: {said}"
        raise EvidenceError(
            message, remedy="make one with `pulumi preview --json --show-sames`"
        ) from error
    if not isinstance(document, dict) or not isinstance(document.get("steps"), list):
        message = "this is no preview: it lists no steps"
        raise EvidenceError(message, remedy="give the whole output of `pulumi preview --json`")
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
    """What `protect` refused, by URN; every other error is a doubt."""
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
    # The epilogue explains nothing; it may be ignored only where something else does.
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
    """Steps that the engine counted and the document does not list."""
    if not isinstance(summary, dict):
        return ["the preview has no summary of changes: it was cut short"]
    listed = Counter(change.op for change in changes)
    return [
        f"the engine would {op} {count} resources, the preview lists {listed[op]}"
        for op, count in sorted(summary.items())
        if op != "same" and isinstance(count, int) and listed[op] < count
    ]
