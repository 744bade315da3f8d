"""Decimals and base units say the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testing.second_venue.amounts import to_text, to_units


@given(units=st.integers(1, 10**39), decimals=st.integers(0, 36))
def test_an_amount_survives_the_way_there_and_back(units: int, decimals: int) -> None:
    assert to_units(to_text(units, decimals=decimals), decimals=decimals) == units


@pytest.mark.parametrize(
    ("text", "units"), [("0.5", 500_000), ("0.50", 500_000), ("12", 12_000_000), ("0.000001", 1)]
)
def test_plain_decimals_are_read(text: str, units: int) -> None:
    assert to_units(text, decimals=6) == units


@pytest.mark.parametrize(
    "text",
    ["0", "0.0", "-1", "+1", "1e3", "1.", ".5", "0.0000001", "1,5", "", " 1", "NaN", 1, 0.5, None],
)
def test_anything_else_is_no_amount(text: object) -> None:
    assert to_units(text, decimals=6) is None


def test_nothing_is_written_as_zero() -> None:
    assert to_text(0, decimals=18) == "0"
