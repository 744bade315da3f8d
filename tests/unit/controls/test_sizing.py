"""The sizes of top-ups and sweeps, and of what may move in one window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.controls.sizing import (
    contract_caps,
    excess,
    from_cold,
    signer_caps,
    sweep,
    top_up,
    window_seconds,
)
from tests.testing import policies

POLICY = policies.policy(durations="1/3")
USDX = 10**6


@pytest.mark.parametrize(
    ("available", "in_flight", "reserve", "expected"),
    [
        (252_000, 0, 2_520_000, None),  # 60 % of the 420,000 target
        (251_999, 0, 2_520_000, 588_001),  # up to the 840,000 maximum
        (0, 0, 2_520_000, 840_000),
        (-100_000, 0, 2_520_000, 940_000),  # promised already, so it must come beside the rest
        (0, 252_000, 2_520_000, None),  # what is on its way counts
        (0, 100_000, 2_520_000, 740_000),
        (0, 0, 300_000, 300_000),  # the reserve has no more
        (0, 0, 0, None),
    ],
)
def test_a_wallet_is_refilled_to_its_maximum_as_far_as_the_reserve_goes(
    available: int, in_flight: int, reserve: int, expected: int | None
) -> None:
    """One row per outcome, in whole USDX of the hot wallet on aster."""
    amount = top_up(
        POLICY,
        "customer-aster-hot",
        "USDX",
        available=available * USDX,
        in_flight=in_flight * USDX,
        reserve=reserve * USDX,
    )
    assert amount == (None if expected is None else expected * USDX)


@pytest.mark.parametrize(
    ("available", "waiting", "expected"),
    [
        (882_000, 0, None),  # 105 % of the 840,000 maximum
        (882_001, 0, 42_001),  # down to the maximum
        (1_000_000, 0, 84_000),  # no more than a quarter of the signer's 336,000
        (1_000_000, 100_000, 60_000),  # customers are about to take the rest
        (1_000_000, 150_000, None),
        (2_000_000, 252_000, 84_000),  # customers leave so much of the signer's window
        (2_000_000, 252_001, 83_999),
        (2_000_000, 336_000, None),
        (2_000_000, 400_000, None),
        (0, 0, None),
        (-5, 0, None),
    ],
)
def test_what_a_wallet_holds_above_its_maximum_goes_back_in_parts(
    available: int, waiting: int, expected: int | None
) -> None:
    """One row per outcome, in whole USDX of the hot wallet on aster."""
    amount = sweep(
        POLICY, "customer-aster-hot", "USDX", available=available * USDX, waiting=waiting * USDX
    )
    assert amount == (None if expected is None else expected * USDX)


def test_what_is_above_the_level_of_sweeps_is_too_much() -> None:
    """Shown also while customers wait for it, or the tier keeps it there."""
    found = [
        excess(POLICY, "customer-aster-hot", "USDX", available=each * USDX)
        for each in (-5, 840_000, 882_000, 882_001, 1_000_000)
    ]
    assert found == [0, 0, 0, USDX, 118_000 * USDX]


def test_a_top_up_fits_into_what_the_signer_lets_out_of_the_reserve() -> None:
    """Else its slot would wait for ever, and all of the lane behind it."""
    tight = policies.policy({"wallets.customer-aster-reserve.holdings.USDX.target": "500000"})
    amount = top_up(
        tight, "customer-aster-hot", "USDX", available=0, in_flight=0, reserve=500_000 * USDX
    )
    assert amount == 400_000 * USDX


def test_caps_are_shares_of_what_a_wallet_normally_holds() -> None:
    """The signer's lie below the contract's, and those below the target."""
    assert contract_caps(POLICY, "customer-aster-hot")["USDX"] == 378_000 * USDX
    found = signer_caps(POLICY, "customer-aster-hot")
    assert found.amounts == {"AST": 168 * 10**18, "USDX": 336_000 * USDX}
    assert (found.window_ms, found.transactions) == (5_000, 100)
    assert window_seconds(POLICY) == 3


def test_negative_amounts_are_refused() -> None:
    """A balance below zero is a fault elsewhere, not something to size by."""
    with pytest.raises(ValueError, match=r"^amounts cannot be negative: in flight 0, reserve -1$"):
        top_up(POLICY, "customer-aster-hot", "USDX", available=0, in_flight=0, reserve=-1)


@given(st.integers(0, 10**13), st.integers(0, 10**13), st.integers(0, 10**13))
def test_a_top_up_never_overfills_and_never_overdraws(
    available: int, in_flight: int, reserve: int
) -> None:
    """Positive, at most what the reserve holds, and never beyond the maximum."""
    amount = top_up(
        POLICY,
        "customer-aster-hot",
        "USDX",
        available=available,
        in_flight=in_flight,
        reserve=reserve,
    )
    if amount is not None:
        assert 0 < amount <= reserve
        assert available + in_flight + amount <= 840_000 * USDX


@pytest.mark.parametrize(
    ("held", "cold", "expected"),
    [
        (840_000, 18_060_000, None),  # its minimum
        (839_999, 18_060_000, 1_680_001),  # up to the 2,520,000 target
        (0, 18_060_000, 2_520_000),
        (-5, 18_060_000, 2_520_005),
        (0, 1_060_000, 60_000),  # cold keeps its own minimum
        (0, 1_000_000, None),
    ],
)
def test_a_reserve_below_its_minimum_is_filled_to_its_target_as_far_as_cold_goes(
    held: int, cold: int, expected: int | None
) -> None:
    """One row per outcome, in whole USDX of the reserve on aster."""
    policy = policies.policy(
        {
            "wallets.customer-aster-reserve.holdings.USDX.minimum": "840000",
            "wallets.customer-aster-cold.holdings.USDX.minimum": "1000000",
        }
    )
    amount = from_cold(policy, "customer-aster-reserve", "USDX", held=held * USDX, cold=cold * USDX)
    assert amount == (None if expected is None else expected * USDX)


def test_no_more_comes_from_cold_than_its_contract_pays_in_one_window() -> None:
    changes = {
        "wallets.customer-aster-reserve.holdings.USDX": {
            "minimum": "19000000",
            "target": "20000000",
            "maximum": "20000000",
        }
    }
    amount = from_cold(
        policies.policy(changes), "customer-aster-reserve", "USDX", held=0, cold=18_060_000 * USDX
    )
    assert amount == 16_254_000 * USDX  # 0.9 of cold's target
