"""The policy: one file that declares everything that must hold; all else is derived from it.

This package is pure: the model, its quantities, how one policy extends another, and the rules that
a well-formed policy must satisfy. :mod:`seawall.policy_file` reads the file.
"""

from seawall.policy.drilling import (
    Drill,
    Expectations,
    GameDay,
    PlannedFault,
    RequiredDrill,
    SmallestSize,
)
from seawall.policy.model import (
    Function,
    IndicatorName,
    Policy,
    Rail,
    RailKind,
    Severity,
    Targets,
    TierPromise,
    Trigger,
    Wallet,
)
from seawall.policy.quantities import MICRO
from seawall.policy.sections import TIERS, Tier

__all__ = [
    "MICRO",
    "TIERS",
    "Drill",
    "Expectations",
    "Function",
    "GameDay",
    "IndicatorName",
    "PlannedFault",
    "Policy",
    "Rail",
    "RailKind",
    "RequiredDrill",
    "Severity",
    "SmallestSize",
    "Targets",
    "Tier",
    "TierPromise",
    "Trigger",
    "Wallet",
]
