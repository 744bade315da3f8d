"""All rules over all resources: what is refused, every line at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from infra.refusals.completeness import incomplete
from infra.refusals.declared import Declared, Demands
from infra.refusals.identity import judge_identity
from infra.refusals.keys import KEY, REPLICA, judge_key
from infra.refusals.storage import BUCKET, buckets_without_companions, judge_storage

LASTING = frozenset({KEY, REPLICA, BUCKET, "aws:backup/vault:Vault", "aws:cloudtrail/trail:Trail"})
"""Types that a protected stack always protects: keys are addresses; evidence, copies and the trail
are what remains when all else is gone.
"""


def judge_protection(resource: Declared, demands: Demands) -> Iterator[str]:
    """In a protected stack, lasting resources and those listed as protected have protect=True."""
    lasts = (
        resource.kind in LASTING or (resource.kind, resource.name) in demands.listed_as_protected
    )
    if demands.protected and lasts and not resource.protect:
        yield "not protected, which a protected stack does not allow; write protect=True"


_OF_ONE: tuple[Callable[[Declared, Demands], Iterator[str]], ...] = (
    judge_key,
    judge_identity,
    judge_storage,
    judge_protection,
)


def judge(resource: Declared, demands: Demands) -> list[str]:
    """What is wrong with one resource, as far as its inputs are known."""
    return [f"{resource}: {refusal}" for rule in _OF_ONE for refusal in rule(resource, demands)]


def judge_all(declared: Sequence[Declared], demands: Demands) -> list[str]:
    """What is wrong with a whole program: resource by resource, then what it lacks."""
    return [
        *(line for resource in declared for line in judge(resource, demands)),
        *buckets_without_companions(declared),
        *incomplete(declared, demands),
    ]
