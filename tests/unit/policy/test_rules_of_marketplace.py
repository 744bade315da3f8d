"""The marketplace: escrow is of a bucket that pays nobody, and tiers say what goes on."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from seawall.controls.admission import admit, functions_of_settlement
from seawall.policy import Function, Policy, Tier
from seawall.policy.rules import relations_of
from tests.testing import policies

NORMAL, PROTECTED = "tiers.normal.guarantees", "tiers.protected"
ALL = ["market_browsing", "market_bids", "market_settlements", "market_settlements_trusted"]
CHANGES: dict[str, Any] = {
    "marketplace": {"escrow": "escrow", "trusted_after": 3},
    NORMAL: [*policies.tree()["tiers"]["normal"]["guarantees"], *ALL],
    f"{PROTECTED}.guarantees": ["login", "balances", "withdrawals_small", *ALL[::3]],
    f"{PROTECTED}.suspends": ["swaps", "transfers_large", *ALL[1:3]],
    "tiers.stressed.guarantees": ["login", "balances", "withdrawals_small", "swaps", *ALL],
}


def market(**changes: Any) -> Policy:
    """A policy with a marketplace whose protected mode keeps browsing and trusted settlements."""
    return policies.policy(deepcopy(CHANGES) | changes)


def test_the_marketplace_of_a_bucket_that_pays_nobody_is_accepted() -> None:
    assert relations_of(market()) == []
    assert relations_of(policies.policy()) == [], "a policy needs no marketplace"


@pytest.mark.parametrize(
    ("place", "value", "path", "remedy"),
    [
        ("marketplace.escrow", "nobody", "marketplace.escrow", "name one of contingency"),
        ("marketplace.escrow", "customer", "marketplace.escrow", "a bucket that does neither"),
        ("marketplace.escrow", "treasury", "marketplace.escrow", "a bucket that does neither"),
        (
            "wallets.escrow-aster-hot.holdings",
            {},
            "marketplace.escrow",
            "no more can be in escrow than it holds",
        ),
        (
            f"{PROTECTED}.suspends",
            ["swaps", "transfers_large", "market_settlements_trusted"],
            f"{PROTECTED}.suspends",
            "suspend both",
        ),
        (
            f"{PROTECTED}.defers",
            ["withdrawals_large", "market_bids"],
            f"{PROTECTED}.defers",
            "nothing would carry it out later",
        ),
    ],
)
def test_escrow_that_could_go_elsewhere_is_refused(
    place: str, value: Any, path: str, remedy: str
) -> None:
    """Whatever else follows from the change, the place is named, with what to write."""
    changes = {place: value}
    if place == f"{PROTECTED}.suspends":
        changes[f"{PROTECTED}.guarantees"] = ["login", "balances", "withdrawals_small"]
    if place == f"{PROTECTED}.defers":
        changes[f"{PROTECTED}.suspends"] = ["swaps", "transfers_large"]
    found = [(each.path, each.remedy) for each in relations_of(market(**changes))]
    assert [what for where, what in found if where == path and remedy in what], found


def test_a_tier_promises_no_marketplace_that_there_is_not() -> None:
    found = [each.path for each in relations_of(policies.policy({NORMAL: CHANGES[NORMAL]}))]
    assert found == [NORMAL] * len(ALL)


@pytest.mark.parametrize(
    ("tier", "settled_with", "outcome"),
    [
        ("normal", (0, 0), "allowed"),
        ("stressed", (0, 3), "allowed"),
        ("protected", (3, 3), "allowed"),
        ("protected", (2, 9), "suspended"),
        ("protected", (9, 2), "suspended"),
    ],
)
def test_in_protected_mode_both_must_be_trusted(
    tier: Tier, settled_with: tuple[int, int], outcome: str
) -> None:
    """One customer who is not trusted is enough to have it wait."""
    policy = market()
    admission = admit(policy, tier, *functions_of_settlement(policy, *settled_with))
    assert admission.outcome == outcome
    assert (admission.reason is None) == (outcome == "allowed")


@pytest.mark.parametrize(
    ("function", "outcome"), [("market_browsing", "allowed"), ("market_bids", "suspended")]
)
def test_in_protected_mode_browsing_stays(function: Function, outcome: str) -> None:
    assert admit(market(), "protected", function).outcome == outcome
