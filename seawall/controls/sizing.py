"""How much may move at once: in a batch, in a window of the payout contract, and as a top-up."""

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

That is what it held, and one refill that arrived meanwhile.
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
    """Base units of ``asset`` to move from the reserve into the hot ``wallet``.

    None if the wallet holds enough or the reserve holds nothing.

    Args:
        policy: declares the wallet's bounds and the level below which it is refilled.
        wallet: name of the hot wallet.
        asset: name of the asset.
        available: what it holds, without what is already signed away.
        in_flight: what is already on its way to it.
        reserve: what the reserve holds, without ``in_flight``.

    Raises:
        KeyError: the policy declares no such wallet or asset.
        ValueError: an amount is negative.
    """
    if min(available, in_flight, reserve) < 0:
        found = f"available {available}, in flight {in_flight}, reserve {reserve}"
        raise ValueError(f"amounts cannot be negative: {found}")
    holding = policy.wallets[wallet].holdings[asset]
    expected = available + in_flight
    if expected >= policy.treasury.top_up_below * policy.base_units(asset, holding.target):
        return None
    goal = policy.base_units(
        asset, holding.maximum if policy.treasury.top_up_to == "maximum" else holding.target
    )
    return min(goal - expected, reserve) or None
