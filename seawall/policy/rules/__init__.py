"""What a well-formed policy must also satisfy.

References that resolve, and sections that agree with each other.

Whether its promises can be kept at all is asked afterwards, in sums (``seawall.feasibility``),
which need references that resolve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seawall.policy.rules.approvals import approvals
from seawall.policy.rules.drills import drills
from seawall.policy.rules.provision import provision
from seawall.policy.rules.references import references
from seawall.policy.rules.tiers import tiers
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

    Also of one whose references do not resolve.
    """
    return [
        *wallets(policy),
        *provision(policy),
        *approvals(policy),
        *tiers(policy),
        *drills(policy),
    ]
