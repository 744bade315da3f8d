"""What an entry of the table of rules says, and the comparisons that entries are made of; pure.

A check looks at one change and returns what it found, each as a phrase; nothing found is allowed.
Defaults are those of the AWS provider's documentation: an input that is not there means its
default.
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
    """A check of inputs at known ``paths``, so that a test can ask whether the AWS provider has
    them at all.
    """

    paths: tuple[str, ...]
    look: Callable[[Change, Preview], list[str]]

    def __call__(self, change: Change, preview: Preview) -> list[str]:
        """What was found, as phrases."""
        return self.look(change, preview)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One way to weaken the stack.

    ``consequence`` and ``instead`` are sentences for a reviewer; ``source``: where AWS says so.

    ``touches_money``: whether the address or the power to sign is at stake, so that the wallet's
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
        """What ``change`` does against this rule, as phrases."""
        if self.kinds and change.kind not in self.kinds:
            return []
        return list(
            dict.fromkeys(phrase for check in self.checks for phrase in check(change, preview))
        )


def kinds(*tokens: str) -> frozenset[str]:
    """``"kms/key:Key"`` -> ``"aws:kms/key:Key"``."""
    return frozenset(f"aws:{token}" for token in tokens)


def value_at(inputs: Mapping[str, Any] | None, path: str, default: Any = None) -> Any:
    """The input at a dotted ``path``, which steps into the only item of a list.

    ``default`` if it or a part of the way is not there.
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
    """A value for people: short, and never a secret."""
    if value == UNKNOWN:
        return "a value that only the update will know"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "..."


_SHOWN_MAX = 90


def both(change: Change) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Inputs before and after, if the resource is there before and after."""
    if change.before is None or change.after is None:
        return None
    return change.before, change.after


def removed(*, replaced_too: bool = True) -> Check:
    """It is gone afterwards; ``replaced_too``: or is another one."""

    def check(change: Change, _: Preview) -> list[str]:
        if not change.removes or (change.replaces and not replaced_too):
            return []
        return ["it is replaced by another one" if change.replaces else "it is deleted"]

    return check


def changed(*paths: str, default: Any = None) -> Check:
    """An input is another one afterwards, whatever the provider says that this means."""
    return _compared(paths, default, lambda old, new: old != new)


def changed_once_set(*paths: str) -> Check:
    """As :func:`changed`, for an input that was given before."""
    return _compared(paths, None, lambda old, new: old is not None and old != new)


def left(path: str, *values: Any, default: Any = None) -> Check:
    """An input was one of ``values`` and is none of them any more."""
    return _compared((path,), default, lambda old, new: old in values and new not in values)


def lowered(*paths: str, default: Any = None) -> Check:
    """A number is smaller afterwards, or is gone where there is no default."""
    return _compared(paths, default, lambda old, new: _below(new, old))


def raised(*paths: str, default: Any = None) -> Check:
    """A number is larger afterwards."""
    return _compared(paths, default, _below)


def gone(*paths: str) -> Check:
    """An input that was given is not given any more, or is empty."""
    return _compared(paths, None, lambda old, new: bool(old) and not new)


def fewer(*paths: str) -> Check:
    """A list that was given lacks one of its items afterwards."""

    def check(change: Change, _: Preview) -> list[str]:
        found = []
        for path in paths:
            old, new = _sides(change, path, [])
            if _hidden(old, new):
                found.append(f"{path}: {shown(old)} -> {shown(new)}")
            elif isinstance(old, list) and isinstance(new, list):
                found += [f"{path} loses {shown(item)}" for item in old if item not in new]
        return found

    return Comparison(paths=paths, look=check)


def either(check: Check, *, when: Callable[[Change], bool]) -> Check:
    """``check``, for the changes that ``when`` picks."""
    paths = check.paths if isinstance(check, Comparison) else ()
    return Comparison(
        paths=paths, look=lambda change, preview: check(change, preview) if when(change) else []
    )


def moved(change: Change, _: Preview) -> list[str]:
    """Another provider looks after it: another account, endpoint or set of credentials."""
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

    return Comparison(paths=paths, look=check)


def _hidden(old: Any, new: Any) -> bool:
    """Whether a value that was known becomes one that cannot be judged."""
    return new in (UNKNOWN, SECRET) and old != new if isinstance(new, str) else False


def number(value: Any) -> Decimal | None:
    """A number however it is written; None for anything else."""
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
