"""Rows of the wallets, by asset: outflow, top-ups, and what comes from cold."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from seawall.controls.sizing import contract_caps
from seawall.feasibility import money
from seawall.feasibility.exposure.cold import ColdWindow
from seawall.feasibility.exposure.figures import (
    ZERO,
    Figure,
    declared,
    derived,
    known,
    not_declared,
)
from seawall.feasibility.exposure.observed import Observed
from seawall.feasibility.exposure.rows import Row, new_row
from seawall.feasibility.steps import span
from seawall.feasibility.sums import show

if TYPE_CHECKING:
    from seawall.policy.model import Policy


def wallet_rows(
    policy: Policy, observed: Observed, cold: Sequence[ColdWindow]
) -> dict[tuple[str, str], Row]:
    """A row of each asset of each wallet, by both."""
    taken, returned = _flows(policy, observed, cold)
    return {
        (name, asset): new_row(
            kind="wallet",
            group=wallet.bucket,
            name=f"{name} {asset}",
            role=wallet.wallet_class,
            unit=asset,
            available=observed.holdings[name, asset],
            minimum=declared(holding.minimum, f"wallets.{name}.holdings.{asset}.minimum"),
            buffer=known(
                Fraction(holding.target - holding.minimum),
                f"target {holding.target} less minimum {holding.minimum}",
            ),
            limit=_limit(policy, name, asset),
            taken=taken[name, asset],
            returned=returned[name, asset],
        )
        for name, wallet in policy.wallets.items()
        for asset, holding in wallet.holdings.items()
    }


_Flow = dict[tuple[str, str], Figure]


def _flows(policy: Policy, observed: Observed, cold: Sequence[ColdWindow]) -> tuple[_Flow, _Flow]:
    """What the cycle takes out of each wallet, and what comes back.

    What comes back to one wallet is taken from another one.
    """
    taken: _Flow = {}
    returned: _Flow = {}
    arriving = {(each.reserve, each.asset): each for each in cold}
    for name, wallet in policy.wallets.items():
        for asset in wallet.holdings:
            taken[name, asset] = _outflow(policy, observed, name, asset)
            returned[name, asset] = known(ZERO, "nothing refills it while no person acts")
    for name in policy.payout_wallets():
        for asset in policy.wallets[name].holdings:
            refills = _top_ups(policy, observed, name, asset, taken=taken[name, asset])
            returned[name, asset] = refills
            source = _reserve_of(policy, name, asset)
            if source is not None:
                taken[source, asset] = refills
    for (reserve, asset), window in arriving.items():
        source = policy.cold_of(reserve)
        arrives = window.asked if window.counts else known(ZERO, window.reason)
        returned[reserve, asset] = arrives
        if source is not None:
            taken[source, asset] = arrives
    return taken, returned


def _outflow(policy: Policy, observed: Observed, name: str, asset: str) -> Figure:
    """What leaves a wallet within the cycle, but to another wallet of the same bucket."""
    wallet = policy.wallets[name]
    if wallet.wallet_class != "hot":
        return known(ZERO, "only its own bucket's wallets take from it")
    if name in policy.payout_wallets():
        outflow = policy.stress.outflow.get(wallet.network, {}).get(asset)
        path = f"stress.outflow.{wallet.network}.{asset}"
        if outflow is None:
            return not_declared(f"{path} is not declared")
        payer = money.payers(policy)[wallet.network]
        if payer != name:
            return not_declared(f"{path} is of {payer}")
        waiting = observed.waiting[wallet.network, asset]
        source = f"{path}, and {waiting.source}" if waiting.amount != 0 else path
        return derived(lambda more: Fraction(outflow) + more, waiting, source=source)
    if policy.buckets[wallet.bucket].trades:
        return not_declared("stress declares no swaps")
    if policy.marketplace is not None and policy.marketplace.escrow == wallet.bucket:
        return not_declared("stress declares no settlements")
    return known(ZERO, f"buckets.{wallet.bucket} pays nobody and trades with nobody")


def _top_ups(policy: Policy, observed: Observed, hot: str, asset: str, *, taken: Figure) -> Figure:
    """What the reserve brings into ``hot``: as feasibility counts it, and not above its level."""
    holding = policy.wallets[hot].holdings[asset]
    level = policy.treasury.top_up_below * Fraction(holding.target)
    source = _reserve_of(policy, hot, asset)
    if source is None:
        return known(ZERO, "no reserve holds any")
    minimum = Fraction(policy.wallets[source].holdings[asset].minimum)
    limited_by = ""

    def amount(held: Fraction, available: Fraction, out: Fraction) -> Fraction:
        nonlocal limited_by
        possible = money.top_ups(policy, hot, asset, spare=max(ZERO, held - minimum))
        lacking = max(ZERO, level - (available - out))
        limited_by = possible.limited_by
        if possible.amount > lacking:
            limited_by = f"up to the level at which top-ups begin, {show(level, asset)}"
        return min(possible.amount, lacking)

    found = derived(
        amount, observed.holdings[source, asset], observed.holdings[hot, asset], taken, source=""
    )
    if found.amount is None:
        return found
    return Figure(
        amount=found.amount,
        basis="derived",
        source=f"top-ups from {source}: {limited_by}",
        age_ms=found.age_ms,
    )


def _limit(policy: Policy, name: str, asset: str) -> Figure:
    window = policy.caps.signer.window
    if policy.wallets[name].wallet_class == "cold":
        cap = Fraction(contract_caps(policy, name)[asset], 10 ** policy.assets[asset].decimals)
        return known(cap, f"caps.contract, one window of {span(policy.caps.contract.window)}")
    most = money.let_out(policy, name, asset)
    source = f"caps.signer, windows of {span(window)} within {span(policy.stress.length)}"
    if name in policy.payout_wallets():
        most -= money.swept(policy, name, asset)
        source += ", less a sweep just before"
    return known(most, source)


def _reserve_of(policy: Policy, hot: str, asset: str) -> str | None:
    """The reserve that refills ``asset`` of ``hot``; None if none holds any."""
    try:
        name = policy.reserve_of(hot)
    except KeyError:
        return None
    return name if asset in policy.wallets[name].holdings else None
