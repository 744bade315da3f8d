"""All rules over all resources: what is refused, every line at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from infra.refusals.complete import missing
from infra.refusals.declared import Declared
from infra.refusals.demands import Demands
from infra.refusals.identity import judge_identity
from infra.refusals.keys import judge_key
from infra.refusals.protection import judge_protection
from infra.refusals.storage import judge_storage, lone_buckets

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
    """What is wrong with a whole program, resource by resource, and what it lacks."""
    return [
        *(line for resource in declared for line in judge(resource, demands)),
        *(f"{bucket}: {refusal}" for bucket, refusal in lone_buckets(declared, demands)),
        *missing(declared, demands),
    ]
