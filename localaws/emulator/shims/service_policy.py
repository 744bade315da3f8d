"""Whether the policy of a topic or queue lets an AWS service deliver to it; pure.

A service is no caller with policies of its own: EventBridge, CloudWatch and SNS reach a topic or
queue only if its policy says so (EventBridge user guide, "Using resource-based policies"; SNS
developer guide, "Allow Amazon SNS to send messages to a queue"). A topic's default policy admits
whoever carries the owner's account as ``AWS:SourceOwner``: that is CloudWatch, not EventBridge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def matches(pattern: str, text: str) -> bool:
    """``*`` and ``?`` stand for any characters and any one."""
    return (
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL)
        is not None
    )


_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, found: wanted == found,
    "StringLike": matches,
    "ArnEquals": matches,
    "ArnLike": matches,
    "Bool": lambda wanted, found: wanted.lower() == found.lower(),
}
"""Condition operators that policies of topics and queues use for services (IAM user guide,
"Condition operators").
"""


def service_may(
    policy: Mapping[str, Any],
    *,
    service: str,
    action: str,
    resource: str,
    context: Mapping[str, str],
) -> bool:
    """Whether ``policy`` lets ``service`` (events.amazonaws.com) do ``action``.

    An explicit deny wins, and silence is a no.

    ``context``: condition keys that the request carries. What is not understood never allows, and a
    deny with it applies.
    """
    allowed = False
    for statement in _list(policy.get("Statement")):
        deny = statement.get("Effect") == "Deny"
        if not (
            _named(statement, service) and _acted(statement, action) and _aimed(statement, resource)
        ):
            continue
        if not _holds(statement.get("Condition", {}), context, unknown=deny):
            continue
        if deny:
            return False
        allowed = True
    return allowed


def _named(statement: Mapping[str, Any], service: str) -> bool:
    principal = statement.get("Principal")
    if principal == "*" or not isinstance(principal, Mapping):
        return bool(principal == "*")
    return "*" in _list(principal.get("AWS")) or service in _list(principal.get("Service"))


def _acted(statement: Mapping[str, Any], action: str) -> bool:
    return any(matches(each.lower(), action.lower()) for each in _list(statement.get("Action")))


def _aimed(statement: Mapping[str, Any], resource: str) -> bool:
    return any(matches(each, resource) for each in _list(statement.get("Resource")))


def _holds(
    conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str], *, unknown: bool
) -> bool:
    carried = {name.lower(): value for name, value in context.items()}
    for operator, keys in conditions.items():
        compare = _COMPARISONS.get(operator)
        for key, wanted in keys.items():
            if compare is None:
                return unknown
            found = carried.get(key.lower())
            if found is None or not any(compare(str(each), found) for each in _list(wanted)):
                return False
    return True


def _list(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)
