"""Shorthand for tests of policies: callers, statements, and whether they allow a request."""

from __future__ import annotations

import json
from typing import Any

from seawall.iam import Policies, Principal, Request, ResourcePolicy, permitted

ACCOUNT = "123456789012"


def user(name: str, *, account: str = ACCOUNT) -> Principal:
    return Principal(
        arn=f"arn:aws:iam::{account}:user/{name}", account=account, unique_id=f"AIDA{name.upper()}"
    )


def session(role: str, name: str = "session", *, account: str = ACCOUNT) -> Principal:
    return Principal(
        arn=f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
        role=f"arn:aws:iam::{account}:role/{role}",
        account=account,
        unique_id=f"AROA{role.upper()}",
    )


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def document(*statements: dict[str, Any], version: str | None = "2012-10-17") -> str:
    return json.dumps(
        ({} if version is None else {"Version": version}) | {"Statement": list(statements)}
    )


def may(
    principal: Principal,
    action: str,
    resource: str | None,
    *,
    identity: list[dict[str, Any]] | None = None,
    boundary: list[dict[str, Any]] | None = None,
    passed: list[list[dict[str, Any]]] | None = None,
    on_resource: list[dict[str, Any]] | None = None,
    decisive: bool = False,
    owner: str | None = None,
    context: dict[str, Any] | None = None,
) -> bool:
    """Whether the statements allow it.

    ``passed`` are session policies, ``owner`` is the account of the resource.
    """
    policies = Policies(
        identity=() if identity is None else (document(*identity),),
        boundary=None if boundary is None else document(*boundary),
        session=None if passed is None else tuple(document(*one) for one in passed),
        resource=None
        if on_resource is None
        else ResourcePolicy(documents=(document(*on_resource),), decisive=decisive),
    )
    request = Request(
        principal=principal,
        action=action,
        resource=resource,
        resource_account=owner,
        context={key.lower(): value for key, value in (context or {}).items()},
    )
    return permitted(request, policies)
