"""Two versions of a policy document (IAM, KMS, S3, SNS, ...) compared.

Which denials went, which powers came; pure.

Patterns are compared, not requests: one that this module cannot show to be covered counts as not
covered. Elements are those of the IAM reference ("IAM JSON policy elements"); action names are
compared without regard to case, as AWS does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

HOLDER = "whoever holds it"
"""The principal of a document that is attached to one, and so names none."""
_NEGATED = ("StringNot", "ArnNot", "NumericNot", "DateNot", "NotIpAddress")
_WHOLE_SERVICE = re.compile(r"^(\*|[a-z0-9-]+:\*)$")

_NARROWING = ("aws:resourcetag/", "kms:viaservice", "kms:resourcealiases")
"""Keys of conditions that pick resources where the ARN does not (KMS and IAM condition key
references).
"""

WITHOUT_RESOURCES = frozenset(
    {
        "cloudwatch:putmetricdata",
        "kms:createkey",
        "kms:listkeys",
        "kms:listaliases",
        "kms:generaterandom",
        "sts:getcalleridentity",
        "s3:listallmybuckets",
        "events:listrules",
        "cloudtrail:describetrails",
        "cloudtrail:listtrails",
        "secretsmanager:listsecrets",
        "secretsmanager:getrandompassword",
        "backup:listbackupvaults",
        "backup:listbackupplans",
        "cloudwatch:listmetrics",
        "cloudwatch:getmetricdata",
        "cloudwatch:getmetricstatistics",
        "ssm:describeparameters",
        "tag:getresources",
        "sns:listtopics",
        "ecr:getauthorizationtoken",
        "rds:describedbclusters",
        "rds:describedbclustersnapshots",
        "rds:describedbinstances",
        "rds:describedbsnapshots",
        "xray:puttracesegments",
        "route53:listhostedzones",
        "iam:listroles",
    }
)
"""Actions that AWS defines for no resource, so that `*` is the only way to allow them (Service
Authorization Reference).
"""


class UnreadableError(Exception):
    """The document cannot be judged; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement; absent elements are empty. ``condition``: operator, key and values."""

    allow: bool
    principals: frozenset[str]
    but_principals: frozenset[str]
    actions: frozenset[str]
    but_actions: frozenset[str]
    resources: frozenset[str]
    but_resources: frozenset[str]
    condition: frozenset[tuple[str, str, frozenset[str]]]

    def permits(self, action: str) -> bool:
        """Whether it allows ``action`` to somebody on something."""
        if not self.allow:
            return False
        if self.actions:
            return any(_covers(pattern, action) for pattern in self.actions)
        return not any(_covers(pattern, action) for pattern in self.but_actions)


def read(document: Any) -> tuple[Statement, ...]:
    """The statements of a document in text or as a mapping. Raises :class:`UnreadableError`."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            raise UnreadableError("its text is not known before the update") from None
    if not isinstance(document, Mapping) or "Statement" not in document:
        raise UnreadableError("it is no policy document")
    found = document["Statement"]
    return tuple(_statement(entry) for entry in (found if isinstance(found, list) else [found]))


def lost_denials(before: Iterable[Statement], after: Iterable[Statement]) -> list[str]:
    """What was denied and is not any more, as phrases."""
    kept = [statement for statement in after if not statement.allow]
    return [
        f"the denial of {action} for {_names(old)} is gone or narrower"
        for old in before
        if not old.allow
        for action in sorted(old.actions)
        or ["everything but " + ", ".join(sorted(old.but_actions))]
        if not any(_denies_as_much(new, old, action) for new in kept)
    ]


def new_powers(
    before: Iterable[Statement], after: Iterable[Statement], actions: Iterable[str]
) -> list[str]:
    """Who may do one of ``actions`` that could not before, as phrases."""
    earlier = [statement for statement in before if statement.allow]
    gained = [
        f"{action} for {principal}{'' if resource == '*' else ' on ' + resource}"
        for action in actions
        for new in after
        if new.permits(action.lower())
        for principal in sorted(new.principals)
        or [f"everyone but {', '.join(sorted(new.but_principals))}"]
        for resource in sorted(new.resources or {"*"})
        if not any(
            _grants_as_much(old, new, principal, resource)
            for old in earlier
            if old.permits(action.lower())
        )
    ]
    return list(dict.fromkeys(gained))


def lost_powers(before: Iterable[Statement], after: Iterable[Statement], action: str) -> list[str]:
    """Principals that were allowed ``action`` and are named for it no more."""
    return [
        principal
        for principal in sorted(_permitted(before, action) - _permitted(after, action))
        if "*" not in _permitted(after, action)
    ]


def wildcards(statements: Iterable[Statement], *, resources: bool) -> set[str]:
    """Allowances that name everything.

    All actions, anyone without a condition, and with ``resources`` all resources.
    """
    found = set()
    for statement in statements:
        if not statement.allow:
            continue
        found |= {
            f"Action {action}" for action in statement.actions if _WHOLE_SERVICE.match(action)
        }
        if statement.but_actions:
            found.add(f"NotAction {', '.join(sorted(statement.but_actions))}: all other actions")
        if statement.but_principals:
            found.add(f"NotPrincipal {', '.join(sorted(statement.but_principals))}: everybody else")
        if "*" in statement.principals and not statement.condition:
            found.add("Principal * without a condition")
        if resources:
            found |= _resource_wildcards(statement)
    return found


