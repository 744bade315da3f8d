"""Text with wildcards and variables, as in Resource and in the values of conditions.

Wildcards:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html (within
the segments of an ARN). Variables:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html. A variable
without value matches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from seawall.iam.condition_keys import is_multivalued, is_variable
from seawall.iam.request import ContextValue, UnevaluatedElementError

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_WITH_DEFAULT = re.compile(r"([^,]+), '(.*)'")
_SPECIAL = frozenset("*?$")
"""``${*}``, ``${?}`` and ``${$}`` stand for these characters themselves."""
_COLONS_OF_AN_ARN = 5


class Wildcards(Enum):
    """How ``*`` and ``?`` are read."""

    NONE = "literal"
    ANYWHERE = "over the whole text"
    IN_SEGMENTS = "within the segments of an ARN"
    IN_RESOURCE = "within the segments of an ARN, whose missing segments match everything"


@dataclass(frozen=True)
class _Variable:
    key: str
    default: str | None


# text with wildcards, a variable, or a character that stands for itself
_Part = str | _Variable | tuple[str]


@dataclass(frozen=True)
class Pattern:
    """One value of a policy, ready to be matched."""

    parts: tuple[_Part, ...]
    wildcards: Wildcards
    ignore_case: bool
    fixed: re.Pattern[str] | None
    """The whole pattern if it has no variables."""

    def matches(self, text: str, context: Mapping[str, ContextValue]) -> bool:
        """Whether ``text`` is what this pattern says, its variables taken from ``context``."""
        if self.fixed is not None:
            return self.fixed.fullmatch(text) is not None
        values: list[str] = []
        for part in self.parts:
            if isinstance(part, _Variable):
                value = context.get(part.key, part.default)
                if not isinstance(value, str):
                    return False
                values.append(value)
        return (
            _compiled(
                self.parts, tuple(values), self.wildcards, ignore_case=self.ignore_case
            ).fullmatch(text)
            is not None
        )


@lru_cache(maxsize=8192)
def pattern(
    value: str, *, wildcards: Wildcards, variables: bool, ignore_case: bool = False
) -> Pattern:
    """Read ``value``.

    ``variables``: False under a policy version without them, where ``${`` is text.

    Raises :class:`UnevaluatedElementError` for a variable that is not known.
    """
    parts = _parts(value) if variables else (value,)
    fixed = None
    if not any(isinstance(part, _Variable) for part in parts):
        fixed = _compiled(parts, (), wildcards, ignore_case=ignore_case)
    return Pattern(parts, wildcards, ignore_case, fixed)


@lru_cache(maxsize=8192)
def plain(value: str) -> re.Pattern[str]:
    """Compile ``value``, in which only ``*`` and ``?`` are special, over the whole text.

    For names of actions.
    """
    return _compiled((value,), (), Wildcards.ANYWHERE, ignore_case=False)


def covers(value: str, other: str) -> bool:
    """Whether ``value`` stands for every text that the pattern ``other`` stands for.

    Wildcards of ``other`` are compared as characters, so the answer may be no where it should be
    yes.
    """
    return plain(value).fullmatch(other) is not None


def _parts(value: str) -> tuple[_Part, ...]:
    parts: list[_Part] = []
    end = 0
    for found in _VARIABLE.finditer(value):
        if found.start() > end:
            parts.append(value[end : found.start()])
        end = found.end()
        name = found.group(1)
        parts.append((name,) if name in _SPECIAL else _variable(name))
    if end < len(value):
        parts.append(value[end:])
    return tuple(parts)


def _variable(text: str) -> _Variable:
    with_default = _WITH_DEFAULT.fullmatch(text)
    name, default = (with_default.group(1), with_default.group(2)) if with_default else (text, None)
    key = name.lower()
    if not is_variable(key) or is_multivalued(key):
        raise UnevaluatedElementError(f"the variable ${{{name}}}")
    return _Variable(key, default)


@lru_cache(maxsize=8192)
def _compiled(
    parts: tuple[_Part, ...], values: tuple[str, ...], wildcards: Wildcards, *, ignore_case: bool
) -> re.Pattern[str]:
    expression: list[str] = []
    colons = 0
    given = iter(values)
    for part in parts:
        if isinstance(part, _Variable):
            expression.append(re.escape(next(given)))
        elif isinstance(part, tuple):
            expression.append(re.escape(part[0]))
        else:
            for character in part:
                colons += character == ":"
                expression.append(_expression(character, wildcards, colons))
    if wildcards is Wildcards.IN_RESOURCE and colons < _COLONS_OF_AN_ARN:
        if parts == ("*",):
            expression = [".*"]
        else:
            expression.append(":[^:]*" * (_COLONS_OF_AN_ARN - colons - 1) + ":.*")
    return re.compile("".join(expression), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _expression(character: str, wildcards: Wildcards, colons: int) -> str:
    if character not in "*?" or wildcards is Wildcards.NONE:
        return re.escape(character)
    in_segment = (
        wildcards in (Wildcards.IN_SEGMENTS, Wildcards.IN_RESOURCE) and colons < _COLONS_OF_AN_ARN
    )
    return ("[^:]" if in_segment else ".") + ("*" if character == "*" else "")
