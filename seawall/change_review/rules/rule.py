"""The parts of the table of rules: what a rule is, and the comparisons that its checks use; pure.

A check takes one change and returns what it found, as phrases; no phrases mean that it has no
objection. An input that is absent has the default of the AWS provider's documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from seawall.change_review.preview import SECRET, UNKNOWN, Change, Preview

Check = Callable[[Change, Preview], list[str]]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A check of inputs at ``paths``; a test asks whether the AWS provider has such inputs."""

    paths: tuple[str, ...]
    compare: Callable[[Change, Preview], list[str]]

    def __call__(self, change: Change, preview: Preview) -> list[str]:
        """Return what was found, as phrases."""
        return self.compare(change, preview)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One way to weaken the stack, and what a reviewer needs to know about it.

    Attributes:
        id: the name under which a refusal is shown and overridden.
        kinds: resource types that it applies to; all types if empty.
        checks: what breaks the rule.
        consequence: what would happen, in a sentence.
        instead: what to do instead, in a sentence.
        source: where AWS documents the consequence.
        touches_money: whether the address or the right to sign is at risk, so that the wallet's
            maximum is what can be lost.
    """

    id: str
    kinds: frozenset[str]
    checks: tuple[Check, ...]
    consequence: str
    instead: str
    source: str
    touches_money: bool = False

    def broken_by(self, change: Change, preview: Preview) -> list[str]:
        """Return how ``change`` breaks this rule, as phrases."""
        if self.kinds and change.kind not in self.kinds:
            return []
        return list(
            dict.fromkeys(phrase for check in self.checks for phrase in check(change, preview))
        )


def kinds(*tokens: str) -> frozenset[str]:
    """Return type tokens with the package: ``kms/key:Key`` becomes ``aws:kms/key:Key``."""
    return frozenset(f"aws:{token}" for token in tokens)


def value_at(inputs: Mapping[str, Any] | None, path: str, default: Any = None) -> Any:
    """Return the input at a dotted ``path``, which also steps into the only item of a list.

    It is ``default`` if a part of the path is absent.
    """
    found: Any = inputs or {}
    for part in path.split("."):
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        if isinstance(found, str) and found in (UNKNOWN, SECRET):
            return found
        if not isinstance(found, Mapping) or part not in found:
            return default
        found = found[part]
    return default if found is None else found


def shown(value: Any) -> str:
    """Write a value for people, shortened."""
    if value == UNKNOWN:
        return "a value that only the update will know"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "..."


_SHOWN_MAX = 90


def both(change: Change) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Return the inputs before and after, if the resource exists before and after."""
    if change.before is None or change.after is None:
        return None
    return change.before, change.after


def removed(*, replaced_too: bool = True) -> Check:
    """Find a removal, and with ``replaced_too`` a replacement."""

    def check(change: Change, _: Preview) -> list[str]:
        if not change.removes or (change.replaces and not replaced_too):
            return []
        return ["it is replaced by another one" if change.replaces else "it is deleted"]

    return check


def changed(*paths: str, default: Any = None) -> Check:
    """Find an input that differs, also where the provider would update it in place."""
    return _compared(paths, default, lambda old, new: old != new)


def changed_once_set(*paths: str) -> Check:
    """Find an input that differs and that was given before."""
    return _compared(paths, None, lambda old, new: old is not None and old != new)


def left(path: str, *values: Any, default: Any = None) -> Check:
    """Find an input that was one of ``values`` and is none of them now."""
    return _compared((path,), default, lambda old, new: old in values and new not in values)


def lowered(*paths: str, default: Any = None) -> Check:
    """Find a number that is smaller now, or absent without a default."""
    return _compared(paths, default, lambda old, new: _below(new, old))


def raised(*paths: str, default: Any = None) -> Check:
    """Find a number that is larger now."""
    return _compared(paths, default, _below)


def gone(*paths: str) -> Check:
    """Find an input that was given and is absent or empty now."""
    return _compared(paths, None, lambda old, new: bool(old) and not new)


def fewer(*paths: str) -> Check:
    """Find a list that lacks one of its former items."""

    def check(change: Change, _: Preview) -> list[str]:
        found = []
        for path in paths:
            old, new = _sides(change, path, [])
            if _hidden(old, new):
                found.append(f"{path}: {shown(old)} -> {shown(new)}")
            elif isinstance(old, list) and isinstance(new, list):
                found += [f"{path} loses {shown(item)}" for item in old if item not in new]
        return found

    return Comparison(paths=paths, compare=check)


def only(check: Check, *, when: Callable[[Change], bool]) -> Check:
    """Restrict ``check`` to the changes that ``when`` picks."""
    paths = check.paths if isinstance(check, Comparison) else ()
    return Comparison(
        paths=paths, compare=lambda change, preview: check(change, preview) if when(change) else []
    )


def moved(change: Change, _: Preview) -> list[str]:
    """Find a change of provider: another account, endpoint or set of credentials."""
    if (
        change.provider_before
        and change.provider_after
        and change.provider_before != change.provider_after
    ):
        return [f"provider: {_last(change.provider_before)} -> {_last(change.provider_after)}"]
    return []


def _last(urn: str) -> str:
    return urn.rpartition("::")[2]


def _sides(change: Change, path: str, default: Any) -> tuple[Any, Any]:
    pair = both(change)
    if pair is None:
        return None, None
    return value_at(pair[0], path, default), value_at(pair[1], path, default)


def _compared(paths: tuple[str, ...], default: Any, worse: Callable[[Any, Any], bool]) -> Check:
    def check(change: Change, _: Preview) -> list[str]:
        if both(change) is None:
            return []
        found = []
        for path in paths:
            old, new = _sides(change, path, default)
            if _hidden(old, new) or worse(old, new):
                found.append(f"{path}: {shown(old)} -> {'nothing' if new is None else shown(new)}")
        return found

    return Comparison(paths=paths, compare=check)


def _hidden(old: Any, new: Any) -> bool:
    """Tell whether a value that was known becomes one that cannot be judged."""
    return new in (UNKNOWN, SECRET) and old != new if isinstance(new, str) else False


def number(value: Any) -> Decimal | None:
    """Read a number in any notation; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _below(small: Any, large: Any) -> bool:
    lower, upper = number(small), number(large)
    if upper is None:
        return False
    return lower is None or lower < upper