def _resource_wildcards(statement: Statement) -> set[str]:
    needless = sorted(statement.actions - WITHOUT_RESOURCES)
    picked = any(key.startswith(_NARROWING) for _, key, _ in statement.condition)
    if not needless or picked:
        return set()
    found = {
        f"Resource {each} for {', '.join(needless)}" for each in statement.resources if each == "*"
    }
    if any(action.startswith("kms:") for action in needless):
        found |= {
            f"Resource {each}: every key" for each in statement.resources if each.endswith(":key/*")
        }
    if statement.but_resources:
        found.add(f"NotResource {', '.join(sorted(statement.but_resources))}: all other resources")
    return found


def _permitted(statements: Iterable[Statement], action: str) -> set[str]:
    return {
        principal
        for statement in statements
        if statement.permits(action.lower())
        for principal in statement.principals
    }


def _statement(entry: Any) -> Statement:
    if not isinstance(entry, Mapping) or entry.get("Effect") not in ("Allow", "Deny"):
        raise UnreadableError("a statement neither allows nor denies")
    named = "Principal" in entry or "NotPrincipal" in entry
    return Statement(
        allow=entry["Effect"] == "Allow",
        principals=_principals(entry.get("Principal")) if named else frozenset({HOLDER}),
        but_principals=_principals(entry.get("NotPrincipal")),
        actions=frozenset(each.lower() for each in _many(entry.get("Action"))),
        but_actions=frozenset(each.lower() for each in _many(entry.get("NotAction"))),
        resources=frozenset(_many(entry.get("Resource"))),
        but_resources=frozenset(_many(entry.get("NotResource"))),
        condition=_condition(entry.get("Condition")),
    )


def _many(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _principals(value: Any) -> frozenset[str]:
    if isinstance(value, Mapping):
        return frozenset(
            "*" if each == "*" else each for kind in value for each in _many(value[kind])
        )
    return frozenset(_many(value))


def _condition(value: Any) -> frozenset[tuple[str, str, frozenset[str]]]:
    if value is None:
        return frozenset()
    if not isinstance(value, Mapping) or not all(
        isinstance(keys, Mapping) for keys in value.values()
    ):
        raise UnreadableError("a condition is no mapping of operators")
    return frozenset(
        (
            operator,
            key.lower(),
            frozenset(
                str(each).lower() if isinstance(each, bool) else str(each)
                for each in _listed(values)
            ),
        )
        for operator, keys in value.items()
        for key, values in keys.items()
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    text = "".join(
        ".*" if each == "*" else "." if each == "?" else re.escape(each) for each in pattern
    )
    return re.compile(text, re.DOTALL)


def _covers(pattern: str, other: str) -> bool:
    """Whether every name that ``other`` stands for is one that ``pattern`` stands for.

    May say no where it is so.
    """
    return _expression(pattern).fullmatch(other) is not None


def _names(statement: Statement) -> str:
    if statement.but_principals:
        return f"everyone but {', '.join(sorted(statement.but_principals))}"
    return "everyone" if "*" in statement.principals else ", ".join(sorted(statement.principals))


def _all_within(narrow: frozenset[str], wide: frozenset[str]) -> bool:
    return all(any(_covers(pattern, each) for pattern in wide) for each in narrow)


def _denies_as_much(new: Statement, old: Statement, action: str) -> bool:
    if old.actions:
        same_actions = (
            any(_covers(pattern, action) for pattern in new.actions)
            if new.actions
            else not any(
                _covers(pattern, action) or _covers(action, pattern) for pattern in new.but_actions
            )
        )
    else:
        same_actions = "*" in new.actions or (
            not new.actions and _all_within(new.but_actions, old.but_actions)
        )
    if new.but_principals:
        same_people = bool(old.but_principals) and new.but_principals <= old.but_principals
    elif "*" in new.principals:
        same_people = True
    else:
        same_people = not old.but_principals and old.principals <= new.principals
    if new.but_resources:
        same_things = bool(old.but_resources) and new.but_resources <= old.but_resources
    else:
        same_things = not new.resources or _all_within(
            old.resources or frozenset({"*"}), new.resources
        )
    return (
        same_actions
        and same_people
        and same_things
        and _holds_as_often(new.condition, old.condition)
    )


def _holds_as_often(
    new: frozenset[tuple[str, str, frozenset[str]]], old: frozenset[tuple[str, str, frozenset[str]]]
) -> bool:
    """Whether ``new`` is met whenever ``old`` is.

    No condition that is not among the old ones, or a negated one with fewer exceptions.
    """
    return all(
        any(
            (operator, key) == (old_operator, old_key)
            and (values == old_values or (operator.startswith(_NEGATED) and values <= old_values))
            for old_operator, old_key, old_values in old
        )
        for operator, key, values in new
    )


def _grants_as_much(old: Statement, new: Statement, principal: str, resource: str) -> bool:
    people = principal in old.principals or "*" in old.principals
    if new.but_principals:
        people = bool(old.but_principals) and old.but_principals <= new.but_principals
    things = (
        _all_within(frozenset({resource}), old.resources or frozenset({"*"}))
        if not old.but_resources
        else False
    )
    return people and things and old.condition <= new.condition
