"""Rows of the functions of customers: what they may do, and which money that needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from seawall.feasibility.exposure.figures import ZERO, derived, known
from seawall.feasibility.exposure.rows import Row, new_row, together
from seawall.policy.model import Function
from seawall.policy.sections import TIERS

if TYPE_CHECKING:
    from seawall.policy.model import Policy, Wallet
    from seawall.policy.sections import Tier

_OF_MONEY: tuple[Function, ...] = (
    "withdrawals_small",
    "withdrawals_large",
    "transfers_large",
    "swaps",
    "market_bids",
    "market_settlements",
    "market_settlements_trusted",
)
_OVER_RAILS: tuple[Function, ...] = ("withdrawals_small", "withdrawals_large")


def function_rows(
    policy: Policy, wallets: Mapping[tuple[str, str], Row], providers: Sequence[Row]
) -> Iterator[Row]:
    """A row of each function on each network and rail that serves it."""
    for function in _OF_MONEY:
        if not _promised(policy, function):
            continue
        for network in policy.networks:
            served = [
                wallets[name, asset]
                for name, wallet in policy.wallets.items()
                if wallet.network == network and _serves(policy, function, name, wallet)
                for asset in wallet.holdings
            ]
            if served:
                yield _function(policy, function, network, served)
        for name in policy.paying_rails() if function in _OVER_RAILS else ():
            yield _function(policy, function, name, _weaker(policy, name, providers))


def _serves(policy: Policy, function: Function, name: str, wallet: Wallet) -> bool:
    """Whether what customers do there is paid from this wallet."""
    if wallet.wallet_class != "hot":
        return False
    if function == "swaps":
        return policy.house_of(wallet.network) == wallet.bucket
    if function.startswith("market_"):
        return policy.marketplace is not None and policy.marketplace.escrow == wallet.bucket
    return name in policy.payout_wallets()


def _function(policy: Policy, function: Function, where: str, rows: Sequence[Row]) -> Row:
    small = function == "withdrawals_small"
    if small and "withdrawals_small" in policy.tiers.protected.guarantees:
        rows = [_used_up(row) if row.kind == "wallet" else row for row in rows]
    return together(
        policy,
        rows,
        kind="function",
        group=function,
        name=where,
        role=promise_of(policy, function, "protected"),
    )


def _used_up(row: Row) -> Row:
    """A hot wallet as protected mode may use it: down to nothing."""
    return new_row(
        kind=row.kind,
        group=row.group,
        name=row.name,
        role=row.role,
        unit=row.unit,
        available=row.available,
        minimum=known(ZERO, "protected mode pays small withdrawals from below the minimum"),
        buffer=derived(
            lambda kept, more: kept + more, row.minimum, row.buffer, source="up to the target"
        ),
        limit=row.limit,
        taken=row.taken,
        returned=row.returned,
    )


def _weaker(policy: Policy, rail: str, providers: Sequence[Row]) -> list[Row]:
    """By asset: the provider that has less, since either of the two may have to pay alone."""
    found = []
    for asset in policy.rails[rail].funding:
        rows = [
            row for row in providers if (row.kind, row.group, row.unit) == ("provider", rail, asset)
        ]
        found.append(
            min(rows, key=lambda row: (row.available.amount is not None, row.available.amount or 0))
        )
    return found


def promise_of(policy: Policy, function: Function, tier: Tier) -> str:
    """What ``tier`` does with ``function``: guaranteed, deferred, suspended, or not promised."""
    promise = policy.tiers.promise(tier)
    if function in promise.guarantees:
        return "guaranteed"
    if function in promise.defers:
        return "deferred"
    return "suspended" if function in promise.suspends else "not promised"


def _promised(policy: Policy, function: Function) -> bool:
    return any(promise_of(policy, function, tier) != "not promised" for tier in TIERS)


def without_money(policy: Policy) -> tuple[Function, ...]:
    """Functions that some tier promises and that need no money."""
    return tuple(
        each for each in get_args(Function) if each not in _OF_MONEY and _promised(policy, each)
    )
