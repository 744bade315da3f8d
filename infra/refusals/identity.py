"""Roles and policies: no wildcard that is not listed with a reason, no role without a boundary,
nobody who is anybody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.refusals.declared import Declared, Demands
from infra.refusals.exceptions import EXCEPTIONS

ROLE = "aws:iam/role:Role"
_DOCUMENTS = ("policy", "assumeRolePolicy", "accessPolicy")
_WILD = ("*", "?")
_SWEEPING = ("NotAction", "NotResource", "NotPrincipal")
_STANDING_CREDENTIALS = frozenset(
    {
        "aws:iam/user:User",
        "aws:iam/accessKey:AccessKey",
        "aws:iam/userLoginProfile:UserLoginProfile",
    }
)


def judge_identity(resource: Declared, _demands: Demands) -> Iterator[str]:
    """Boundaries of roles, and every policy document of any resource."""
    if resource.kind in _STANDING_CREDENTIALS:
        yield (
            "standing credentials; this stack makes roles, and somebody else owns who takes them on"
        )
    if resource.kind == "aws:kms/grant:Grant":
        yield "a grant, which allows what no policy shows; write it into the key's policy"
    if resource.kind == ROLE:
        if resource.given("permissionsBoundary") in (None, ""):
            yield "no permission boundary; give it that of its kind (infra.roles)"
        for block in ("inlinePolicies", "managedPolicyArns"):
            if resource.given(block):
                yield f"{block}, which this check does not read; attach a policy of its own"
    attached = resource.given("policyArn")
    if (
        isinstance(attached, str)
        and ":iam::aws:" in attached
        and not _excepted(resource, "", "ManagedPolicy", attached)
    ):
        yield f"a policy that AWS owns and changes ({attached}); write one, or list it in infra.refusals.exceptions with a reason"
    for name in _DOCUMENTS:
        text = resource.given(name)
        if isinstance(text, (str, Mapping)):
            yield from _document(resource, name, text)


def _document(resource: Declared, name: str, text: str | Mapping[str, Any]) -> Iterator[str]:
    try:
        statements = (json.loads(text) if isinstance(text, str) else text)["Statement"]
    except (ValueError, KeyError, TypeError):
        if name != "policy" or resource.kind.startswith(
            ("aws:iam/", "aws:kms/", "aws:s3/", "aws:sns/", "aws:sqs/")
        ):
            yield f"{name} is no policy document"
        return
    for statement in statements if isinstance(statements, list) else [statements]:
        if statement.get("Effect") != "Deny":  # a deny can be as wide as it likes
            yield from _statement(resource, name, statement)


def _statement(resource: Declared, name: str, statement: Mapping[str, Any]) -> Iterator[str]:
    sid = str(statement.get("Sid", ""))
    where = f"{name}, statement {sid or '(without Sid)'}"
    for element in _SWEEPING:
        if element in statement:
            yield f"{where}: allows by {element}, which is everything that is not listed; list what is allowed"
    for element in ("Action", "Resource"):
        for value in _all(statement.get(element)):
            if any(wild in value for wild in _WILD) and not _excepted(
                resource, sid, element, value
            ):
                yield f"{where}: {element} {value!r}; name what is meant, or list it in infra.refusals.exceptions with a reason"
    for value in _principals(statement.get("Principal")):
        if "*" in value:
            yield f"{where}: Principal {value!r} is anybody; name who is meant"


def _excepted(resource: Declared, sid: str, element: str, value: str) -> bool:
    return any(
        each.covers(kind=resource.kind, name=resource.name, sid=sid, element=element, value=value)
        for each in EXCEPTIONS
    )


def _principals(principal: object) -> Iterator[str]:
    if isinstance(principal, Mapping):
        for values in principal.values():
            yield from _all(values)
    else:
        yield from _all(principal)


def _all(values: object) -> list[str]:
    """One or several, as text.

    That of what was not given or is not known yet has no wildcard in it.
    """
    return [str(value) for value in values] if isinstance(values, list) else [str(values)]
