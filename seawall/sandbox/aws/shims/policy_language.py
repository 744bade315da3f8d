"""What a set of IAM policies says about one request; pure.

Knows Version, Id, Statement with Sid, Effect, Action, NotAction, Resource, NotResource, and Principal in resource policies. Anything
else (conditions, variables, NotPrincipal, federation) raises :class:`UnevaluatedElementError`, so that it is never ignored.
Order of judgement: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from seawall.errors import CallerError

_STATEMENT_ELEMENTS = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal"})
_NEVER_OURS = frozenset({"Service"})
"""Kinds of principal that no caller of the sandbox can be."""


class UnevaluatedElementError(CallerError):
    """A policy uses an element that the sandbox does not evaluate."""


class Says(Enum):
    """What a policy says about a request."""

    NOTHING = "nothing"
    ALLOW = "allow"
    DELEGATE = "delegate"  # a resource policy that leaves it to the identity policies of the account
    DENY = "deny"


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who asks for what. ``principals`` are all ARNs that name the caller (a session: itself and its role).

    ``resource`` is None when it is not known which one is asked for: then only ``*`` allows, and every deny of the action applies.
    """

    principals: frozenset[str]
    account: str
    action: str
    resource: str | None


@dataclass(frozen=True, kw_only=True)
class ResourcePolicy:
    """The policy of the resource asked for; ``decisive`` if identity policies alone cannot allow (KMS keys, trust policies)."""

    document: str
    decisive: bool


def permitted(request: Request, *, identity: Iterable[str], resource: ResourcePolicy | None) -> bool:
    """Whether the policies allow ``request``: an explicit deny wins, and without an allow the answer is no.

    Raises :class:`UnevaluatedElementError` if any of them uses an element unknown here.
    """
    said = {_say(document, request, of_resource=False) for document in identity}
    theirs = _say(resource.document, request, of_resource=True) if resource is not None else Says.NOTHING
    if Says.DENY in said or theirs is Says.DENY:
        return False
    if theirs is Says.ALLOW:
        return True
    if resource is not None and resource.decisive and theirs is not Says.DELEGATE:
        return False
    return Says.ALLOW in said


def _say(document: str, request: Request, *, of_resource: bool) -> Says:
    strongest = Says.NOTHING
    for statement in _statements(document, of_resource=of_resource):
        effect = _say_statement(statement, request, of_resource=of_resource)
        if effect is Says.DENY:
            return effect
        if effect is Says.ALLOW or strongest is Says.NOTHING:
            strongest = effect
    return strongest


def _say_statement(statement: dict[str, Any], request: Request, *, of_resource: bool) -> Says:
    deny = statement["Effect"] == "Deny"
    if "NotAction" in statement:
        concerned = not _matches_any(statement["NotAction"], request.action.lower())
    else:
        concerned = _matches_any(statement["Action"], request.action.lower())
    if not concerned or not _resource_concerned(statement, request, deny=deny):
        return Says.NOTHING
    if not of_resource:
        return Says.DENY if deny else Says.ALLOW
    named = _principal_named(statement["Principal"], request)
    if named is Says.NOTHING:
        return named
    return Says.DENY if deny else named


def _resource_concerned(statement: dict[str, Any], request: Request, *, deny: bool) -> bool:
    if "Resource" not in statement and "NotResource" not in statement:
        return True  # a trust policy: its resource is the role that carries it
    if request.resource is None:
        return deny or "*" in statement.get("Resource", ())
    if "NotResource" in statement:
        return not _matches_any(statement["NotResource"], request.resource)
    return _matches_any(statement["Resource"], request.resource)


def _principal_named(principal: Any, request: Request) -> Says:
    """ALLOW if the caller itself is named, DELEGATE if its account is."""
    if principal == "*":
        return Says.ALLOW
    if not isinstance(principal, dict):
        message = f"Principal {principal}"
        raise UnevaluatedElementError(message)
    named = Says.NOTHING
    for kind, values in principal.items():
        if kind in _NEVER_OURS:
            continue
        if kind != "AWS":
            message = f"Principal {kind}"
            raise UnevaluatedElementError(message)
        for value in _as_list(values):
            if value == "*" or value in request.principals:
                return Says.ALLOW
            if value == request.account or re.fullmatch(rf"arn:aws[a-z-]*:iam::{request.account}:root", value):
                named = Says.DELEGATE
    return named


@lru_cache(maxsize=1024)
def _statements(document: str, *, of_resource: bool) -> tuple[dict[str, Any], ...]:
    tree = json.loads(document)
    unknown = set(tree) - {"Version", "Id", "Statement"}
    if unknown:
        raise UnevaluatedElementError(", ".join(sorted(unknown)))
    return tuple(_checked(statement, of_resource=of_resource) for statement in _as_list(tree["Statement"]))


def _checked(statement: dict[str, Any], *, of_resource: bool) -> dict[str, Any]:
    unknown = set(statement) - _STATEMENT_ELEMENTS
    if unknown:
        raise UnevaluatedElementError(", ".join(sorted(unknown)))
    if ("Principal" in statement) != of_resource or ("Action" in statement) == ("NotAction" in statement):
        message = "a statement that lacks its action or principal, or has one too many"
        raise UnevaluatedElementError(message)
    if not of_resource and ("Resource" in statement) == ("NotResource" in statement):
        message = "a statement that lacks its resource, or has both kinds"
        raise UnevaluatedElementError(message)
    if statement["Effect"] not in ("Allow", "Deny"):
        message = f"Effect {statement['Effect']}"
        raise UnevaluatedElementError(message)
    checked = dict(statement)
    for element in ("Action", "NotAction", "Resource", "NotResource"):
        if element in statement:
            values = tuple(_as_list(statement[element]))
            if any("${" in value for value in values):
                message = f"a variable in {element}"
                raise UnevaluatedElementError(message)
            checked[element] = tuple(value.lower() for value in values) if element.endswith("Action") else values
    return checked


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches_any(patterns: Iterable[str], text: str) -> bool:
    return any(_compiled(pattern).fullmatch(text) for pattern in patterns)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
