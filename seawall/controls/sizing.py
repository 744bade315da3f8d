"""How large a top-up of a hot wallet has to be. Base units of one asset throughout."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seawall.policy import Policy


def top_up(policy: Policy, wallet: str, asset: str, *, available: int, in_flight: int, reserve: int) -> int | None:
    """What to move from the reserve into hot ``wallet``, or None if it has enough or the reserve has nothing.

    ``available`` counts what is already signed away as gone, ``in_flight`` what is already on its way here; ``reserve`` is what
    the reserve holds beyond that. Raises KeyError for a wallet or asset that the policy does not know, ValueError for negatives.
    """
    if min(available, in_flight, reserve) < 0:
        message = f"amounts cannot be negative: available {available}, in flight {in_flight}, reserve {reserve}"
        raise ValueError(message)
    holding = policy.wallets[wallet].holdings[asset]
    expected = available + in_flight
    if expected >= policy.treasury.top_up_below * policy.base_units(asset, holding.target):
        return None
    goal = policy.base_units(asset, holding.maximum if policy.treasury.top_up_to == "maximum" else holding.target)
    return min(goal - expected, reserve) or None
