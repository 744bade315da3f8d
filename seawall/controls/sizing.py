"""How much may move at once: in a batch, in a window of contract or signer, and as a top-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from seawall.policy import Policy

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
    cap = signer_caps(policy, policy.reserve_of(wallet)).amounts.get(asset, 0)
    return min(goal - expected, reserve, cap) or None
