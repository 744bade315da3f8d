"""Rules for names: every name that a section uses is declared by another section."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from seawall.errors import Problem

if TYPE_CHECKING:
    from seawall.policy.model import Policy


def references(policy: Policy) -> Iterator[Problem]:
    """Names of assets, buckets, networks, roles and indicators that nothing declares."""
    yield from _assets(policy)
    yield from _buckets(policy)
    yield from _networks(policy)
    yield from _roles(policy)
    yield from _rebalancing(policy)
    for index, trigger in enumerate(policy.triggers):
        if trigger.indicator not in policy.indicators:
            yield _unknown(f"triggers.{index}.indicator", trigger.indicator, policy.indicators)


def _assets(policy: Policy) -> Iterator[Problem]:
    for name, network in policy.networks.items():
        for asset in network.assets:
            if asset not in policy.assets:
                yield _unknown(f"networks.{name}", asset, policy.assets)
    held: list[tuple[str, str, Iterable[str]]] = [
        (f"wallets.{name}.holdings", wallet.network, wallet.holdings)
        for name, wallet in policy.wallets.items()
    ]
    asked: list[tuple[str, str, Iterable[str]]] = [
        (f"stress.outflow.{network}", network, assets)
        for network, assets in policy.stress.outflow.items()
    ]
    for name, rail in policy.rails.items():
        for asset in rail.funding:
            if asset not in policy.assets:
                yield _unknown(f"rails.{name}.funding", asset, policy.assets)
    for path, network_name, named in [*held, *asked]:
        carried = policy.networks[network_name].assets if network_name in policy.networks else None
        for asset in named:
            if carried is not None and asset not in carried:
                yield Problem(
                    path=path, found=asset, remedy=f"{network_name} carries {', '.join(carried)}"
                )
            elif asset not in policy.assets:
                yield _unknown(path, asset, policy.assets)


def _buckets(policy: Policy) -> Iterator[Problem]:
    for name, wallet in policy.wallets.items():
        if wallet.bucket not in policy.buckets:
            yield _unknown(f"wallets.{name}.bucket", wallet.bucket, policy.buckets)
    for bucket in policy.signing.shares:
        if bucket not in policy.buckets:
            yield _unknown(f"signing.shares.{bucket}", bucket, policy.buckets)


def _networks(policy: Policy) -> Iterator[Problem]:
    for name, wallet in policy.wallets.items():
        if wallet.network not in policy.networks:
            yield _unknown(f"wallets.{name}.network", wallet.network, policy.networks)
    for network in policy.stress.outflow:
        if network not in policy.networks:
            yield _unknown(f"stress.outflow.{network}", network, policy.networks)
    for name, rail in policy.rails.items():
        if rail.kind == "network" and name not in policy.networks:
            yield _unknown(f"rails.{name}", name, policy.networks)


def _roles(policy: Policy) -> Iterator[Problem]:
    for name, bucket in policy.buckets.items():
        if bucket.owner not in policy.roles:
            yield _unknown(f"buckets.{name}.owner", bucket.owner, policy.roles)
    for index, trigger in enumerate(policy.triggers):
        for role in trigger.pages:
            if role not in policy.roles:
                yield _unknown(f"triggers.{index}.pages", role, policy.roles)
    for lane, approval in (
        ("routine", policy.approvals.routine),
        ("emergency", policy.approvals.emergency),
    ):
        for role in approval.approvers:
            if role not in policy.roles:
                yield _unknown(f"approvals.{lane}.approvers", role, policy.roles)


def _rebalancing(policy: Policy) -> Iterator[Problem]:
    if policy.rebalancing is None:
        return
    for network in policy.rebalancing.health.congestion:
        if network not in policy.networks:
            yield _unknown("rebalancing.health.congestion", network, policy.networks)
    for asset, declared in policy.rebalancing.assets.items():
        if asset not in policy.assets:
            yield _unknown("rebalancing.assets", asset, policy.assets)
        for wallet in declared.between:
            if wallet not in policy.wallets:
                yield _unknown(f"rebalancing.assets.{asset}.between", wallet, policy.wallets)


def _unknown(path: str, found: str, known: Iterable[str]) -> Problem:
    return Problem(
        path=path,
        found=repr(found),
        remedy=f"name one that is declared: {', '.join(sorted(known))}",
    )
