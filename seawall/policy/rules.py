"""What a well-formed policy must also satisfy: references that resolve, and logic that can hold."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from seawall.errors import Problem
from seawall.policy.model import TIERS, Policy, Wallet


def problems_of(policy: Policy) -> list[Problem]:
    """Every cross-field fault of a well-formed ``policy``."""
    return [
        *_wallets(policy),
        *_addresses(policy),
        *_networks(policy),
        *_triggers(policy),
        *_tiers(policy),
        *_gamedays(policy),
        *_amounts(policy),
    ]


def _unknown(path: str, found: str, known: object) -> Problem:
    names = ", ".join(sorted(known)) if isinstance(known, dict) else str(known)
    return Problem(path=path, found=repr(found), remedy=f"name one that is declared: {names}")


def _networks(policy: Policy) -> Iterator[Problem]:
    for name, network in policy.networks.items():
        for asset in network.assets:
            if asset not in policy.assets:
                yield _unknown(f"networks.{name}", asset, policy.assets)
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
            path="regions.standby", found=repr(policy.regions.standby), remedy="name a region other than the primary"
        )


def _wallets(policy: Policy) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], str] = {}
    for name, wallet in policy.wallets.items():
        path = f"wallets.{name}"
        if wallet.bucket not in policy.buckets:
            yield _unknown(f"{path}.bucket", wallet.bucket, policy.buckets)
        if wallet.network not in policy.networks:
            yield _unknown(f"{path}.network", wallet.network, policy.networks)
            continue
        key = (wallet.bucket, wallet.network, wallet.wallet_class)
        if seen.setdefault(key, name) != name:
            yield Problem(
                path=path, found=f"the bucket, network and class of {seen[key]}", remedy="keep one wallet of each"
            )
        yield from _holdings(policy, name, wallet)
    if all(wallet.bucket in policy.buckets for wallet in policy.wallets.values()):
        for name, wallet in policy.payout_wallets().items():
            if (wallet.bucket, wallet.network, "reserve") not in seen:
                remedy = "declare one of the same bucket and network"
                yield Problem(path=f"wallets.{name}", found="no reserve wallet beside it", remedy=remedy)


def _addresses(policy: Policy) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, wallet in policy.wallets.items():
        path = f"wallets.{name}.address"
        if wallet.wallet_class == "cold" and wallet.address is None:
            remedy = "give the address of the cold wallet; it is signed elsewhere"
            yield Problem(path=path, found="nothing", remedy=remedy)
        if wallet.wallet_class != "cold" and wallet.address is not None:
            yield Problem(path=path, found=wallet.address, remedy="leave it out; the address follows from the key")
        if wallet.address is not None:
            owner = owners.setdefault(wallet.address.lower(), name)
            if owner != name:
                yield Problem(path=path, found=wallet.address, remedy=f"{owner} has it already")


def _holdings(policy: Policy, name: str, wallet: Wallet) -> Iterator[Problem]:
    carried = policy.networks[wallet.network].assets
    for asset, holding in wallet.holdings.items():
        if asset not in carried:
            yield Problem(
                path=f"wallets.{name}.holdings", found=asset, remedy=f"{wallet.network} carries {', '.join(carried)}"
            )
        if not holding.minimum <= holding.target <= holding.maximum:
            yield Problem(
                path=f"wallets.{name}.holdings.{asset}",
                found=f"minimum {holding.minimum}, target {holding.target}, maximum {holding.maximum}",
                remedy="write minimum <= target <= maximum",
            )


def _amounts(policy: Policy) -> Iterator[Problem]:
    too_fine = False
    for name, wallet in policy.wallets.items():
        for asset, holding in wallet.holdings.items():
            for bound in ("minimum", "target", "maximum"):
                try:
                    if asset in policy.assets:
                        policy.base_units(asset, getattr(holding, bound))
                except ValueError as error:
                    too_fine = True
                    yield Problem(
                        path=f"wallets.{name}.holdings.{asset}.{bound}",
                        found=str(getattr(holding, bound)),
                        remedy=str(error),
                    )
    if policy.limits.small_withdrawal_value_max > policy.limits.withdrawal_value_max:
        yield Problem(
            path="limits.small_withdrawal_value_max",
            found=str(policy.limits.small_withdrawal_value_max),
            remedy="keep it at or below withdrawal_value_max",
        )
    if (
        not too_fine
        and any(bucket.pays for bucket in policy.buckets.values())
        and _resolves(policy)
        and policy.hot_target_value_micro() == 0
    ):
        yield Problem(
            path="wallets",
            found="customer hot targets that sum to zero",
            remedy="give the hot wallets a target to measure drawdown against",
        )


def _resolves(policy: Policy) -> bool:
    return all(
        wallet.bucket in policy.buckets and all(asset in policy.assets for asset in wallet.holdings)
        for wallet in policy.wallets.values()
    )


def _triggers(policy: Policy) -> Iterator[Problem]:
    names: set[str] = set()
    for index, trigger in enumerate(policy.triggers):
        path = f"triggers.{index}"
        if trigger.name in names:
            yield Problem(path=f"{path}.name", found=repr(trigger.name), remedy="give every trigger its own name")
        names.add(trigger.name)
        settings = policy.indicators.get(trigger.indicator)
        if settings is None:
            yield _unknown(f"{path}.indicator", trigger.indicator, dict(policy.indicators))
        elif trigger.indicator in ("drawdown_velocity", "signing_failures") and settings.window is None:
            yield Problem(
                path=f"indicators.{trigger.indicator}.window", found="nothing", remedy="give it a window, such as 15s"
            )
        if trigger.exit_below > trigger.enter_at:
            yield Problem(
                path=f"{path}.exit_below",
                found=f"{trigger.exit_below} above enter_at {trigger.enter_at}",
                remedy="leave a tier at or below the level that entered it, else it flaps",
            )
        if trigger.exit_below == 0:
            yield Problem(
                path=f"{path}.exit_below",
                found="0",
                remedy="write a level that can be reached from above, else the tier can never be left",
            )
        for role in trigger.pages:
            if role not in policy.roles:
                yield _unknown(f"{path}.pages", role, policy.roles)
    for tier in TIERS[1:]:
        if not any(trigger.tier == tier for trigger in policy.triggers):
            yield Problem(
                path="triggers",
                found=f"none that enters {tier}",
                remedy="declare one; a tier that nothing enters protects nobody",
            )


def _tiers(policy: Policy) -> Iterator[Problem]:
    for tier in TIERS:
        promise = policy.tiers.promise(tier)
        for function in promise.guarantees:
            if function in promise.suspends or function in promise.defers:
                yield Problem(
                    path=f"tiers.{tier}", found=f"{function} guaranteed and withheld", remedy="keep it on one side"
                )
    for calmer, worse in pairwise(TIERS):
        lost = set(policy.tiers.promise(worse).guarantees) - set(policy.tiers.promise(calmer).guarantees)
        if lost:
            yield Problem(
                path=f"tiers.{worse}.guarantees",
                found=", ".join(sorted(lost)),
                remedy=f"a worse tier may not guarantee more than {calmer}",
            )


def _gamedays(policy: Policy) -> Iterator[Problem]:
    for index, day in enumerate(policy.gamedays):
        if day.dark_after + day.dark > day.flood:
            yield Problem(
                path=f"gamedays.{index}",
                found=f"dark until {day.dark_after + day.dark} ms of a flood of {day.flood} ms",
                remedy="end the fault before the flood ends, so that failover is seen under load",
            )
    if not policy.gamedays:
        yield Problem(path="gamedays", found="none", remedy="declare at least one; what is not drilled is not proven")
    for name, bucket in policy.buckets.items():
        if bucket.owner not in policy.roles:
            yield _unknown(f"buckets.{name}.owner", bucket.owner, policy.roles)
