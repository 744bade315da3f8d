"""Rules for networks, buckets and their wallets.

One wallet per bucket, network and class, each with its own address and ordered bounds; customers
are paid from one bucket, no less than a small amount, and trade with another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from seawall.errors import Problem

if TYPE_CHECKING:
    from seawall.policy.model import Policy, Wallet


def wallets(policy: Policy) -> Iterator[Problem]:
    """Every fault of wallets, of their networks, and of what they may hold and pay."""
    yield from _networks(policy)
    yield from _kinds(policy)
    yield from _addresses(policy)
    for name, wallet in policy.wallets.items():
        yield from _holdings(policy, name, wallet)
    yield from _smallest(policy)
    yield from _amounts(policy)
    yield from _houses(policy)


def _networks(policy: Policy) -> Iterator[Problem]:
    chain_ids = [network.chain_id for network in policy.networks.values()]
    for name, network in policy.networks.items():
        if chain_ids.count(network.chain_id) > 1:
            yield Problem(
                path=f"networks.{name}.chain_id",
                found=str(network.chain_id),
                remedy="give every network its own chain id",
            )
    if policy.regions.primary == policy.regions.standby:
        yield Problem(
            path="regions.standby",
            found=repr(policy.regions.standby),
            remedy="name a region other than the primary",
        )


def _kinds(policy: Policy) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], str] = {}
    for name, wallet in policy.wallets.items():
        key = (wallet.bucket, wallet.network, wallet.wallet_class)
        if seen.setdefault(key, name) != name:
            yield Problem(
                path=f"wallets.{name}",
                found=f"the bucket, network and class of {seen[key]}",
                remedy="keep one wallet of each",
            )
    for name, wallet in policy.wallets.items():
        pays = wallet.bucket in policy.buckets and policy.buckets[wallet.bucket].pays
        if (
            pays
            and wallet.wallet_class == "hot"
            and (wallet.bucket, wallet.network, "reserve") not in seen
        ):
            remedy = "declare one of the same bucket and network"
            yield Problem(
                path=f"wallets.{name}", found="no reserve wallet beside it", remedy=remedy
            )


def _addresses(policy: Policy) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, wallet in policy.wallets.items():
        path = f"wallets.{name}.address"
        if wallet.wallet_class == "cold" and wallet.address is None:
            remedy = "give the address of the cold wallet; it is signed elsewhere"
            yield Problem(path=path, found="nothing", remedy=remedy)
        if wallet.wallet_class != "cold" and wallet.address is not None:
            yield Problem(
                path=path,
                found=wallet.address,
                remedy="leave it out; the address follows from the key",
            )
        if wallet.address is not None:
            owner = owners.setdefault(wallet.address.lower(), name)
            if owner != name:
                other = policy.wallets[owner].bucket
                whose = f"{owner} has it already"
                if other != wallet.bucket:
                    whose += (
                        f", in another bucket: money of {other} and {wallet.bucket} could not be "
                        "told apart"
                    )
                yield Problem(
                    path=path,
                    found=wallet.address,
                    remedy=f"give it an address of its own; {whose}",
                )


def _holdings(policy: Policy, name: str, wallet: Wallet) -> Iterator[Problem]:
    for asset, holding in wallet.holdings.items():
        path = f"wallets.{name}.holdings.{asset}"
        if not holding.minimum <= holding.target <= holding.maximum:
            yield Problem(
                path=path,
                found=(
                    f"minimum {holding.minimum}, target {holding.target}, maximum {holding.maximum}"
                ),
                remedy="write minimum <= target <= maximum",
            )
        for bound in ("minimum", "target", "maximum"):
            try:
                if asset in policy.assets:
                    policy.base_units(asset, getattr(holding, bound))
            except ValueError as error:
                yield Problem(
                    path=f"{path}.{bound}", found=str(getattr(holding, bound)), remedy=str(error)
                )


def _smallest(policy: Policy) -> Iterator[Problem]:
    for name, asset in policy.assets.items():
        path, found = f"assets.{name}.withdrawal_min", str(asset.withdrawal_min)
        try:
            least = policy.withdrawal_min(name)
        except ValueError as error:
            yield Problem(path=path, found=found, remedy=str(error))
            continue
        if least == 0:
            yield Problem(
                path=path,
                found=found,
                remedy="write an amount above zero: a payout of nothing costs as much as any other",
            )
        if policy.value_micro(name, least) > policy.small_value_micro_max():
            yield Problem(
                path=path,
                found=f"{found}, worth more than a small withdrawal",
                remedy="keep its value at or below limits.small_withdrawal_value_max: protected "
                "mode would pay none of it",
            )


def _amounts(policy: Policy) -> Iterator[Problem]:
    if policy.limits.small_withdrawal_value_max > policy.limits.withdrawal_value_max:
        yield Problem(
            path="limits.small_withdrawal_value_max",
            found=str(policy.limits.small_withdrawal_value_max),
            remedy="keep it at or below withdrawal_value_max",
        )
    velocity = policy.indicators.get("drawdown_velocity")
    least = 0 if velocity is None or velocity.window is None else velocity.window
    if policy.limits.window < least:
        yield Problem(
            path="limits.window",
            found=f"{policy.limits.window} ms, below {least} ms",
            remedy="write no less than the window of drawdown_velocity, else a customer may ask"
            " for everything twice within that",
        )
    paying = [
        holding.target
        for wallet in policy.wallets.values()
        if wallet.wallet_class == "hot"
        and wallet.bucket in policy.buckets
        and policy.buckets[wallet.bucket].pays
        for holding in wallet.holdings.values()
    ]
    if any(bucket.pays for bucket in policy.buckets.values()) and not any(paying):
        yield Problem(
            path="wallets",
            found="customer hot targets that sum to zero",
            remedy="give the hot wallets a target to measure drawdown against",
        )


def _houses(policy: Policy) -> Iterator[Problem]:
    """Customers trade with one bucket, never with their own money.

    Where swaps are guaranteed there must be such a bucket.
    """
    for name, bucket in policy.buckets.items():
        if bucket.trades and bucket.pays:
            remedy = "let another bucket trade: customers cannot buy what they are owed already"
            yield Problem(
                path=f"buckets.{name}.trades",
                found=f"a bucket that pays {bucket.pays[0]}",
                remedy=remedy,
            )
    guaranteed = any(
        "swaps" in policy.tiers.promise(tier).guarantees
        for tier in ("normal", "stressed", "protected")
    )
    for network, declared in policy.networks.items():
        hot = [
            policy.buckets[wallet.bucket]
            for wallet in policy.wallets.values()
            if (wallet.network, wallet.wallet_class) == (network, "hot")
            and wallet.bucket in policy.buckets
        ]
        houses = [bucket for bucket in hot if bucket.trades and not bucket.pays]
        if len(houses) > 1:
            found = f"{len(houses)} buckets that trade on {network}"
            yield Problem(
                path="buckets",
                found=found,
                remedy="let one of them trade: a swap names one counterparty",
            )
        if guaranteed and not houses and declared.tokens and any(bucket.pays for bucket in hot):
            remedy = (
                f"say `trades: [customers]` for a bucket with a hot wallet on {network}, or "
                "guarantee no swaps"
            )
            yield Problem(
                path="buckets",
                found=f"swaps guaranteed and no bucket that trades on {network}",
                remedy=remedy,
            )
