"""How much may move at once.

In a batch, within a window of the payout contract, and as a top-up of a hot wallet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from seawall.policy import Policy
    from seawall.policy.model import Holding

BATCH_ITEMS_MAX = 200
"""Payments of one transaction, hence of one signature: the bound of the payout contract's array."""
CAP_OF_MAXIMUM = 2
"""A wallet may pay twice its maximum within one refill lead time.

What it held, and one refill that arrived meanwhile.
"""


def window_cap(holding: Holding) -> Decimal:
    """Whole units that a wallet's contract pays in one window at most."""
    return CAP_OF_MAXIMUM * holding.maximum


def window_seconds(policy: Policy) -> int:
    """Length of a cap's window: the refill lead time, at least one second."""
    return max(1, -(-policy.treasury.refill_lead_time // 1000))


def top_up(
    policy: Policy, wallet: str, asset: str, *, available: int, in_flight: int, reserve: int
) -> int | None:
    """What to move, in base units, from the reserve into hot ``wallet``, or None if it has enough
    or the reserve has nothing.

    ``available`` counts what is already signed away as gone, ``in_flight`` what is already on its
    way here; ``reserve`` is what the reserve holds beyond that. Raises KeyError for a wallet or
    asset that the policy does not know, ValueError for negatives.
    """
    if min(available, in_flight, reserve) < 0:
        message = f"amounts cannot be negative: available {available}, in flight {in_flight}, reserve {reserve}"
        raise ValueError(message)
    holding = policy.wallets[wallet].holdings[asset]
    expected = available + in_flight
    if expected >= policy.treasury.top_up_below * policy.base_units(asset, holding.target):
        return None
    goal = policy.base_units(
        asset, holding.maximum if policy.treasury.top_up_to == "maximum" else holding.target
    )
    return min(goal - expected, reserve) or None
