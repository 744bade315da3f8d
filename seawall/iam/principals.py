"""Which callers the Principal element of a resource's policy names.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html and
..._notprincipal.html. What an Allow is worth depends on it: an account delegates to its own
policies; a role's grant stays within the role's boundary and session policies; a grant to a user,
to a session or to everyone does not
(reference_policies_evaluation-logic_policy-eval-denyallow.html).
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any

from seawall.iam.request import Principal, ServicePrincipal, UnevaluatedElementError

_SERVICE = "Service"
_ACCOUNT = re.compile(r"(?:arn:aws[a-z-]*:iam::)?(\d{12})(?::root)?")
_IDENTITY = re.compile(
    r"arn:aws[a-z-]*:(?:iam::\d{12}:(?:user|role)|sts::\d{12}:(?:assumed-role|federated-user))/[^*?]+"
)
_UNIQUE_ID = re.compile(r"A(?:IDA|ROA)[A-Z0-9]+")


class Named(IntEnum):
    """How closely a policy names the caller, in ascending order."""

    NOT = 0
    ACCOUNT = 1
    ROLE = 2
    ITSELF = 3


def named(element: Any, principal: Principal | ServicePrincipal) -> Named:
    """Return how closely ``element`` names ``principal``.

    Raises :class:`UnevaluatedElementError` for a kind of principal that is not known.
    """
    if element == "*":
        return Named.ITSELF
    if isinstance(principal, ServicePrincipal):
        found = "*" in _values(element) or principal.name in _services(element)
        return Named.ITSELF if found else Named.NOT
    return max((_named(value, principal) for value in _values(element)), default=Named.NOT)


def spared(element: Any, principal: Principal | ServicePrincipal, *, bounded: bool) -> bool:
    """Whether a Deny with NotPrincipal ``element`` does not apply to ``principal``.

    It must list the caller's account, its role and itself; one with a permissions boundary is
    denied whatever is listed (access_policies_boundaries.html, "Important").
    """
    if isinstance(principal, ServicePrincipal):
        return principal.name in _services(element)
    values = _values(element)
    accounts = {found.group(1) for value in values if (found := _ACCOUNT.fullmatch(value))}
    return (
        not bounded
        and principal.account in accounts
        and all(name in values for name in principal.names)
    )


def check(element: Any) -> None:
    """Check that every principal of ``element`` is of a known kind.

    Raises :class:`UnevaluatedElementError`.
    """
    if element != "*":
        for value in _values(element):
            if value != "*" and not any(
                form.fullmatch(value) for form in (_ACCOUNT, _IDENTITY, _UNIQUE_ID)
            ):
                raise UnevaluatedElementError(f"Principal {value}")


def _named(value: str, principal: Principal) -> Named:
    if value in ("*", principal.arn, principal.unique_id):
        # the unique id of a session's caller is its role's, which is what AWS keeps of a role's ARN
        return (
            Named.ROLE
            if principal.role is not None and value == principal.unique_id
            else Named.ITSELF
        )
    if value == principal.role:
        return Named.ROLE
    account = _ACCOUNT.fullmatch(value)
    return (
        Named.ACCOUNT
        if account is not None and account.group(1) == principal.account
        else Named.NOT
    )


def _services(element: Any) -> list[str]:
    given = element.get(_SERVICE, []) if isinstance(element, dict) else []
    return given if isinstance(given, list) else [given]


def _values(element: Any) -> list[str]:
    if not isinstance(element, dict):
        raise UnevaluatedElementError(f"Principal {element}")
    values: list[str] = []
    for kind, given in element.items():
        if kind == _SERVICE:
            continue
        if kind != "AWS":
            raise UnevaluatedElementError(f"Principal {kind}")
        values += given if isinstance(given, list) else [given]
    return values
