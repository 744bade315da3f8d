"""How much may move at once: in a batch, in a window of a cap, as top-up, sweep or from cold."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seawall.policy import Policy
    from seawall.policy.model import ApprovalLane

BATCH_ITEMS_MAX = 200
"""Payments of one transaction, hence of one signature: the bound of the payout contract's array."""


@dataclass(frozen=True, kw_only=True)
class Caps:
    """What a signer signs away of one wallet within any time of ``window_ms``.

    Args:
        window_ms: length of the sliding window, in milliseconds.
        transactions: how many, whatever they do.
        amounts: base units by asset; an asset that is missing is never paid.
    """

    window_ms: int
    transactions: int
    amounts: Mapping[str, int]


def contract_caps(policy: Policy, wallet: str) -> dict[str, int]:
    """What the contract of ``wallet`` pays in one window at most: base units by asset."""
    return _of_targets(policy, wallet, policy.caps.contract.of_target)


def signer_caps(policy: Policy, wallet: str) -> Caps:
    """What a signer signs away of ``wallet`` at most."""
    declared = policy.caps.signer
    return Caps(
        window_ms=declared.window,
        transactions=declared.transactions,
        amounts=_of_targets(policy, wallet, declared.of_target),
    )


def lane_caps(policy: Policy, wallet: str, lane: ApprovalLane) -> dict[str, int]:
    """What approvals of ``lane`` move out of ``wallet`` in one of its windows at most.

    Base units by asset: each asset for itself up to the lane's value, at its reference price.
    """
    return {
        asset: int(
            Fraction(lane.value_max)
            / Fraction(policy.assets[asset].reference_price)
            * 10 ** policy.assets[asset].decimals
        )
        for asset in policy.wallets[wallet].holdings
    }


def _of_targets(policy: Policy, wallet: str, share: Fraction) -> dict[str, int]:
    return {
        asset: int(share * policy.base_units(asset, holding.target))
        for asset, holding in policy.wallets[wallet].holdings.items()
    }


def window_seconds(policy: Policy) -> int:
    """Length of the window of the contracts' caps; the policy declares whole seconds."""
    return policy.caps.contract.window // 1000


def top_up(
    policy: Policy, wallet: str, asset: str, *, available: int, in_flight: int, reserve: int
) -> int | None:
    """Base units of ``asset`` to move from the reserve into the hot ``wallet``.

    None if the wallet holds enough or the reserve holds nothing. Never more than the signer
    signs away of the reserve in one window.

    Args:
        policy: declares the wallet's bounds and the level below which it is refilled.
        wallet: name of the hot wallet.
        asset: name of the asset.
        available: what it holds, without what is already signed away; below zero if more of it is
            promised than it holds.
        in_flight: what is already on its way to it.
        reserve: what the reserve holds, without ``in_flight``.

    Raises:
        KeyError: the policy declares no such wallet or asset.
        ValueError: an amount is negative that cannot be.
    """
    if min(in_flight, reserve) < 0:
        found = f"in flight {in_flight}, reserve {reserve}"
        raise ValueError(f"amounts cannot be negative: {found}")
    holding = policy.wallets[wallet].holdings[asset]
    expected = available + in_flight
    if expected >= policy.treasury.top_up_below * policy.base_units(asset, holding.target):
        return None
    goal = policy.base_units(
        asset, holding.maximum if policy.treasury.top_up_to == "maximum" else holding.target
    )
    cap = signer_caps(policy, policy.reserve_of(wallet)).amounts.get(asset, 0)
    return min(goal - expected, reserve, cap) or None


def excess(policy: Policy, wallet: str, asset: str, *, available: int) -> int:
    """Base units of ``asset`` that the hot ``wallet`` holds above ``treasury.sweep_above``.

    Raises KeyError if the policy declares no such wallet or asset.
    """
    maximum = policy.base_units(asset, policy.wallets[wallet].holdings[asset].maximum)
    return max(0, available - int(policy.treasury.sweep_above * maximum))


def sweep(policy: Policy, wallet: str, asset: str, *, available: int, waiting: int) -> int | None:
    """Base units of ``asset`` to move out of the hot ``wallet`` into its reserve.

    None unless it holds more than ``treasury.sweep_above`` of its maximum. One sweep moves no more
    than ``treasury.sweep_of_cap`` of the signer's cap and than what customers who wait leave of it,
    and none leaves less than the maximum.

    Args:
        policy: declares the wallet's bounds and what a sweep may move.
        wallet: name of the hot wallet.
        asset: name of the asset.
        available: what it holds, without what is already signed away.
        waiting: what customers wait for, and it will pay next.

    Raises KeyError if the policy declares no such wallet or asset.
    """
    maximum = policy.base_units(asset, policy.wallets[wallet].holdings[asset].maximum)
    left = available - waiting
    if not excess(policy, wallet, asset, available=left):
        return None
    cap = signer_caps(policy, wallet).amounts[asset]
    amount = min(left - maximum, int(policy.treasury.sweep_of_cap * cap), cap - waiting)
    return amount if amount > 0 else None


def from_cold(policy: Policy, reserve: str, asset: str, *, held: int, cold: int) -> int | None:
    """Base units of ``asset`` to move from the cold wallet of ``reserve`` into it.

    None unless the reserve holds less than its minimum. It is filled to its target, with no more
    than cold has above its own minimum, and than cold's contract pays in one window.

    Args:
        policy: declares both wallets' bounds.
        reserve: name of the reserve.
        asset: name of the asset.
        held: what the reserve holds, without what is already signed away.
        cold: what the cold wallet holds.

    Raises KeyError if the policy declares no such reserve, cold wallet or asset.
    """
    holding = policy.wallets[reserve].holdings[asset]
    if held >= policy.base_units(asset, holding.minimum):
        return None
    source = policy.cold_of(reserve)
    if source is None:
        raise KeyError(reserve)
    kept = policy.base_units(asset, policy.wallets[source].holdings[asset].minimum)
    lacking = policy.base_units(asset, holding.target) - held
    amount = min(lacking, cold - kept, contract_caps(policy, source)[asset])
    return amount if amount > 0 else None
