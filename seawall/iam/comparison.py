"""Compares two versions of a policy document: which denials went, and what is newly allowed.

Patterns are compared, not requests: a pattern that is not shown to be covered by another counts as
not covered, so that a change is reported rather than missed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from seawall.iam.documents import Statement
from seawall.iam.patterns import covers

_NEGATED = ("StringNot", "ArnNot", "NumericNot", "DateNot", "NotIpAddress")
_WHOLE_SERVICE = re.compile(r"\*|[a-z0-9-]+:\*")

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
        "cloudtrail:lookupevents",
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


def lost_denials(before: Iterable[Statement], after: Iterable[Statement]) -> list[str]:
    """Return what was denied and is not any more, as phrases."""
    kept = [statement for statement in after if not statement.allow]
    return [
        f"the denial of {action} for {_names(old)} is gone or narrower"
        for old in before
        if not old.allow
        for action in sorted(old.actions)
        or ["everything but " + ", ".join(sorted(old.not_actions))]
        if not any(_denies_as_much(new, old, action) for new in kept)
    ]


def new_powers(
    before: Iterable[Statement], after: Iterable[Statement], actions: Iterable[str]
) -> list[str]:
    """Return which principals may do one of ``actions`` that could not before, as phrases."""
    earlier = [statement for statement in before if statement.allow]
    gained = [
        f"{action} for {principal}{'' if resource == '*' else ' on ' + resource}"
        for action in actions
        for new in after
        if new.allows(action)
        for principal in sorted(new.principals)
        or [f"everyone but {', '.join(sorted(new.not_principals))}"]
        for resource in sorted(new.resources or {"*"})
        if not any(
            _grants_as_much(old, new, principal, resource) for old in earlier if old.allows(action)
        )
    ]
    return list(dict.fromkeys(gained))


def lost_powers(before: Iterable[Statement], after: Iterable[Statement], action: str) -> list[str]:
    """Return the principals that were allowed ``action`` and are named for it no more."""
    return [
        principal
        for principal in sorted(_permitted(before, action) - _permitted(after, action))
        if "*" not in _permitted(after, action)
    ]


@dataclass(frozen=True, kw_only=True)
class Wildcard:
    """An allowance of ``statement`` that names everything; ``text`` says it in a phrase."""

    statement: Statement
    element: str
    value: str
    text: str


def wildcards(statements: Iterable[Statement], *, resources: bool) -> list[Wildcard]:
    """Return every allowance of all actions or of any principal without a condition.

    ``resources``: also those on all resources, or on all keys.
    """
    return [
        Wildcard(statement=statement, element=element, value=value, text=text)
        for statement in statements
        if statement.allow
        for element, value, text in (
            *_of_actions_and_principals(statement),
            *(_of_resources(statement) if resources else ()),
        )
    ]


def _of_actions_and_principals(statement: Statement) -> Iterator[tuple[str, str, str]]:
    for action in statement.actions:
        if _WHOLE_SERVICE.fullmatch(action):
            yield "Action", action, f"Action {action}"
    if statement.not_actions:
        listed = ", ".join(sorted(statement.not_actions))
        yield "NotAction", listed, f"NotAction {listed}: all other actions"
    if statement.not_principals:
        listed = ", ".join(sorted(statement.not_principals))
        yield "NotPrincipal", listed, f"NotPrincipal {listed}: everybody else"
    if "*" in statement.principals and not statement.conditions:
        yield "Principal", "*", "Principal * without a condition"


def _of_resources(statement: Statement) -> Iterator[tuple[str, str, str]]:
    with_resources = sorted(statement.actions - WITHOUT_RESOURCES)
    picked = any(key.startswith(_NARROWING) for _, key, _ in statement.conditions)
    if not with_resources or picked:
        return
    keys = any(action.startswith("kms:") for action in with_resources)
    for each in statement.resources:
        if each == "*":
            yield "Resource", each, f"Resource {each} for {', '.join(with_resources)}"
        elif keys and each.endswith(":key/*"):
            yield "Resource", each, f"Resource {each}: every key"
    if statement.not_resources:
        listed = ", ".join(sorted(statement.not_resources))
        yield "NotResource", listed, f"NotResource {listed}: all other resources"


def _permitted(statements: Iterable[Statement], action: str) -> set[str]:
    return {
        principal
        for statement in statements
        if statement.allows(action)
        for principal in statement.principals
    }


def _names(statement: Statement) -> str:
    if statement.not_principals:
        return f"everyone but {', '.join(sorted(statement.not_principals))}"
    return "everyone" if "*" in statement.principals else ", ".join(sorted(statement.principals))


def _all_within(narrow: frozenset[str], wide: frozenset[str]) -> bool:
    return all(any(covers(pattern, each) for pattern in wide) for each in narrow)


def _denies_as_much(new: Statement, old: Statement, action: str) -> bool:
    if old.actions:
        same_actions = (
            any(covers(pattern, action) for pattern in new.actions)
            if new.actions
            else not any(
                covers(pattern, action) or covers(action, pattern) for pattern in new.not_actions
            )
        )
    else:
        same_actions = "*" in new.actions or (
            not new.actions and _all_within(new.not_actions, old.not_actions)
        )
    if new.not_principals:
        same_people = bool(old.not_principals) and new.not_principals <= old.not_principals
    elif "*" in new.principals:
        same_people = True
    else:
        same_people = not old.not_principals and old.principals <= new.principals
    if new.not_resources:
        same_things = bool(old.not_resources) and new.not_resources <= old.not_resources
    else:
        same_things = not new.resources or _all_within(
            old.resources or frozenset({"*"}), new.resources
        )
    return (
        same_actions
        and same_people
        and same_things
        and _holds_as_often(new.conditions, old.conditions)
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
    if new.not_principals:
        people = bool(old.not_principals) and old.not_principals <= new.not_principals
    things = (
        _all_within(frozenset({resource}), old.resources or frozenset({"*"}))
        if not old.not_resources
        else False
    )
    return people and things and old.conditions <= new.conditions
