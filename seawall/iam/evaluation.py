"""What the policies say together.

Https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html.

In this order: an explicit deny anywhere wins; the resource's policy may allow by itself, within the
boundary and the session's policies if it names the role, past them if it names the user, the
session or everyone; else an identity policy, the boundary and the session's policies must each
allow. For KMS keys and trust policies the resource's policy must allow the caller, or leave it to
its account. Across accounts both sides must allow
(reference_policies_evaluation-logic-cross-account.html). There are no organizations here.
"""

from __future__ import annotations

from collections.abc import Iterable

from seawall.iam.documents import Statement, statements_about
from seawall.iam.principals import Named, named, spared
from seawall.iam.request import Decision, Policies, Request

_ALLOWED = Decision(allowed=True)
_DENIED = -1


def permitted(request: Request, policies: Policies) -> bool:
    """Whether ``policies`` allow ``request``.

    Raises :class:`UnevaluatedElementError` if any of them, concerned or not, uses what is not known
    here.
    """
    return decide(request, policies).allowed


def decide(request: Request, policies: Policies) -> Decision:
    """As :func:`permitted`, with the reason of a refusal."""
    action = request.action.lower()
    identity = _identity(policies.identity, request, action)
    boundary = 1 if policies.boundary is None else _identity((policies.boundary,), request, action)
    session = 1 if policies.session is None else _identity(policies.session, request, action)
    resource = policies.resource
    theirs: int = Named.NOT
    if resource is not None:
        theirs = _resource(
            resource.documents, request, action, bounded=policies.boundary is not None
        )
    for layer, said in (
        ("an identity-based policy", identity),
        ("a resource-based policy", theirs),
        ("a permissions boundary", boundary),
        ("a session policy", session),
    ):
        if said == _DENIED:
            return Decision(allowed=False, reason=f"with an explicit deny in {layer}")
    if request.crosses_accounts:
        if theirs == Named.NOT:
            return _without("resource-based policy", request)
    else:
        within = boundary > 0 and session > 0
        if theirs == Named.ITSELF or (theirs == Named.ROLE and within):
            return _ALLOWED
        if resource is not None and resource.decisive and theirs == Named.NOT:
            return _without("resource-based policy", request)
    if not identity and not (theirs == Named.ROLE and not request.crosses_accounts):
        return _without("identity-based policy", request)
    if not boundary:
        return _without("permissions boundary", request)
    return _ALLOWED if session else _without("session policy", request)


def _without(layer: str, request: Request) -> Decision:
    return Decision(allowed=False, reason=f"because no {layer} allows the {request.action} action")


def _identity(documents: Iterable[str], request: Request, action: str) -> int:
    """1 if any document allows, 0 if none speaks, :data:`_DENIED` if any denies."""
    strongest = 0
    for document in documents:
        for statement in statements_about(document, action, of_resource=False):
            if _concerns(statement, request):
                if statement.deny:
                    return _DENIED
                strongest = 1
    return strongest


def _resource(documents: Iterable[str], request: Request, action: str, *, bounded: bool) -> int:
    """How closely an allow names the caller, or :data:`_DENIED`."""
    strongest: int = Named.NOT
    for document in documents:
        for statement in statements_about(document, action, of_resource=True):
            if not _concerns(statement, request):
                continue
            if statement.except_principal:
                if not spared(statement.principal, request.principal, bounded=bounded):
                    return _DENIED
                continue
            closely = named(statement.principal, request.principal)
            if statement.deny and closely:
                return _DENIED
            strongest = max(strongest, closely)
    return strongest


def _concerns(statement: Statement, request: Request) -> bool:
    return statement.concerns_resource(request) and statement.holds(request)
