"""What a condition operator compares.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html.
BinaryEquals is not known here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any, Protocol

from seawall.iam.patterns import Wildcards, pattern
from seawall.iam.request import ContextValue, UnevaluatedElementError

Context = Mapping[str, ContextValue]
Test = Callable[[str, Context], bool]
"""Whether a value of the request is what the policy says."""


class Prepare(Protocol):
    """Reads a value of the policy; ``variables``: whether the policy's version has them."""

    def __call__(self, value: str, *, variables: bool) -> Test:
        """Raises :class:`UnevaluatedElementError` for a value that the operator cannot mean."""


@dataclass(frozen=True)
class Operator:
    """How an operator reads a value of the policy, and whether it is true where none of the values
    matches.
    """

    prepare: Prepare
    negated: bool = False


def _text(value: str, *, variables: bool, wildcards: Wildcards, ignore_case: bool = False) -> Test:
    return pattern(value, wildcards=wildcards, variables=variables, ignore_case=ignore_case).matches


def _boolean(value: str, *, variables: bool) -> Test:
    if "${" not in value and value.lower() not in ("true", "false"):
        message = f"the boolean {value}"
        raise UnevaluatedElementError(message)
    return _text(value, variables=variables, wildcards=Wildcards.NONE, ignore_case=True)


def _compared(
    value: str, *, variables: bool, read: Callable[[str], Any], compare: Callable[[Any, Any], bool]
) -> Test:
    """Numbers, times and addresses.

    No variables, and a value of the request that is none of them does not match.
    """
    if variables and "${" in value:
        message = f"a variable in {value}"
        raise UnevaluatedElementError(message)
    try:
        theirs = read(value)
    except (ValueError, InvalidOperation) as error:
        message = f"the value {value}"
        raise UnevaluatedElementError(message) from error

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


def _address(value: str, *, variables: bool) -> Test:
    if variables and "${" in value:
        message = f"a variable in {value}"
        raise UnevaluatedElementError(message)
    try:
        network = ip_network(value, strict=False)
    except ValueError as error:
        message = f"the address {value}"
        raise UnevaluatedElementError(message) from error

    def test(text: str, _context: Context) -> bool:
        try:
            return _within(text, network)
        except ValueError:
            return False

    return test


def _pair(name: str, negated_name: str, prepare: Prepare) -> dict[str, Operator]:
    return {name: Operator(prepare), negated_name: Operator(prepare, negated=True)}


def _family(kind: str, read: Callable[[str], Any]) -> dict[str, Operator]:
    def of(compare: Callable[[Any, Any], bool]) -> Prepare:
        return partial(_compared, read=read, compare=compare)

    return {
        **_pair(f"{kind}Equals", f"{kind}NotEquals", of(operator.eq)),
        f"{kind}LessThan": Operator(of(operator.lt)),
        f"{kind}LessThanEquals": Operator(of(operator.le)),
        f"{kind}GreaterThan": Operator(of(operator.gt)),
        f"{kind}GreaterThanEquals": Operator(of(operator.ge)),
    }


_exact = partial(_text, wildcards=Wildcards.NONE)
_like = partial(_text, wildcards=Wildcards.ANYWHERE)
_arn = partial(_text, wildcards=Wildcards.IN_SEGMENTS)

OPERATORS: Mapping[str, Operator] = {
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
    "Bool": Operator(_boolean),
}
"""Every operator but Null, by its name without qualifier and suffix."""
