"""Whether a price may be traded at: it must be new, and near what the policy calls the price.

The exchange is another firm. A price that it quotes by mistake, or that has stood still since its
feed broke, would let customers empty the venue's inventory in one swap.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from seawall.policy import Policy
    from seawall.policy.rebalancing import PriceBounds

PriceFault = Literal["stale", "far"]
"""``stale``: too old, or from the future; ``far``: too far from the reference, up or down."""


def reference_price(policy: Policy, *, sell: str, buy: str) -> Fraction:
    """Whole units of ``buy`` per whole unit of ``sell``, at the policy's reference prices."""
    return Fraction(policy.assets[sell].reference_price) / Fraction(
        policy.assets[buy].reference_price
    )


def price_fault(
    policy: Policy,
    price: Fraction,
    *,
    sell: str,
    buy: str,
    age_ms: int,
    bounds: PriceBounds | None = None,
) -> PriceFault | None:
    """Why nothing may be made of ``price``, such as a swap, or None if something may.

    Args:
        policy: The policy in force.
        price: Whole units of ``buy`` per whole unit of ``sell``.
        sell: What is sold.
        buy: What is bought.
        age_ms: How long ago the price was made; negative if it is from the future.
        bounds: Those that hold; None: those of swaps.
    """
    bounds = bounds or policy.swaps
    if abs(age_ms) > bounds.price_age_max:
        return "stale"
    reference = reference_price(policy, sell=sell, buy=buy)
    if abs(price - reference) > bounds.deviation_max * reference:
        return "far"
    return None
