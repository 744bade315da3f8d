"""Decides a request: compiles the policies that bear on it, and says what they allow together.

Order of the layers:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html.
An explicit deny anywhere wins. The resource's policy may allow by itself: within the boundary and
the session's policies if it names the role, past them if it names the user, the session or
everyone. Otherwise an identity policy, the boundary and the session's policies must each allow. For
KMS keys and trust policies the resource's policy must allow the caller, or leave it to its account.
Across accounts both sides must allow (reference_policies_evaluation-logic-cross-account.html).
There are no organizations here.

Grammar of a document:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html. A whole document
is compiled before any of it is evaluated, so that an element which is not known is an error
whether or not the request at hand would meet it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from seawall.iam import documents, principals
from seawall.iam.conditions import Condition, conditions
from seawall.iam.patterns import Pattern, Wildcards, pattern, plain
from seawall.iam.principals import Named, named, spared
from seawall.iam.request import Decision, Policies, Request, UnevaluatedElementError

_DOCUMENT_ELEMENTS = frozenset({"Version", "Id", "Statement"})
_STATEMENT_ELEMENTS = frozenset(
    {
        "Sid",
        "Effect",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Principal",
        "NotPrincipal",
        "Condition",
    }
)
_WITH_VARIABLES = "2012-10-17"
_VERSIONS = (_WITH_VARIABLES, "2008-10-17")
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
    """1 if any document allows, 0 if none applies, :data:`_DENIED` if any denies."""
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
            closely = _closeness(statement, request, bounded=bounded)
            if closely == Named.NOT or not _concerns(statement, request):
                continue
            if statement.deny:
                return _DENIED
            strongest = max(strongest, closely)
    return strongest


def _closeness(statement: CompiledStatement, request: Request, *, bounded: bool) -> Named:
    if not statement.except_principal:
        return named(statement.principal, request.principal)
    exempt = spared(statement.principal, request.principal, bounded=bounded)
    return Named.NOT if exempt else Named.ITSELF


def _concerns(statement: CompiledStatement, request: Request) -> bool:
    return statement.concerns_resource(request) and statement.holds(request)


@dataclass(frozen=True)
class CompiledStatement:
    """One statement, ready to be compared with requests."""

    deny: bool
    actions: tuple[re.Pattern[str], ...]
    except_actions: bool
    resources: tuple[Pattern, ...] | None
    """None in a trust policy: its resource is the role that carries it."""
    except_resources: bool
    principal: Any
    """The element as written; None in an identity policy."""
    except_principal: bool
    conditions: tuple[Condition, ...]
    condition_keys: frozenset[str]

    def concerns_action(self, action: str) -> bool:
        """Whether ``action``, in lower case, is one that the statement is about."""
        found = any(one.fullmatch(action) for one in self.actions)
        return found != self.except_actions

    def concerns_resource(self, request: Request) -> bool:
        """Whether the statement is about the resource asked for."""
        if self.resources is None:
            return True
        if request.resource is None:
            everything = not self.except_resources and any(
                one.parts == ("*",) for one in self.resources
            )
            return self.deny or everything
        found = any(one.matches(request.resource, request.context) for one in self.resources)
        return found != self.except_resources

    def holds(self, request: Request) -> bool:
        """Whether all conditions hold.

        Raises :class:`UnevaluatedElementError` if one tests a key whose value is not known.
        """
        unknown = self.condition_keys & request.unknown_keys
        if unknown:
            raise UnevaluatedElementError(f"the condition key {', '.join(sorted(unknown))}")
        return all(condition(request.context) for condition in self.conditions)


@lru_cache(maxsize=4096)
def statements_about(
    document: str, action: str, *, of_resource: bool
) -> tuple[CompiledStatement, ...]:
    """Return the statements of ``document`` that concern ``action``, given in lower case.

    Raises :class:`UnevaluatedElementError` if any statement, concerned or not, has an element that
    is not known.
    """
    return tuple(
        one for one in _compile(document, of_resource=of_resource) if one.concerns_action(action)
    )


@lru_cache(maxsize=1024)
def _compile(document: str, *, of_resource: bool) -> tuple[CompiledStatement, ...]:
    tree = documents.tree_of(document)
    _only(tree, _DOCUMENT_ELEMENTS)
    version = tree.get("Version", _VERSIONS[1])
    if version not in _VERSIONS:
        raise UnevaluatedElementError(f"Version {version}")
    return tuple(
        _statement(one, of_resource=of_resource, variables=version == _WITH_VARIABLES)
        for one in documents.read(tree)
    )


def _statement(
    written: documents.Statement, *, of_resource: bool, variables: bool
) -> CompiledStatement:
    tree = written.elements
    _only(tree, _STATEMENT_ELEMENTS)
    action = _one_of(tree, "Action", "NotAction")
    resource = _one_of(tree, "Resource", "NotResource", optional=of_resource)
    principal = _one_of(tree, "Principal", "NotPrincipal") if of_resource else None
    if not of_resource and ("Principal" in tree or "NotPrincipal" in tree):
        raise UnevaluatedElementError("a Principal in an identity policy")
    if principal is not None:
        principals.check(tree[principal])
    if principal == "NotPrincipal" and (written.allow or resource is None):
        raise UnevaluatedElementError(
            "NotPrincipal with Allow" if written.allow else "NotPrincipal in a trust policy"
        )
    return CompiledStatement(
        deny=not written.allow,
        actions=tuple(_action(one) for one in _texts(tree[action])),
        except_actions=action == "NotAction",
        resources=None
        if resource is None
        else tuple(
            pattern(one, wildcards=Wildcards.IN_RESOURCE, variables=variables)
            for one in _texts(tree[resource])
        ),
        except_resources=resource == "NotResource",
        principal=None if principal is None else tree[principal],
        except_principal=principal == "NotPrincipal",
        conditions=conditions(tree.get("Condition", {}), variables=variables),
        condition_keys=frozenset(key for _, key, _ in written.conditions),
    )


def _action(name: str) -> re.Pattern[str]:
    """Names of actions have no case, and no variables (reference_policies_variables.html)."""
    if "${" in name:
        raise UnevaluatedElementError(f"a variable in {name}")
    return plain(name.lower())


def _one_of(tree: Mapping[str, Any], element: str, negation: str, *, optional: bool = False) -> Any:
    present = [name for name in (element, negation) if name in tree]
    if len(present) == 1:
        return present[0]
    if not present and optional:
        return None
    raise UnevaluatedElementError(
        f"a statement that lacks its {element}"
        if not present
        else f"a statement with {element} and {negation}"
    )


def _only(tree: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = set(tree) - known
    if unknown:
        raise UnevaluatedElementError(", ".join(sorted(unknown)))


def _texts(value: Any) -> Sequence[str]:
    found = documents.as_list(value)
    for one in found:
        if not isinstance(one, str):
            raise UnevaluatedElementError(f"the value {one}")
    return found
