"""Protected stacks: what cannot be made again is protected by the engine itself."""

from __future__ import annotations

from collections.abc import Iterator

from infra.refusals.declared import Declared
from infra.refusals.demands import Demands
from infra.refusals.keys import KEY, REPLICA
from infra.refusals.storage import BUCKET

LASTING = frozenset({KEY, REPLICA, BUCKET, "aws:backup/vault:Vault", "aws:cloudtrail/trail:Trail"})
"""Keys are addresses; evidence, copies and the trail are what remains when all else is gone."""


SEAL = ("aws:ssm/parameter:Parameter", "deployed")
"""What depends on everything, so that a destroy meets it first."""


def judge_protection(resource: Declared, demands: Demands) -> Iterator[str]:
    """A lasting resource of a protected stack must be protected."""
    lasts = resource.kind in LASTING or (resource.kind, resource.name) == SEAL
    if demands.protected and lasts and not resource.protect:
        yield "not protected, and nothing of a protected stack may be removed; write protect=True"
