"""Guarded stacks: what cannot be made again is protected by the engine itself."""

from __future__ import annotations

from collections.abc import Iterator

from infra.refusals.declared import Declared
from infra.refusals.demands import Demands
from infra.refusals.keys import KEY, REPLICA
from infra.refusals.storage import BUCKET

LASTING = frozenset({KEY, REPLICA, BUCKET, "aws:backup/vault:Vault", "aws:cloudtrail/trail:Trail"})
"""Keys are addresses; evidence, copies and the trail are what remains when all else is gone."""


def judge_protection(resource: Declared, demands: Demands) -> Iterator[str]:
    """A lasting resource of a guarded stack must be protected."""
    if demands.guarded and resource.kind in LASTING and not resource.protect:
        yield "not protected, and this stack is guarded; write protect=True"
