"""Rules for the marketplace: escrow pays nobody else, and tiers promise of it what can be kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from seawall.errors import Problem
from seawall.policy.sections import TIERS

if TYPE_CHECKING:
    from seawall.policy.marketplace import Marketplace
    from seawall.policy.model import Policy

_OF_MARKETPLACE = (
    "market_browsing",
    "market_bids",
    "market_settlements",
    "market_settlements_trusted",
)


def marketplace(policy: Policy) -> Iterator[Problem]:
    """Every fault of the bucket that holds what is in escrow, and of what tiers say of it."""
    if policy.marketplace is not None:
        yield from _bucket(policy, policy.marketplace)
        yield from _trust(policy, policy.marketplace)
    for tier in TIERS:
        promise = policy.tiers.promise(tier)
        for function in _OF_MARKETPLACE:
            if function in promise.guarantees and policy.marketplace is None:
                yield Problem(
                    path=f"tiers.{tier}.guarantees",
                    found=f"{function}, and no marketplace",
                    remedy="declare `marketplace`, or leave it out",
                )
            if function in promise.defers:
                yield Problem(
                    path=f"tiers.{tier}.defers",
                    found=function,
                    remedy="guarantee it or suspend it: nothing would carry it out later",
                )
        withheld = set(promise.suspends)
        if (
            policy.marketplace is not None
            and "market_settlements" in withheld
            and "market_bids" not in withheld
        ):
            yield Problem(
                path=f"tiers.{tier}.suspends",
                found="market_settlements without market_bids",
                remedy="suspend both: what is bid there could be settled in another tier alone, or"
                " by two who trust each other, again and again",
            )
        if "market_settlements_trusted" in withheld and "market_settlements" not in withheld:
            yield Problem(
                path=f"tiers.{tier}.suspends",
                found="market_settlements_trusted without market_settlements",
                remedy="suspend both: who is not trusted would settle where who is may not",
            )


def _bucket(policy: Policy, declared: Marketplace) -> Iterator[Problem]:
    path, found = "marketplace.escrow", repr(declared.escrow)
    bucket = policy.buckets.get(declared.escrow)
    if bucket is None:
        remedy = f"name one of {', '.join(sorted(policy.buckets))}"
        yield Problem(path=path, found=found, remedy=remedy)
        return
    if bucket.pays or bucket.trades:
        yield Problem(
            path=path,
            found=f"{found}, which {'pays' if bucket.pays else 'trades with'} customers",
            remedy="name a bucket that does neither: what is in escrow is for its bidder or its"
            " seller alone",
        )
    paying = {
        wallet.network
        for wallet in policy.wallets.values()
        if wallet.wallet_class == "hot"
        and wallet.bucket in policy.buckets
        and policy.buckets[wallet.bucket].pays
    }
    if not any(
        holding.target
        for wallet in policy.wallets.values()
        if wallet.bucket == declared.escrow and wallet.network in paying
        for holding in wallet.holdings.values()
    ):
        yield Problem(
            path=path,
            found=f"{found}, without money on a network on which customers are paid",
            remedy="give it a wallet there with a target: no more can be in escrow than it holds",
        )


def _trust(policy: Policy, declared: Marketplace) -> Iterator[Problem]:
    """Trust is within reach of a bid, and lets no more out than protected mode pays anyway."""
    small = policy.limits.small_withdrawal_value_max
    if declared.trusted_value_max > small:
        yield Problem(
            path="marketplace.trusted_value_max",
            found=str(declared.trusted_value_max),
            remedy=f"at most limits.small_withdrawal_value_max, {small}: what is settled to others"
            " in a run can leave as theirs",
        )
    values: defaultdict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for wallet in policy.wallets.values():
        for asset, holding in wallet.holdings.items():
            if wallet.bucket == declared.escrow and asset in policy.assets:
                value = holding.target * policy.assets[asset].reference_price
                values[wallet.network, asset] += Fraction(value)
    largest = declared.share_max * max(values.values(), default=Fraction(0))
    if values and Fraction(declared.trust_value_min) > largest:
        yield Problem(
            path="marketplace.trust_value_min",
            found=str(declared.trust_value_min),
            remedy=f"at most {float(largest):g}, the largest bid that share_max allows: nobody"
            " would ever be trusted",
        )
