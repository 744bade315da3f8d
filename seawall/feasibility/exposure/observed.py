"""What there is before the cycle: as the policy declares it, or as it was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from seawall.feasibility.exposure.figures import ZERO, Figure, declared
from seawall.feasibility.exposure.providers import SIDES, largest_payout

if TYPE_CHECKING:
    from seawall.policy.model import Policy

Level = Literal["target", "minimum"]
"""At which of its declared bounds everything is, where nothing is read."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What there is before the cycle.

    Attributes:
        holdings: Whole units in a wallet, by wallet and asset.
        funds: Whole units that a provider would pay, by rail, side and asset.
        waiting: Whole units that customers have asked for and that were not paid, by network and
            asset.
        at_s: The present in Unix seconds; None where a cycle may begin at any time of a day.
    """

    holdings: Mapping[tuple[str, str], Figure]
    funds: Mapping[tuple[str, str, str], Figure]
    waiting: Mapping[tuple[str, str], Figure]
    at_s: float | None = None


def as_declared(policy: Policy, level: Level) -> Observed:
    """What there is if everything is at its declared ``level``, and nobody waits."""
    return Observed(
        holdings={
            (name, asset): declared(
                getattr(holding, level), f"wallets.{name}.holdings.{asset}.{level}"
            )
            for name, wallet in policy.wallets.items()
            for asset, holding in wallet.holdings.items()
        },
        funds={
            (name, side, asset): (
                declared(amount, f"rails.{name}.funding.{asset}")
                if level == "target"
                else largest_payout(policy, name, asset)
            )
            for name, rail in policy.rails.items()
            for side in SIDES
            for asset, amount in rail.funding.items()
        },
        waiting={
            (network, asset): Figure(
                amount=ZERO, basis="declared", source="nobody waits when the cycle begins"
            )
            for network, assets in policy.stress.outflow.items()
            for asset in assets
        },
    )
