"""The Condition element of a statement: its operators, and how its tests combine.

All tests of the element must hold. How keys and values combine:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html.
Sets:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html.
Operators:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html;
BinaryEquals is not known here. A key that is absent from the request makes a plain operator false,
a negated one and ``...IfExists`` true, ForAllValues true, ForAnyValue false.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any, Protocol

from seawall.iam.condition_keys import is_known, is_multivalued
from seawall.iam.patterns import Wildcards, pattern
from seawall.iam.request import ContextValue, UnevaluatedElementError

Context = Mapping[str, ContextValue]
Condition = Callable[[Context], bool]

_SETS = ("ForAllValues", "ForAnyValue")
_IF_EXISTS = "IfExists"


def conditions(block: Mapping[str, Any], *, variables: bool) -> tuple[Condition, ...]:
    """Return every test of ``block``; the statement applies only if all hold.

    Raises :class:`UnevaluatedElementError` for an operator, key or value that is not known.
    """
    return tuple(
        _condition(name, key, _texts(values), variables=variables)
        for name, tests in block.items()
        for key, values in tests.items()
    )


def _condition(name: str, key: str, values: tuple[str, ...], *, variables: bool) -> Condition:
    lowered = key.lower()
    if not is_known(lowered):
        raise UnevaluatedElementError(f"the condition key {key}")
    if name == "Null":
        return _null(lowered, values)
    sets, _, plain = name.rpartition(":")
    if_exists = plain.endswith(_IF_EXISTS)
    known = _OPERATORS.get(plain.removesuffix(_IF_EXISTS))
    if known is None or sets not in ("", *_SETS):
        raise UnevaluatedElementError(f"the condition operator {name}")
    if is_multivalued(lowered) and not sets:
        raise UnevaluatedElementError(
            f"{name} of {key}, a multivalued key, without ForAllValues or ForAnyValue"
        )
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
    key: str, tests: Sequence[_Test], *, negated: bool, every: bool, if_exists: bool
) -> Condition:
    """AWS counts an empty value in a set as absent."""

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
        raise UnevaluatedElementError(f"Null of {', '.join(values)}")

    def holds(context: Context) -> bool:
        absent = context.get(key) in (None, ())
        return ("true" if absent else "false") in wanted

    return holds


def _values(found: ContextValue | None) -> tuple[str, ...]:
    if found is None:
        return ()
    return (found,) if isinstance(found, str) else found


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(_text_of(value) for value in (values if isinstance(values, list) else [values]))


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise UnevaluatedElementError(f"the value {value}")


_Test = Callable[[str, Context], bool]
"""Whether a value of the request is what the policy says."""


class _Prepare(Protocol):
    """Reads a value of the policy; ``variables``: whether the policy's version has them."""

    def __call__(self, value: str, *, variables: bool) -> _Test:
        """Raises :class:`UnevaluatedElementError` for a value that the operator cannot mean."""


@dataclass(frozen=True)
class _Operator:
    """How an operator reads a value of the policy.

    ``negated``: it is true where none of the values matches.
    """

    prepare: _Prepare
    negated: bool = False


def _compared_text(
    value: str, *, variables: bool, wildcards: Wildcards, ignore_case: bool = False
) -> _Test:
    return pattern(value, wildcards=wildcards, variables=variables, ignore_case=ignore_case).matches


def _boolean(value: str, *, variables: bool) -> _Test:
    if "${" not in value and value.lower() not in ("true", "false"):
        raise UnevaluatedElementError(f"the boolean {value}")
    return _compared_text(value, variables=variables, wildcards=Wildcards.NONE, ignore_case=True)


def _compared(
    value: str, *, variables: bool, read: Callable[[str], Any], compare: Callable[[Any, Any], bool]
) -> _Test:
    """Numbers, times and addresses.

    No variables, and a value of the request that is none of them does not match.
    """
    if variables and "${" in value:
        raise UnevaluatedElementError(f"a variable in {value}")
    try:
        theirs = read(value)
    except (ValueError, InvalidOperation) as error:
        raise UnevaluatedElementError(f"the value {value}") from error

    def test(text: str, _context: Context) -> bool:
        try:
            return compare(read(text), theirs)
        except (ValueError, InvalidOperation):
            return False

    return test


def _time(text: str) -> datetime:
    """A W3C date with or without its time of day, or seconds since 1970."""
    if text.isdigit() and len(text) > len("2026"):
        return datetime.fromtimestamp(int(text), UTC)
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _within(ours: str, network: Any) -> bool:
    return ip_address(ours) in network


def _address(value: str, *, variables: bool) -> _Test:
    if variables and "${" in value:
        raise UnevaluatedElementError(f"a variable in {value}")
    try:
        network = ip_network(value, strict=False)
    except ValueError as error:
        raise UnevaluatedElementError(f"the address {value}") from error

    def test(text: str, _context: Context) -> bool:
        try:
            return _within(text, network)
        except ValueError:
            return False

    return test


def _pair(name: str, negated_name: str, prepare: _Prepare) -> dict[str, _Operator]:
    return {name: _Operator(prepare), negated_name: _Operator(prepare, negated=True)}


def _family(kind: str, read: Callable[[str], Any]) -> dict[str, _Operator]:
    def of(compare: Callable[[Any, Any], bool]) -> _Prepare:
        return partial(_compared, read=read, compare=compare)

    return {
        **_pair(f"{kind}Equals", f"{kind}NotEquals", of(operator.eq)),
        f"{kind}LessThan": _Operator(of(operator.lt)),
        f"{kind}LessThanEquals": _Operator(of(operator.le)),
        f"{kind}GreaterThan": _Operator(of(operator.gt)),
        f"{kind}GreaterThanEquals": _Operator(of(operator.ge)),
    }


_exact = partial(_compared_text, wildcards=Wildcards.NONE)
_like = partial(_compared_text, wildcards=Wildcards.ANYWHERE)
_arn = partial(_compared_text, wildcards=Wildcards.IN_SEGMENTS)

_OPERATORS: Mapping[str, _Operator] = {
    **_pair("StringEquals", "StringNotEquals", _exact),
    **_pair(
        "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", partial(_exact, ignore_case=True)
    ),
    **_pair("StringLike", "StringNotLike", _like),
    **_pair("ArnEquals", "ArnNotEquals", _arn),
    **_pair("ArnLike", "ArnNotLike", _arn),
    **_family("Numeric", Decimal),
    **_family("Date", _time),
    **_pair("IpAddress", "NotIpAddress", _address),
    "Bool": _Operator(_boolean),
}
"""Every operator but Null, by its name without qualifier and suffix."""
