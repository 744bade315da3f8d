"""A policy document as it is written, and as it is evaluated.

The grammar: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html.
Everything in a document is read before any of it is evaluated, so that an element which is not
known is an error whether or not the request at hand would meet it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from seawall.iam import principals
from seawall.iam.conditions import Condition, conditions
from seawall.iam.patterns import Pattern, Wildcards, pattern
from seawall.iam.request import Request, UnevaluatedElementError

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


@dataclass(frozen=True)
class Statement:
    """One statement, ready to be asked."""

    deny: bool
    actions: re.Pattern[str]
    except_actions: bool
    resources: tuple[Pattern, ...] | None
    """None in a trust policy: its resource is the role that carries it."""
    except_resources: bool
    principal: Any
    """The element as written; None in an identity policy."""
    except_principal: bool
    conditions: tuple[Condition, ...]

    def concerns_action(self, action: str) -> bool:
        """Whether ``action``, in lower case, is one that the statement is about."""
        return (self.actions.fullmatch(action) is None) == self.except_actions

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
        """Whether all conditions hold."""
        return all(condition(request.context) for condition in self.conditions)


@lru_cache(maxsize=4096)
def statements_about(document: str, action: str, *, of_resource: bool) -> tuple[Statement, ...]:
    """The statements of ``document`` that concern ``action``, given in lower case.

    Raises :class:`UnevaluatedElementError` if any statement, concerned or not, has an element that
    is not known.
    """
    return tuple(
        one for one in _statements(document, of_resource=of_resource) if one.concerns_action(action)
    )


@lru_cache(maxsize=1024)
def _statements(document: str, *, of_resource: bool) -> tuple[Statement, ...]:
    try:
        tree = json.loads(document)
    except ValueError as error:
        message = "a document that is not JSON"
        raise UnevaluatedElementError(message) from error
    if not isinstance(tree, dict):
        message = "a document that is no object"
        raise UnevaluatedElementError(message)
    _only(tree, _DOCUMENT_ELEMENTS)
    version = tree.get("Version", _VERSIONS[1])
    if version not in _VERSIONS:
        message = f"Version {version}"
        raise UnevaluatedElementError(message)
    if "Statement" not in tree:
        message = "a document without Statement"
        raise UnevaluatedElementError(message)
    listed = _list(tree["Statement"])
    return tuple(
        _statement(one, of_resource=of_resource, variables=version == _WITH_VARIABLES)
        for one in listed
    )


def _statement(tree: Any, *, of_resource: bool, variables: bool) -> Statement:
    if not isinstance(tree, dict):
        message = f"the statement {tree}"
        raise UnevaluatedElementError(message)
    _only(tree, _STATEMENT_ELEMENTS)
    effect = tree.get("Effect")
    if effect not in ("Allow", "Deny"):
        message = f"Effect {effect}"
        raise UnevaluatedElementError(message)
    action = _one_of(tree, "Action", "NotAction")
    resource = _one_of(tree, "Resource", "NotResource", optional=of_resource)
    principal = _one_of(tree, "Principal", "NotPrincipal") if of_resource else None
    if not of_resource and ("Principal" in tree or "NotPrincipal" in tree):
        message = "a Principal in an identity policy"
        raise UnevaluatedElementError(message)
    if principal is not None:
        principals.check(tree[principal])
    if principal == "NotPrincipal" and (effect != "Deny" or resource is None):
        message = (
            "NotPrincipal with Allow" if effect != "Deny" else "NotPrincipal in a trust policy"
        )
        raise UnevaluatedElementError(message)
    return Statement(
        deny=effect == "Deny",
        actions=_actions(_texts(tree[action])),
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
    )


def _actions(patterns: Sequence[str]) -> re.Pattern[str]:
    """Names of actions have no case.

    Variables are not allowed in them (reference_policies_variables.html).
    """
    for one in patterns:
        if "${" in one:
            message = f"a variable in {one}"
            raise UnevaluatedElementError(message)
    expressions = (
        re.escape(one.lower()).replace(r"\*", ".*").replace(r"\?", ".") for one in patterns
    )
    return re.compile("|".join(f"(?:{one})" for one in expressions) or "(?!)", re.DOTALL)


def _one_of(tree: dict[str, Any], element: str, negation: str, *, optional: bool = False) -> Any:
    present = [name for name in (element, negation) if name in tree]
    if len(present) == 1:
        return present[0]
    if not present and optional:
        return None
    message = (
        f"a statement that lacks its {element}"
        if not present
        else f"a statement with {element} and {negation}"
    )
    raise UnevaluatedElementError(message)


def _only(tree: dict[str, Any], known: frozenset[str]) -> None:
    unknown = set(tree) - known
    if unknown:
        raise UnevaluatedElementError(", ".join(sorted(unknown)))


def _texts(value: Any) -> list[str]:
    found = _list(value)
    for one in found:
        if not isinstance(one, str):
            message = f"the value {one}"
            raise UnevaluatedElementError(message)
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
