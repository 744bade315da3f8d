"""Rows of the providers of rails: their funds by asset, and their credit lines."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from seawall.feasibility.exposure.figures import (
    ZERO,
    Figure,
    declared,
    derived,
    known,
    not_declared,
)
from seawall.feasibility.exposure.rows import Row, new_row

if TYPE_CHECKING:
    from seawall.feasibility.exposure.observed import Observed
    from seawall.policy.model import Policy, Rail

Side = Literal["primary", "standby"]
SIDES: tuple[Side, ...] = ("primary", "standby")


def provider_rows(policy: Policy, observed: Observed) -> Iterator[Row]:
    """Rows of every rail that is no network: assets at both providers, and their credit lines."""
    for name, rail in policy.rails.items():
        if rail.kind == "network":
            continue
        for side in SIDES:
            provider: str = getattr(rail, side)
            for asset in rail.funding:
                yield _provider(policy, observed, name, side, asset)
            if not rail.funding:
                yield _unfunded(policy, name, rail, side)
            yield new_row(
                kind="credit line",
                group=name,
                name=f"{provider} credit line {policy.venue.unit_of_account}",
                role=side,
                unit=policy.venue.unit_of_account,
                available=_credit(policy, observed, name, rail, side),
                minimum=not_declared("no minimum of a credit line is declared"),
                buffer=not_declared("no buffer of a credit line is declared"),
                limit=declared(rail.credit_line, f"rails.{name}.credit_line"),
                taken=not_declared(f"stress declares no outflow over {name}"),
                returned=not_declared(f"nothing declares what is paid back to {provider}"),
            )


def _provider(policy: Policy, observed: Observed, name: str, side: Side, asset: str) -> Row:
    rail = policy.rails[name]
    provider: str = getattr(rail, side)
    least = largest_payout(policy, name, asset)
    return new_row(
        kind="provider",
        group=name,
        name=f"{provider} {asset}",
        role=side,
        unit=asset,
        available=observed.funds[name, side, asset],
        minimum=least,
        buffer=derived(
            lambda kept: Fraction(rail.funding[asset]) - kept,
            least,
            source=f"rails.{name}.funding.{asset} less its largest payout",
        ),
        limit=least,
        taken=not_declared(f"stress declares no outflow over {name}"),
        returned=not_declared(f"nothing declares what refills {provider}"),
    )


def _unfunded(policy: Policy, name: str, rail: Rail, side: Side) -> Row:
    nothing = not_declared(f"rails.{name}.funding is not declared: no withdrawal is paid over it")
    return new_row(
        kind="provider",
        group=name,
        name=getattr(rail, side),
        role=side,
        unit=policy.venue.unit_of_account,
        available=nothing,
        minimum=nothing,
        buffer=nothing,
        limit=nothing,
        taken=nothing,
        returned=nothing,
    )


def largest_payout(policy: Policy, rail: str, asset: str) -> Figure:
    """The largest payout of ``asset`` that the rail's providers take."""
    value = Fraction(policy.rails[rail].payout_value_max)
    path = f"rails.{rail}.payout_value_max"
    if not value:
        return not_declared(f"{path} is not declared")
    return known(value / Fraction(policy.assets[asset].reference_price), path)


def _credit(policy: Policy, observed: Observed, name: str, rail: Rail, side: str) -> Figure:
    """The line, less what balances below zero have used of it."""
    path, line = f"rails.{name}.credit_line", Fraction(rail.credit_line)
    balances = {asset: observed.funds[name, side, asset] for asset in rail.funding}
    if all(each.basis in ("declared", "derived") for each in balances.values()):
        return declared(rail.credit_line, path)
    prices = [Fraction(policy.assets[asset].reference_price) for asset in balances]
    return derived(
        lambda *held: (
            line
            - sum(
                (max(ZERO, -each) * price for each, price in zip(held, prices, strict=True)), ZERO
            )
        ),
        *balances.values(),
        source=f"{path}, less what balances below zero use of it",
    )
