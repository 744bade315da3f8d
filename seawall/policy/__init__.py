"""The policy: one file that declares everything that must hold; all else is derived from it.

In: ``policies/<name>.yaml``. Out: a frozen, validated :class:`Policy`.
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
