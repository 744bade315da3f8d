"""The sizes of top-ups, and of what may move in one window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.controls.sizing import contract_caps, signer_caps, top_up, window_seconds
from tests.testing import policies

POLICY = policies.policy(durations="1/3")
USDX = 10**6


@pytest.mark.parametrize(
    ("available", "in_flight", "reserve", "expected"),
    [
        (252_000, 0, 2_520_000, None),  # 60 % of the 420,000 target
        (251_999, 0, 2_520_000, 588_001),  # up to the 840,000 maximum
        (0, 0, 2_520_000, 840_000),
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
    with pytest.raises(
        ValueError, match=r"^amounts cannot be negative: available -1, in flight 0, reserve 0$"
    ):
        top_up(POLICY, "customer-aster-hot", "USDX", available=-1, in_flight=0, reserve=0)


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
