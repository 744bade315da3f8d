"""Rules for the caps of contracts and signers: each binds, the signer's first, and lets pay."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from seawall.errors import Problem

if TYPE_CHECKING:
    from seawall.policy.model import Policy

_MS_PER_S = 1_000
_SWEEP_OF_CAP_MAX = Fraction(1, 2)


def caps(policy: Policy) -> Iterator[Problem]:
    """Every fault of the caps among themselves, and of what they leave payable."""
    contract, signer = policy.caps.contract, policy.caps.signer
    if contract.of_target >= 1:
        yield Problem(
            path="caps.contract.of_target",
            found=f"{float(contract.of_target):g} of what a wallet normally holds",
            remedy="write less than 1: a cap that a whole wallet fits into never binds",
        )
    if signer.of_target >= contract.of_target:
        yield Problem(
            path="caps.signer.of_target",
            found=f"{float(signer.of_target):g}, contract {float(contract.of_target):g}",
            remedy=(
                "keep it below the contract's: what the contract refuses costs gas and is tried "
                "again"
            ),
        )
    if contract.window % _MS_PER_S:
        yield Problem(
            path="caps.contract.window",
            found=f"{contract.window} ms",
            remedy="write whole seconds: the contract reads them off its blocks",
        )
    # What is signed in two windows must not be included in one window of the contract.
    blocks = max((network.block_time for network in policy.networks.values()), default=0)
    least = contract.window + blocks
    if signer.window < least:
        yield Problem(
            path="caps.signer.window",
            found=f"{signer.window} ms",
            remedy=(
                f"write {least} ms or more: the contract's window and one block, by which "
                "transactions may be included late"
            ),
        )
    yield from _payable(policy)
    yield from _gas(policy)
    yield from _sweeps(policy)


def _gas(policy: Policy) -> Iterator[Problem]:
    """Gas money that is never refilled, or less than a key may lack."""
    for name, gas in policy.treasury.gas.items():
        path = f"treasury.gas.{name}"
        if name not in policy.networks:
            yield Problem(
                path=path, found=repr(name), remedy=f"name a network: {', '.join(policy.networks)}"
            )
        if gas.minimum >= gas.target:
            yield Problem(
                path=f"{path}.target",
                found=f"{gas.target}, minimum {gas.minimum}",
                remedy="write more than the minimum: a refill would bring nothing",
            )
        elif gas.target > gas.cap:
            yield Problem(
                path=f"{path}.cap",
                found=f"{gas.cap}, target {gas.target}",
                remedy="write the target or more: a key that has nothing left would not get it",
            )
        if gas.window % _MS_PER_S:
            yield Problem(
                path=f"{path}.window",
                found=f"{gas.window} ms",
                remedy="write whole seconds: the contract reads them off its blocks",
            )


def _sweeps(policy: Policy) -> Iterator[Problem]:
    """Sweeps that would take what a wallet is to hold, or the room of customers' payouts."""
    treasury = policy.treasury
    if treasury.sweep_above < 1:
        yield Problem(
            path="treasury.sweep_above",
            found=f"{float(treasury.sweep_above):g} of the maximum",
            remedy="write 1 or more: what a wallet may hold stays there",
        )
    if not 0 < treasury.sweep_of_cap <= _SWEEP_OF_CAP_MAX:
        yield Problem(
            path="treasury.sweep_of_cap",
            found=f"{float(treasury.sweep_of_cap):g} of the signer's cap",
            remedy="write more than 0 and at most 0.5: customers' payouts share the window",
        )


def _payable(policy: Policy) -> Iterator[Problem]:
    """Withdrawals that are accepted and that no window would ever let through."""
    largest = policy.limits.withdrawal_value_max
    for name, wallet in policy.wallets.items():
        pays = wallet.bucket in policy.buckets and policy.buckets[wallet.bucket].pays
        if wallet.wallet_class != "hot" or not pays:
            continue
        for asset, holding in wallet.holdings.items():
            if asset not in policy.assets:
                continue  # another rule names it
            price = Fraction(policy.assets[asset].reference_price)
            value = policy.caps.signer.of_target * Fraction(holding.target) * price
            if value < largest:
                yield Problem(
                    path="limits.withdrawal_value_max",
                    found=(
                        f"{largest}, and {name} may sign away {asset} worth {float(value):g} in "
                        "one window"
                    ),
                    remedy=(
                        f"lower it, or raise caps.signer.of_target or the target of {name}: such "
                        "a withdrawal would be accepted and never paid"
                    ),
                )
