"""The chart of accounts that follows from a policy: who pays on a network, what refills it, and whose inventory trades.

Signs: what the venue holds (hot, reserve, cold) is positive, what it owes (customer, reserved, clearing) is negative; the house's
inventory is what the venue owes to its own treasury, so it is negative too and a swap is the exchange of two claims.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seawall.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Rail:
    """What one network pays with: the bucket, its hot and reserve wallets, and the bucket whose inventory customers trade with."""

    network: str
    bucket: str
    hot: str
    reserve: str
    house: str | None

    @property
    def lanes(self) -> tuple[str, str]:
        """Wallets whose keys sign on this network."""
        return self.hot, self.reserve


def rails(policy: Policy) -> dict[str, Rail]:
    """One rail per network that has a payout wallet; the first declared wallet pays."""
    found: dict[str, Rail] = {}
    for hot, wallet in policy.payout_wallets().items():
        if wallet.network in found:
            continue
        house = next(
            (
                other.bucket
                for other in policy.wallets.values()
                if other.network == wallet.network
                and other.wallet_class == "hot"
                and not policy.buckets[other.bucket].pays
            ),
            None,
        )
        found[wallet.network] = Rail(
            network=wallet.network, bucket=wallet.bucket, hot=hot, reserve=policy.reserve_of(hot), house=house
        )
    return found
