"""Wildcards that are allowed in policies, each with its reason; everything else is refused by ``identity``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Element = Literal["Action", "Resource", "Principal", "NotAction", "NotResource"]


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Lets ``pattern`` stand in ``element`` of statements whose Sid matches ``sid``, in resources of ``kind`` whose name matches ``name``.

    All of ``name``, ``sid`` and ``pattern`` are regular expressions for the whole text.
    """

    kind: str
    name: str
    sid: str
    element: Element
    pattern: str
    reason: str

    def covers(self, *, kind: str, name: str, sid: str, element: str, value: str) -> bool:
        """Whether the wildcard ``value`` is this exception."""
        texts = ((self.name, name), (self.sid, sid), (self.pattern, value))
        return (self.kind, self.element) == (kind, element) and all(re.fullmatch(want, text) for want, text in texts)


_KEY_KINDS = ("aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey")

EXCEPTIONS: tuple[Listed, ...] = (
    *(
        Listed(
            kind=kind, name=".*", sid=".*", element="Resource", pattern=r"\*",
            reason="in a key's policy * means the key itself (KMS developer guide, Key policies, Resource)",
        )
        for kind in _KEY_KINDS
    ),
    Listed(
        kind="aws:secretsmanager/secret:Secret", name=".*", sid=".*", element="Resource", pattern=r"\*",
        reason="in a secret's policy * means the secret itself (Secrets Manager user guide, Resource-based policies)",
    ),
    Listed(
        kind="aws:iam/policy:Policy", name="boundary-(signer|admin|break-glass|approver)", sid="KeysWhosePolicyAgrees",
        element="Resource", pattern=r"arn:aws:kms:[a-z0-9-]+:\d{12}:key/\*",
        reason="a boundary allows nothing by itself, and the ids of keys are not known before they are made; each key's policy names who may",
    ),
)  # fmt: skip
