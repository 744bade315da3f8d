"""Feasibility in money: hot wallets and automatic refills cover one declared cycle of stress."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from seawall.feasibility.steps import span
from seawall.feasibility.sums import Sum, Term

if TYPE_CHECKING:
    from decimal import Decimal

    from seawall.policy.model import Holding, Policy


@dataclass(frozen=True, kw_only=True)
class TopUps:
    """What refills bring into a hot wallet within one cycle of stress, without anybody's act.

    Attributes:
        amount: At least so much, in whole units.
        limited_by: What it is limited by, with its figures.
    """

    amount: Fraction
    limited_by: str


def in_money(policy: Policy) -> Iterator[Sum]:
    """Per network and asset of the cycle, in whole units.

    One sum is what can be paid out without an act of a person, the other what the signer's caps
    allow, which lie below those of the contract.
    """
    hot = payers(policy)
    for network, assets in policy.stress.outflow.items():
        for asset, outflow in assets.items():
            name = hot.get(network)
            holding = policy.wallets[name].holdings.get(asset) if name is not None else None
            if name is None or holding is None:
                continue  # a rule names it: nothing there pays
            yield _supply(policy, network, asset, outflow, name=name, holding=holding)
            yield _signed(policy, network, asset, outflow, name=name, holding=holding)


def payers(policy: Policy) -> dict[str, str]:
    """By network: the hot wallet that pays what a cycle of stress takes out there."""
    return {
        wallet.network: name for name, wallet in reversed(list(policy.payout_wallets().items()))
    }


def top_ups(policy: Policy, hot: str, asset: str, *, spare: Fraction | None = None) -> TopUps:
    """What the reserve brings into ``hot`` within one cycle, if that is below its level throughout.

    A refill counts with the least amount that the policy guarantees.

    Args:
        policy: Declares the wallets' bounds, the refills, and the signer's caps.
        hot: Name of the hot wallet, which holds ``asset``.
        asset: Name of the asset.
        spare: What the reserve holds above its minimum, in whole units; with its target, if None.
    """
    treasury = policy.treasury
    source = _reserve(policy, hot, asset)
    if source is None:
        return TopUps(amount=Fraction(0), limited_by="no reserve holds any")
    name, kept = source
    one = min(_refill(policy, policy.wallets[hot].holdings[asset]), _cap(policy, kept))
    cycle = treasury.top_up_every + treasury.refill_lead_time
    count = policy.stress.length // cycle
    limits = {
        f"{count} x {_plain(one)} within {span(policy.stress.length)}, {span(cycle)} each": (
            count * one
        ),
        f"all of {name} above its minimum": (
            Fraction(kept.target - kept.minimum) if spare is None else spare
        ),
        f"all that the signer lets out of {name}": let_out(policy, name, asset),
    }
    least = min(limits, key=lambda each: limits[each])
    return TopUps(amount=limits[least], limited_by=least)


def let_out(policy: Policy, wallet: str, asset: str) -> Fraction:
    """What the signer lets out of ``wallet`` within one cycle, in whole units."""
    return _windows(policy) * _cap(policy, policy.wallets[wallet].holdings[asset])


def swept(policy: Policy, wallet: str, asset: str) -> Fraction:
    """What a sweep just before the cycle takes of :func:`let_out` of a hot wallet, at most."""
    return policy.treasury.sweep_of_cap * _cap(policy, policy.wallets[wallet].holdings[asset])


def _supply(
    policy: Policy, network: str, asset: str, outflow: Decimal, *, name: str, holding: Holding
) -> Sum:
    """The hot wallet above its minimum and its refills, against the outflow."""
    refills = top_ups(policy, name, asset)
    return Sum(
        kind="money",
        name=f"{network} {asset} of one cycle of stress",
        path=f"stress.outflow.{network}.{asset}",
        relation="covers",
        limit=Fraction(outflow),
        unit=asset,
        terms=(
            Term(
                name="hot target",
                value=Fraction(holding.target - holding.minimum),
                detail=(
                    f"{_plain(Fraction(holding.target))} less its minimum "
                    f"{_plain(Fraction(holding.minimum))}"
                ),
            ),
            Term(name="top-ups", value=refills.amount, detail=refills.limited_by),
        ),
        remedy=(
            "raise the hot target or maximum or what the reserve holds, shorten "
            "treasury.refill_lead_time, or promise less"
        ),
    )


def _signed(
    policy: Policy, network: str, asset: str, outflow: Decimal, *, name: str, holding: Holding
) -> Sum:
    windows = _windows(policy)
    return Sum(
        kind="money",
        name=f"{network} {asset} through the signer's caps",
        path=f"stress.outflow.{network}.{asset}",
        relation="covers",
        limit=Fraction(outflow),
        unit=asset,
        terms=(
            Term(
                name="caps",
                value=let_out(policy, name, asset),
                detail=(
                    f"{windows} windows of {span(policy.caps.signer.window)} x "
                    f"{_plain(_cap(policy, holding))}"
                ),
            ),
            Term(
                name="a sweep just before",
                value=-swept(policy, name, asset),
                detail="it counts in the first window",
            ),
        ),
        remedy=(f"raise caps.signer.of_target or the target of {name}, or promise less"),
    )


def _refill(policy: Policy, holding: Holding) -> Fraction:
    """The least that a top-up brings: it starts below ``top_up_below`` and fills up from there."""
    goal = holding.maximum if policy.treasury.top_up_to == "maximum" else holding.target
    return max(
        Fraction(0), Fraction(goal) - policy.treasury.top_up_below * Fraction(holding.target)
    )


def _reserve(policy: Policy, hot: str, asset: str) -> tuple[str, Holding] | None:
    try:
        name = policy.reserve_of(hot)
        return name, policy.wallets[name].holdings[asset]
    except KeyError:
        return None


def _windows(policy: Policy) -> int:
    """Whole windows of the signer's cap in one cycle, at least one."""
    return max(1, policy.stress.length // policy.caps.signer.window)


def _cap(policy: Policy, holding: Holding) -> Fraction:
    return policy.caps.signer.of_target * Fraction(holding.target)


def _plain(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):g}"
