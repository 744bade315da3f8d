"""The chart of accounts of a policy: its books, and the payout route of each network.

Signs: what the venue holds (hot, reserve, cold) is positive, what it owes (customer, reserved,
clearing, escrow) is negative. The house's inventory is what the venue owes to the bucket that
trades, so it is negative too, and a swap exchanges two claims. What a bucket holds that neither
pays nor trades is balanced by its account ``own``: what the venue owes to itself. So is what it
keeps at the two providers of a rail (``at_primary``, ``at_standby``). What came from senders whom
the venue does not know is balanced by the bucket's account ``unidentified``, which is negative,
too. What left for another network is positive in ``in_transit`` there, and what came from one
negative.

What customers bid is owed to them by the bucket of the marketplace, in its account ``escrow``, out
of what it owes to itself; the bucket that owed it before owes it to itself in turn (``own``). So
each bucket holds what it owes, and no more is in escrow than that bucket has money of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seawall.policy import MICRO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seawall.policy import Policy, RailKind


@dataclass(frozen=True, kw_only=True)
class Book:
    """The wallets of one bucket on one network, by class: hot, reserve, cold."""

    bucket: str
    network: str
    wallets: Mapping[str, str]

    @property
    def key(self) -> tuple[str, str]:
        """(network, bucket)."""
        return self.network, self.bucket


def books(policy: Policy) -> list[Book]:
    """One book per bucket and network with a wallet, in the order of declaration."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name, wallet in policy.wallets.items():
        found.setdefault((wallet.bucket, wallet.network), {})[wallet.wallet_class] = name
    return [
        Book(bucket=bucket, network=network, wallets=wallets)
        for (bucket, network), wallets in found.items()
    ]


@dataclass(frozen=True, kw_only=True)
class PayoutRoute:
    """How withdrawals of one network are paid.

    ``bucket`` pays from its wallet ``hot``, which is refilled from ``reserve``. ``house`` is the
    bucket whose inventory customers trade with, or None.
    """

    network: str
    bucket: str
    hot: str
    reserve: str
    house: str | None

    @property
    def book_key(self) -> tuple[str, str]:
        """(network, bucket) of the book that pays."""
        return self.network, self.bucket

    @property
    def lanes(self) -> tuple[str, str]:
        """The wallets whose keys sign on this network."""
        return self.hot, self.reserve


@dataclass(frozen=True, kw_only=True)
class ColdRoute:
    """Where the money of a cold wallet goes: to the reserve of its bucket and network, and no more.

    ``assets`` are those that both hold.
    """

    network: str
    bucket: str
    cold: str
    reserve: str
    assets: tuple[str, ...]

    @property
    def book_key(self) -> tuple[str, str]:
        """(network, bucket) of the book of both."""
        return self.network, self.bucket


def cold_routes(policy: Policy) -> list[ColdRoute]:
    """One route per reserve with a cold wallet; none if the policy names no custodian."""
    found = []
    for name, wallet in policy.wallets.items():
        cold = policy.cold_of(name) if wallet.wallet_class == "reserve" else None
        if cold is not None and policy.custody is not None:
            held = policy.wallets[cold].holdings
            assets = tuple(asset for asset in wallet.holdings if asset in held)
            route = ColdRoute(
                network=wallet.network, bucket=wallet.bucket, cold=cold, reserve=name, assets=assets
            )
            found.append(route)
    return found


@dataclass(frozen=True, kw_only=True)
class RailRoute:
    """How withdrawals over a rail are paid: by ``bucket``, in any of ``assets``.

    ``funding`` is what it keeps at each of the two providers, in base units by asset.
    ``value_micro_max`` is the largest payout, in millionths of the unit of account.
    """

    rail: str
    kind: RailKind
    bucket: str
    funding: Mapping[str, int]
    value_micro_max: int


def rail_routes(policy: Policy) -> dict[str, RailRoute]:
    """One route per rail that pays withdrawals; its bucket is that of the first wallet."""
    bucket = next((wallet.bucket for wallet in policy.payout_wallets().values()), None)
    if bucket is None:
        return {}
    return {
        name: RailRoute(
            rail=name,
            kind=rail.kind,
            bucket=bucket,
            funding={asset: policy.base_units(asset, each) for asset, each in rail.funding.items()},
            value_micro_max=int(rail.payout_value_max * MICRO),
        )
        for name, rail in policy.paying_rails().items()
    }


def payout_routes(policy: Policy) -> dict[str, PayoutRoute]:
    """One route per network that has a payout wallet; the first declared wallet pays."""
    found: dict[str, PayoutRoute] = {}
    for hot, wallet in policy.payout_wallets().items():
        if wallet.network in found:
            continue
        found[wallet.network] = PayoutRoute(
            network=wallet.network,
            bucket=wallet.bucket,
            hot=hot,
            reserve=policy.reserve_of(hot),
            house=policy.house_of(wallet.network),
        )
    return found


@dataclass(frozen=True, kw_only=True)
class EscrowRoute:
    """Where bids in ``assets`` of one network lie: ``escrow`` owes them, ``bucket`` owed them.

    ``wallets`` are those of ``escrow`` on the network. ``bids_max`` is how much the open bids of
    one customer may be together, in base units by asset.
    """

    network: str
    bucket: str
    escrow: str
    assets: tuple[str, ...]
    wallets: tuple[str, ...]
    bids_max: Mapping[str, int]


def escrow_routes(policy: Policy) -> dict[str, EscrowRoute]:
    """One route per network on which customers are paid and the marketplace's bucket has a wallet.

    None without a marketplace.
    """
    if policy.marketplace is None:
        return {}
    found = {}
    for network, route in payout_routes(policy).items():
        wallets = {
            name: wallet
            for name, wallet in policy.wallets.items()
            if (wallet.bucket, wallet.network) == (policy.marketplace.escrow, network)
        }
        held: Counter[str] = Counter()
        for wallet in wallets.values():
            for asset, holding in wallet.holdings.items():
                held[asset] += policy.base_units(asset, holding.target)
        if held:
            found[network] = EscrowRoute(
                network=network,
                bucket=route.bucket,
                escrow=policy.marketplace.escrow,
                assets=tuple(asset for asset in policy.networks[network].assets if asset in held),
                wallets=tuple(wallets),
                bids_max={
                    asset: int(policy.marketplace.share_max * total)
                    for asset, total in held.items()
                },
            )
    return found
