"""The policy: one file that declares everything that must hold; all else is derived from it.

This package is pure: the model, its quantities, how one policy extends another, and the rules that
a well-formed policy must satisfy. :mod:`seawall.policy_file` reads the file.
"""

from seawall.policy.model import (
    TIERS,
    Function,
    GameDay,
    IndicatorName,
    Policy,
    Severity,
    Targets,
    Tier,
    TierPromise,
    Trigger,
    Wallet,
)
from seawall.policy.quantities import MICRO

__all__ = [
    "MICRO",
    "TIERS",
    "Function",
    "GameDay",
    "IndicatorName",
    "Policy",
    "Severity",
    "Targets",
    "Tier",
    "TierPromise",
    "Trigger",
    "Wallet",
]
