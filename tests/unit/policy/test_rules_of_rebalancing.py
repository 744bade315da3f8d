"""The carrier's terms: between two reserves that can pay and be paid, and never to and fro."""

from __future__ import annotations

from typing import Any

import pytest

from seawall.policy.rules import references_of, relations_of
from tests.testing import policies
from tests.testing.rebalancing_terms import PAIR, TERMS

_BETWEEN = "rebalancing.assets.USDX.between"


def problems(**changes: Any) -> list[tuple[str, str]]:
    """Where a policy with these terms is refused, and what is to be written."""
    policy = policies.policy({"rebalancing": TERMS | changes})
    found = [*references_of(policy), *relations_of(policy)]
    return [(each.path, each.remedy) for each in found]


def moved(**changes: Any) -> dict[str, Any]:
    """Terms of USDX with ``changes``."""
    return {"assets": {"USDX": {"between": PAIR, "amount_min": "50000"} | changes}}


def test_terms_that_can_be_kept_are_accepted() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("changes", "path", "remedy"),
    [
        ({"to_below": "1"}, "rebalancing.to_below", "less than from_above"),
        ({"to_below": "1.1", "from_above": "2"}, "rebalancing.to_below", "1 at most"),
        ({"lead_time": "15m"}, "rebalancing.lead_time", "more than the delay"),
        ({"lead_time": "13h"}, "rebalancing.lead_time", "no more than that"),
        (
            {
                "health": TERMS["health"]
                | {"congestion": {"aster": TERMS["health"]["congestion"]["aster"]}}
            },
            "rebalancing.health.congestion",
            "birch is too busy",
        ),
        (moved(between=["customer-aster-hot", PAIR[1]]), _BETWEEN, "another reserve"),
        (moved(between=["contingency-aster-reserve", PAIR[1]]), _BETWEEN, "another reserve"),
        (moved(between=[PAIR[0], PAIR[0]]), _BETWEEN, "on two networks"),
        (moved(between=[PAIR[0], "nobody"]), _BETWEEN, "one that is declared"),
        (
            {"assets": {"AST": {"between": PAIR, "amount_min": "1"}}},
            "rebalancing.assets.AST.between",
            "another reserve",
        ),
        (moved(amount_min="2000001"), "rebalancing.assets.USDX.amount_min", "at most"),
    ],
)
def test_terms_that_cannot_be_kept_are_refused(
    changes: dict[str, Any], path: str, remedy: str
) -> None:
    [(where, what), *_] = problems(**changes)
    assert where == path
    assert remedy in what


def test_money_that_stands_against_escrow_is_not_rebalanced() -> None:
    """Neither as what one reserve has too much nor as what the other lacks."""
    market = {
        "escrow": "customer",
        "share_max": "0.25",
        "trusted_after": 3,
        "trust_value_min": "100",
        "trusted_value_max": "1000",
    }
    policy = policies.policy({"rebalancing": TERMS, "marketplace": market})

    [found] = [each for each in relations_of(policy) if each.path == _BETWEEN]

    assert "stands against what is in escrow" in found.found
    assert found.remedy == "name another reserve"


def test_durations_are_scaled_and_levels_are_not() -> None:
    scaled = policies.policy({"rebalancing": TERMS}, durations="1/3").rebalancing
    assert scaled is not None
    assert (scaled.lead_time, scaled.health.oracle.price_age_max) == (4_800_000, 3_000)
    busy = scaled.health.congestion["aster"]
    assert (int(busy.base_fee_gwei_max), busy.pending_max) == (100, 5_000)
