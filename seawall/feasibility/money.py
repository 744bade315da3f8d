"""Feasibility in money: hot wallets and automatic refills cover one declared cycle of stress."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from seawall.feasibility.steps import span
from seawall.feasibility.sums import Sum, Term

if TYPE_CHECKING:
    from decimal import Decimal

    from seawall.policy.model import Holding, Policy


def in_money(policy: Policy) -> Iterator[Sum]:
    """Per network and asset of the cycle, in whole units.

    One sum is what can be paid out without an act of a person, the other what the signer's caps
    allow, which lie below those of the contract.
    """
    hot = {wallet.network: name for name, wallet in reversed(list(policy.payout_wallets().items()))}
    for network, assets in policy.stress.outflow.items():
        for asset, outflow in assets.items():
            name = hot.get(network)
            holding = policy.wallets[name].holdings.get(asset) if name is not None else None
            if name is None or holding is None:
                continue  # a rule names it: nothing there pays
            yield _supply(policy, network, asset, outflow, name=name, holding=holding)
            yield _signed(policy, network, asset, outflow, name=name, holding=holding)


def _supply(
    policy: Policy, network: str, asset: str, outflow: Decimal, *, name: str, holding: Holding
) -> Sum:
    """The hot wallet above its minimum and its refills, against the outflow.

    A refill counts with the least amount that the policy guarantees.
    """
    treasury = policy.treasury
    source = _reserve(policy, name, asset)
    one = _refill(policy, holding)
    if source:
        one = min(one, _cap(policy, source[1]))
    cycle = treasury.top_up_every + treasury.refill_lead_time
    count = policy.stress.length // cycle
    wanted = count * one
    limits = {
        f"{count} x {_plain(one)} within {span(policy.stress.length)}, {span(cycle)} each": wanted,
        **(
            {
                f"all of {source[0]} above its minimum": Fraction(
                    source[1].target - source[1].minimum
                )
            }
            if source
            else {}
        ),
        **(
            {f"all that the signer lets out of {source[0]}": _through(policy, source[1])}
            if source
            else {}
        ),
    }
    least = min(limits, key=lambda each: limits[each]) if source else "no reserve holds any"
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
            Term(name="top-ups", value=limits[least] if source else Fraction(0), detail=least),
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
                value=_through(policy, holding),
                detail=(
                    f"{windows} windows of {span(policy.caps.signer.window)} x "
                    f"{_plain(_cap(policy, holding))}"
                ),
            ),
            Term(
                name="a sweep just before",
                value=-policy.treasury.sweep_of_cap * _cap(policy, holding),
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


def _through(policy: Policy, holding: Holding) -> Fraction:
    return _windows(policy) * _cap(policy, holding)


def _plain(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):g}"
