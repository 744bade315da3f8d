"""Rules for a well-formed policy: its names resolve, and its sections agree with each other.

Whether its promises can be kept is checked afterwards, with sums (:mod:`seawall.feasibility`),
which need names that resolve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seawall.policy.rules.caps import caps
from seawall.policy.rules.custody import custody
from seawall.policy.rules.drills import drills, readiness, stop_conditions
from seawall.policy.rules.marketplace import marketplace
from seawall.policy.rules.promises import tiers
from seawall.policy.rules.provision import approvals, provision
from seawall.policy.rules.rebalancing import rebalancing
from seawall.policy.rules.references import references
from seawall.policy.rules.wallets import wallets

if TYPE_CHECKING:
    from seawall.errors import Problem
    from seawall.policy.model import Policy

__all__ = ["references_of", "relations_of"]


def references_of(policy: Policy) -> list[Problem]:
    """Every name in ``policy`` that nothing declares."""
    return list(references(policy))


def relations_of(policy: Policy) -> list[Problem]:
    """Every section of ``policy`` that contradicts itself or another.

    It also works for a policy whose names do not all resolve.
    """
    return [
        *wallets(policy),
        *provision(policy),
        *caps(policy),
        *approvals(policy),
        *custody(policy),
        *marketplace(policy),
        *rebalancing(policy),
        *tiers(policy),
        *drills(policy),
        *stop_conditions(policy),
        *readiness(policy),
    ]
