"""The marketplace: escrow is of a bucket that pays nobody, and tiers say what goes on."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from seawall.controls.admission import Counterparty, admit, functions_of_settlement
from seawall.policy import MICRO, Function, Policy, Tier
from seawall.policy.rules import relations_of
from tests.testing import policies

NORMAL, PROTECTED = "tiers.normal.guarantees", "tiers.protected"
ALL = ["market_browsing", "market_bids", "market_settlements", "market_settlements_trusted"]
CHANGES: dict[str, Any] = {
    "marketplace": {
        "escrow": "escrow",
        "share_max": "0.25",
        "trusted_after": 3,
        "trust_value_min": "100",
        "trusted_value_max": "1000",
    },
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
            "marketplace.trusted_value_max",
            "1000.01",
            "marketplace.trusted_value_max",
            "at most limits.small_withdrawal_value_max, 1000",
        ),
        (
            "marketplace.trust_value_min",
            "50000.01",
            "marketplace.trust_value_min",
            "at most 50000, the largest bid",
        ),
        (
            f"{PROTECTED}.suspends",
            ["swaps", "transfers_large", "market_settlements_trusted"],
            f"{PROTECTED}.suspends",
            "suspend both",
        ),
        (
            f"{PROTECTED}.suspends",
            ["swaps", "transfers_large", "market_settlements"],
            f"{PROTECTED}.suspends",
            "again and again",
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


def test_what_may_be_bid_is_a_share_of_all_of_escrows_wallets() -> None:
    """Two wallets on one network hold 400,000 USDX: a quarter of them is worth 100,000."""
    wallet = policies.tree()["wallets"]["escrow-aster-hot"]
    twice = {"wallets.escrow-aster-too": wallet, "marketplace.trust_value_min": "100000"}
    trusted = "marketplace.trust_value_min"
    assert trusted not in [each.path for each in relations_of(market(**twice))]
    more = market(**twice | {trusted: "100000.01"})
    assert trusted in [each.path for each in relations_of(more)]


@pytest.mark.parametrize("share", ["0", "1", "1.5"])
def test_a_share_of_everything_is_no_share(share: str) -> None:
    """One customer could fill the escrow, or none could bid."""
    with pytest.raises(ValidationError, match=r"marketplace\.share_max"):
        market(**{"marketplace.share_max": share})


def test_a_tier_promises_no_marketplace_that_there_is_not() -> None:
    found = [each.path for each in relations_of(policies.policy({NORMAL: CHANGES[NORMAL]}))]
    assert found == [NORMAL] * len(ALL)


@pytest.mark.parametrize(
    ("tier", "seller", "bidder", "together", "outcome"),
    [
        ("normal", (0, 5_000), (0, 5_000), 9_000, "allowed"),
        ("stressed", (0, 1), (3, 5_000), 9_000, "allowed"),
        ("protected", (3, 1_000), (3, 1_000), 1_000, "allowed"),
        ("protected", (2, 1), (9, 1), 1, "suspended"),
        ("protected", (9, 1), (2, 1), 1, "suspended"),
        ("protected", (9, 1_001), (9, 1), 1, "suspended"),
        ("protected", (9, 1), (9, 1_001), 1, "suspended"),
        ("protected", (9, 1), (9, 1), 1_001, "suspended"),
    ],
)
def test_in_protected_mode_both_must_be_trusted_and_settle_little(
    tier: Tier, seller: tuple[int, int], bidder: tuple[int, int], together: int, outcome: str
) -> None:
    """One customer who is not trusted, or settles too much, is enough to have it wait.

    So are two who go on settling with each other, window after window.
    """
    policy = market()
    parties = [
        Counterparty(settled_with=others, settled_micro=value * MICRO)
        for others, value in (seller, bidder)
    ]
    needed = functions_of_settlement(policy, *parties, together_micro=together * MICRO)
    admission = admit(policy, tier, *needed)
    assert admission.outcome == outcome
    assert (admission.reason is None) == (outcome == "allowed")


@pytest.mark.parametrize(
    ("function", "outcome"), [("market_browsing", "allowed"), ("market_bids", "suspended")]
)
def test_in_protected_mode_browsing_stays(function: Function, outcome: str) -> None:
    assert admit(market(), "protected", function).outcome == outcome
