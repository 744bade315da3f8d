"""A price that may be traded at is new, and near the ratio of the reference prices."""

from __future__ import annotations

from fractions import Fraction

import pytest

from seawall.controls.prices import price_fault, reference_price
from tests.testing import policies

POLICY = policies.policy()


def fault(price: str, *, sell: str = "AST", buy: str = "USDX", age_ms: int = 0) -> str | None:
    return price_fault(POLICY, Fraction(price), sell=sell, buy=buy, age_ms=age_ms)


@pytest.mark.parametrize(
    ("price", "found"),
    [
        ("2000", None),
        ("2200", None),
        ("1800", None),
        ("2200.000001", "far"),
        ("1799.999999", "far"),
        ("0.000000000001", "far"),
        ("1000000000000", "far"),
    ],
)
def test_a_price_may_be_so_far_from_the_reference_and_no_further(
    price: str, found: str | None
) -> None:
    """Up as well as down: the house loses on one side, its customer on the other."""
    assert fault(price) == found


@pytest.mark.parametrize(
    ("age_ms", "found"), [(9_000, None), (9_001, "stale"), (-9_000, None), (-9_001, "stale")]
)
def test_a_price_may_be_so_old_and_no_older(age_ms: int, found: str | None) -> None:
    """Nor from the future: then one of the two clocks is wrong, and nobody knows which."""
    assert fault("2000", age_ms=age_ms) == found


def test_the_reference_of_two_assets_is_the_ratio_of_their_prices() -> None:
    assert reference_price(POLICY, sell="USDX", buy="BIR") == Fraction(1, 500)
    assert fault("4", sell="AST", buy="BIR") is None
    assert fault("0.25", sell="AST", buy="BIR") == "far"
