"""Reads a policy document (IAM, KMS, S3, SNS, SQS, ...): JSON text in, statements as written out.

Every reader of policy documents in this repository starts here: ``evaluation`` decides requests,
``comparison`` says what a new version allows that the old one did not, and the refusals of the
stack look for wildcards. Elements: IAM user guide, "IAM JSON policy elements reference".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seawall.iam.patterns import covers
from seawall.iam.request import UnevaluatedElementError

HOLDER = "its holder"
"""The principal of an identity policy, which names none: it is attached to one."""


class UnreadableError(UnevaluatedElementError):
    """The document cannot be read; the message says what is wrong with it."""


class NoDocumentError(UnreadableError):
    """The text is no policy document at all: not JSON, no object, or without a Statement."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement as it is written, each value as text.

    An absent element is empty; ``elements`` shows which are present without
    values. Names of actions are in lower case, since AWS ignores their case.
    """

    elements: Mapping[str, Any] = field(compare=False)
    sid: str
    allow: bool
    principals: frozenset[str]
    """Without their kind (AWS, Service); :data:`HOLDER` alone in an identity policy."""
    not_principals: frozenset[str]
    actions: frozenset[str]
    not_actions: frozenset[str]
    resources: frozenset[str]
    not_resources: frozenset[str]
    conditions: frozenset[tuple[str, str, frozenset[str]]]
    """Operator, condition key in lower case, values."""

    def values(self, element: str) -> list[str]:
        """The values of ``element`` in the order and case in which they are written."""
        return _texts(self.elements.get(element))

    def allows(self, action: str) -> bool:
        """Whether it allows ``action`` to any principal on any resource."""
        if not self.allow:
            return False
        if self.actions:
            return any(covers(pattern, action.lower()) for pattern in self.actions)
        return not any(covers(pattern, action.lower()) for pattern in self.not_actions)


def read(document: Any, *, assume_allow: bool = False) -> tuple[Statement, ...]:
    """Return the statements of ``document``, given as text or as a mapping.

    ``assume_allow``: a statement whose Effect is neither Allow nor Deny is read as one that allows,
    for a check of everything that might be allowed.

    Raises :class:`NoDocumentError` if it is no policy document, and :class:`UnreadableError` if a
    statement is malformed.
    """
    return tuple(
        statement_of(one, assume_allow=assume_allow)
        for one in as_list(tree_of(document)["Statement"])
    )


def tree_of(document: Any) -> Mapping[str, Any]:
    """Return ``document`` as a mapping that has a Statement. Raises :class:`NoDocumentError`."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            raise NoDocumentError(
                "a document that is not JSON, or whose text is not known yet"
            ) from None
    if not isinstance(document, Mapping):
        raise NoDocumentError("a document that is no object")
    if "Statement" not in document:
        raise NoDocumentError("a document without Statement")
    return document


def statement_of(tree: Any, *, assume_allow: bool = False) -> Statement:
    """Read one statement, as :func:`read` does. Raises :class:`UnreadableError`."""
    if not isinstance(tree, Mapping):
        raise UnreadableError(f"the statement {tree}")
    effect = tree.get("Effect")
    if effect not in ("Allow", "Deny") and not assume_allow:
        raise UnreadableError(f"Effect {effect}")
    names_principals = "Principal" in tree or "NotPrincipal" in tree
    return Statement(
        elements=tree,
        sid=str(tree.get("Sid", "")),
        allow=effect != "Deny",
        principals=_principals(tree.get("Principal")) if names_principals else frozenset({HOLDER}),
        not_principals=_principals(tree.get("NotPrincipal")),
        actions=frozenset(each.lower() for each in _texts(tree.get("Action"))),
        not_actions=frozenset(each.lower() for each in _texts(tree.get("NotAction"))),
        resources=frozenset(_texts(tree.get("Resource"))),
        not_resources=frozenset(_texts(tree.get("NotResource"))),
        conditions=_conditions(tree.get("Condition")),
    )


def as_list(value: Any) -> list[Any]:
    """AWS lets a single value stand for a list of one."""
    return value if isinstance(value, list) else [value]


def _texts(value: Any) -> list[str]:
    return [] if value is None else [str(each) for each in as_list(value)]


def _principals(value: Any) -> frozenset[str]:
    if isinstance(value, Mapping):
        return frozenset(each for given in value.values() for each in _texts(given))
    return frozenset(_texts(value))


def _conditions(value: Any) -> frozenset[tuple[str, str, frozenset[str]]]:
    if value is None:
        return frozenset()
    if not isinstance(value, Mapping) or not all(
        isinstance(tests, Mapping) for tests in value.values()
    ):
        raise UnreadableError(f"Condition {value}")
    return frozenset(
        (operator, key.lower(), frozenset(map(_condition_text, as_list(values))))
        for operator, tests in value.items()
        for key, values in tests.items()
    )


def _condition_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
