"""Rules for rebalancing: between two reserves that can pay and be paid, and never to and fro."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from seawall.errors import Problem

if TYPE_CHECKING:
    from seawall.policy.model import Policy
    from seawall.policy.rebalancing import Rebalanced, Rebalancing


def rebalancing(policy: Policy) -> Iterator[Problem]:
    """Every fault of the carrier's terms, and of the reserves that money moves between."""
    declared = policy.rebalancing
    if declared is None:
        return
    if declared.to_below >= declared.from_above:
        yield Problem(
            path="rebalancing.to_below",
            found=f"{float(declared.to_below):g}, from_above {float(declared.from_above):g}",
            remedy="write less than from_above: a reserve would give and take at once",
        )
    if declared.to_below > 1:
        yield Problem(
            path="rebalancing.to_below",
            found=f"{float(declared.to_below):g}",
            remedy="write 1 at most: a reserve is filled to its target from below",
        )
    yield from _times(policy, declared)
    networks: set[str] = set()
    for asset, each in declared.assets.items():
        known = [name for name in each.between if name in policy.wallets]
        networks |= {policy.wallets[name].network for name in known}
        yield from _between(policy, asset, each)
    for network in sorted(networks - declared.health.congestion.keys()):
        yield Problem(
            path="rebalancing.health.congestion",
            found=f"no levels of {network}",
            remedy=f"write from when on {network} is too busy",
        )


def _times(policy: Policy, declared: Rebalancing) -> Iterator[Problem]:
    cooling, expires = policy.approvals.routine.cooling, policy.approvals.expires_after
    if declared.lead_time <= cooling:
        yield Problem(
            path="rebalancing.lead_time",
            found=f"{declared.lead_time} ms, approvals.routine.cooling {cooling} ms",
            remedy="write more than the delay: it could never be met",
        )
    if declared.lead_time > expires:
        yield Problem(
            path="rebalancing.lead_time",
            found=f"{declared.lead_time} ms, approvals.expires_after {expires} ms",
            remedy="write no more than that: what is late would expire before anybody is paged",
        )


def _between(policy: Policy, asset: str, declared: Rebalanced) -> Iterator[Problem]:
    path = f"rebalancing.assets.{asset}.between"
    found = [policy.wallets[name] for name in declared.between if name in policy.wallets]
    if len(found) != len(declared.between) or asset not in policy.assets:
        return  # its names do not resolve
    for name, wallet in zip(declared.between, found, strict=True):
        lacks = None
        if policy.marketplace is not None and wallet.bucket == policy.marketplace.escrow:
            lacks = (
                "stands against what is in escrow, so nothing may leave it and none is due to it"
            )
        elif wallet.wallet_class != "reserve" or policy.refilled_by(name) is None:
            lacks = "is no reserve that refills a hot wallet, so its contract has no lane"
        elif asset not in wallet.holdings:
            lacks = f"holds no {asset}"
        elif wallet.network in policy.networks and (
            asset not in policy.networks[wallet.network].tokens
        ):
            lacks = f"has {asset} as a coin: only a token's own events say what has arrived"
        if lacks is not None:
            yield Problem(path=path, found=f"{name} {lacks}", remedy="name another reserve")
            return
    one, other = found
    if one.network == other.network or one.bucket != other.bucket:
        yield Problem(
            path=path,
            found=f"{one.bucket} on {one.network}, {other.bucket} on {other.network}",
            remedy="name two reserves of one bucket, on two networks",
        )
        return
    least, lane = Fraction(declared.amount_min), policy.approvals.routine
    if least * Fraction(policy.assets[asset].reference_price) > lane.value_max:
        yield Problem(
            path=f"rebalancing.assets.{asset}.amount_min",
            found=f"{declared.amount_min}, more than the routine lane moves in one window",
            remedy=f"write what is worth at most {lane.value_max}",
        )
    for name, wallet in zip(declared.between, found, strict=True):
        signed = policy.caps.signer.of_target * Fraction(wallet.holdings[asset].target)
        if least > signed:
            yield Problem(
                path=f"rebalancing.assets.{asset}.amount_min",
                found=f"{declared.amount_min}, and the signer of {name} signs {float(signed):g}",
                remedy="write no more than that: nobody would sign it",
            )
