"""The Condition element of a statement: all of its tests must hold.

How keys and values combine:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html.
Sets:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html.
A key that is absent from the request makes a plain operator false, a negated one and
``...IfExists`` true, ForAllValues true, ForAnyValue false.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from seawall.iam.condition_keys import is_known, is_multivalued
from seawall.iam.operators import OPERATORS, Context, Test
from seawall.iam.request import ContextValue, UnevaluatedElementError

Condition = Callable[[Context], bool]

_SETS = ("ForAllValues", "ForAnyValue")
_IF_EXISTS = "IfExists"


def conditions(block: Any, *, variables: bool) -> tuple[Condition, ...]:
    """Every test of ``block``; they hold together or the statement says nothing.

    Raises :class:`UnevaluatedElementError` for an operator, key or value that is not known.
    """
    if not isinstance(block, dict):
        message = f"Condition {block}"
        raise UnevaluatedElementError(message)
    return tuple(
        _condition(name, key, _texts(values), variables=variables)
        for name, tests in block.items()
        for key, values in tests.items()
    )


def _condition(name: str, key: str, values: tuple[str, ...], *, variables: bool) -> Condition:
    lowered = key.lower()
    if not is_known(lowered):
        message = f"the condition key {key}"
        raise UnevaluatedElementError(message)
    if name == "Null":
        return _null(lowered, values)
    sets, _, plain = name.rpartition(":")
    if_exists = plain.endswith(_IF_EXISTS)
    known = OPERATORS.get(plain.removesuffix(_IF_EXISTS))
    if known is None or sets not in ("", *_SETS):
        message = f"the condition operator {name}"
        raise UnevaluatedElementError(message)
    if is_multivalued(lowered) and not sets:
        message = f"{name} of {key}, a multivalued key, without ForAllValues or ForAnyValue"
        raise UnevaluatedElementError(message)
    tests = tuple(known.prepare(value, variables=variables) for value in values)
    if sets:
        return _of_a_set(
            lowered, tests, negated=known.negated, every=sets == "ForAllValues", if_exists=if_exists
        )

    def holds(context: Context) -> bool:
        found = context.get(lowered)
        if found is None:
            return if_exists or known.negated
        value = found if isinstance(found, str) else next(iter(found), "")
        return any(test(value, context) for test in tests) != known.negated

    return holds


def _of_a_set(
    key: str, tests: Sequence[Test], *, negated: bool, every: bool, if_exists: bool
) -> Condition:
    """An empty value counts as none, as AWS says of sets."""

    def holds(context: Context) -> bool:
        values = [value for value in _values(context.get(key)) if value]
        if not values:
            return every or if_exists
        each = (any(test(value, context) for test in tests) != negated for value in values)
        return all(each) if every else any(each)

    return holds


def _null(key: str, values: tuple[str, ...]) -> Condition:
    """True if the key is absent and the policy says ``true``, or the other way round."""
    wanted = {value.lower() for value in values}
    if not wanted <= {"true", "false"}:
        message = f"Null of {', '.join(values)}"
        raise UnevaluatedElementError(message)

    def holds(context: Context) -> bool:
        absent = context.get(key) in (None, ())
        return ("true" if absent else "false") in wanted

    return holds


def _values(found: ContextValue | None) -> tuple[str, ...]:
    if found is None:
        return ()
    return (found,) if isinstance(found, str) else found


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(_text(value) for value in (values if isinstance(values, list) else [values]))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    message = f"the value {value}"
    raise UnevaluatedElementError(message)
