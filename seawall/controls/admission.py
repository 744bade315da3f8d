"""Admission: what a tier does with a customer's request, and why, in words for the customer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from seawall.controls.allowance import value_micro_max
from seawall.policy import MICRO

if TYPE_CHECKING:
    from seawall.policy import Function, Policy, Tier

Size = Literal["small", "large"]

_WORDS: dict[Function, str] = {
    "login": "Signing in",
    "balances": "Looking at balances",
    "withdrawals_small": "Small withdrawals",
    "withdrawals_large": "Large withdrawals",
    "swaps": "Swaps",
    "transfers_large": "Large transfers between networks",
    "market_browsing": "Looks at the marketplace",
    "market_bids": "Listings and bids",
    "market_settlements": (
        "Settlements between counterparties who are not trusted yet, or settle too much at a time,"
    ),
    "market_settlements_trusted": "Settlements",
}


@dataclass(frozen=True, kw_only=True)
class Admission:
    """Allowed, deferred (reserved now, paid when the tier is left) or suspended (refused).

    ``reason`` is text for the customer, and None if the request is allowed.
    """

    outcome: Literal["allowed", "deferred", "suspended"]
    reason: str | None


def size_of(policy: Policy, leaving_micro: int) -> Size:
    """Small up to and including the policy's bound, else large.

    ``leaving_micro`` is what a customer withdraws within the window of the policy's limits.
    """
    return "small" if leaving_micro <= policy.small_value_micro_max() else "large"


def within_limit(policy: Policy, value_micro: int) -> bool:
    """Whether a request of ``value_micro`` may be made at all."""
    return value_micro <= value_micro_max(policy)


def functions_of_withdrawal(
    policy: Policy, leaving_micro: int, *, transferred_micro: int | None = None
) -> tuple[Function, ...]:
    """The functions that a withdrawal needs.

    One follows from its size. A transfer between networks, whose money comes from another one,
    needs that of large transfers as well if it is large.

    Args:
        policy: The policy in force.
        leaving_micro: What the customer withdraws within the window, this request included, in
            millionths of the unit of account.
        transferred_micro: The part of it that comes from other networks; None if this request
            comes from none.
    """
    used: tuple[Function, ...] = (
        "withdrawals_small" if size_of(policy, leaving_micro) == "small" else "withdrawals_large",
    )
    if transferred_micro is not None and transferred_micro >= int(
        policy.limits.large_transfer_value_min * MICRO
    ):
        used += ("transfers_large",)
    return used


@dataclass(frozen=True, kw_only=True)
class Counterparty:
    """One of the two customers of a settlement, by what it has settled.

    Attributes:
        settled_with: With how many different others before, by settlements that count.
        settled_micro: How much within the window of the limits, this settlement included, in
            millionths of the unit of account.
    """

    settled_with: int
    settled_micro: int


def functions_of_settlement(
    policy: Policy, *parties: Counterparty, together_micro: int
) -> tuple[Function, ...]:
    """The functions that a settlement between two customers needs.

    It is one of trusted counterparties if both are trusted, neither settles too much at once, and
    they do not go on settling with each other. A policy without a marketplace trusts nobody.

    Args:
        policy: The policy in force.
        parties: Both customers.
        together_micro: How much they have settled with each other since the tier was entered that
            is in force, this settlement included, in millionths of the unit of account.
    """
    market = policy.marketplace
    if (
        market is not None
        and together_micro <= market.trusted_value_max * MICRO
        and all(
            each.settled_with >= market.trusted_after
            and each.settled_micro <= market.trusted_value_max * MICRO
            for each in parties
        )
    ):
        return ("market_settlements_trusted",)
    return ("market_settlements",)


def guaranteed_sizes(policy: Policy, tier: Tier) -> list[Size]:
    """The sizes of withdrawals that ``tier`` guarantees to pay."""
    pairs: tuple[tuple[Size, Function], ...] = (
        ("small", "withdrawals_small"),
        ("large", "withdrawals_large"),
    )
    return [size for size, function in pairs if function in policy.tiers.promise(tier).guarantees]


def admit(policy: Policy, tier: Tier, *functions: Function) -> Admission:
    """What ``tier`` does with a request that needs ``functions``: the strictest answer."""
    promise = policy.tiers.promise(tier)
    for function in functions:
        if function in promise.suspends:
            return Admission(
                outcome="suspended",
                reason=(
                    f"{_WORDS[function]} are suspended while the venue is in {tier} mode; nothing "
                    "was taken."
                ),
            )
    for function in functions:
        if function in promise.defers:
            reason = (
                f"{_WORDS[function]} are paid after the venue has left {tier} mode; the amount is "
                "set aside for you."
            )
            return Admission(outcome="deferred", reason=reason)
    return Admission(outcome="allowed", reason=None)
