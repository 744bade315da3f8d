"""Feasibility: whether a policy's promises can be kept at all, as sums with their terms.

Pure: a policy in, sums out.

In time (:mod:`~seawall.feasibility.timing`), in money (:mod:`~seawall.feasibility.money`), in
capacity (:mod:`~seawall.feasibility.capacity`) and in logic (:mod:`~seawall.feasibility.logic`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seawall.feasibility.capacity import in_capacity
from seawall.feasibility.logic import in_logic
from seawall.feasibility.money import in_money
from seawall.feasibility.sums import Sum, Term
from seawall.feasibility.timing import in_time

if TYPE_CHECKING:
    from seawall.policy.model import Policy

__all__ = ["Sum", "Term", "sums_of"]


def sums_of(policy: Policy) -> list[Sum]:
    """Every sum that ``policy`` must satisfy, also those that hold.

    Every name in ``policy`` must resolve (:func:`seawall.policy.rules.references_of`).
    """
    return [*in_time(policy), *in_capacity(policy), *in_money(policy), *in_logic(policy)]
