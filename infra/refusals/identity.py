"""Rules for roles and policies: wildcards are listed with a reason, each role has a boundary.

Standing credentials, grants, and statements that let everyone in are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.refusals.declared import Declared, Demands
from seawall.iam.allowed_wildcards import is_allowed, is_allowed_managed_policy
from seawall.iam.documents import NoDocumentError, Statement, UnreadableError, read

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
            "standing credentials; this stack makes roles, which principals from elsewhere take on"
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
        and not is_allowed_managed_policy(kind=resource.kind, name=resource.name, arn=attached)
    ):
        yield (
            f"a policy that AWS owns and changes ({attached});"
            " write one, or list it in seawall.iam.allowed_wildcards with a reason"
        )
    for name in _DOCUMENTS:
        text = resource.given(name)
        if isinstance(text, (str, Mapping)):
            yield from _document(resource, name, text)


def _document(resource: Declared, name: str, text: str | Mapping[str, Any]) -> Iterator[str]:
    try:
        statements = read(text, assume_allow=True)
    except NoDocumentError:
        if name != "policy" or resource.kind.startswith(
            ("aws:iam/", "aws:kms/", "aws:s3/", "aws:sns/", "aws:sqs/")
        ):
            yield f"{name} is no policy document"
        return
    except UnreadableError as error:
        yield f"{name} is no policy document: {error}"
        return
    for statement in statements:
        if statement.allow:  # a deny can be as wide as it likes
            yield from _statement(resource, name, statement)


def _statement(resource: Declared, name: str, statement: Statement) -> Iterator[str]:
    where = f"{name}, statement {statement.sid or '(without Sid)'}"
    for element in _SWEEPING:
        if element in statement.elements:
            yield (
                f"{where}: allows by {element}, which is everything that is not listed; list what "
                "is allowed"
            )
    for element in ("Action", "Resource"):
        for value in statement.values(element):
            if any(wild in value for wild in _WILD) and not is_allowed(
                kind=resource.kind,
                name=resource.name,
                statement=statement,
                element=element,
                value=value,
            ):
                yield (
                    f"{where}: {element} {value!r}; name what is meant, or list it in "
                    "seawall.iam.allowed_wildcards with a reason"
                )
    for value in sorted(statement.principals):
        if "*" in value:
            yield f"{where}: Principal {value!r} is anybody; name who is meant"
