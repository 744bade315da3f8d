"""The exchange's price: from its primary or its standby, new, and near the reference."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from seawall.errors import ServiceError
from seawall.formats.drill_contract import Refusal
from seawall.formats.venue_config import Endpoint
from tests.testing import policies
from tests.testing.endpoints import serving
from venue.api import metrics
from venue.api.swaps import Exchange

POLICY = policies.policy(durations="1/3")
NOW_S = 1_700_000_000.0


def quoting(price: str, age_s: float = 0, status: int = 200) -> Any:
    """An exchange with one price."""
    return lambda _path, _body: (status, {"price": price, "ts": NOW_S - age_s})


async def priced(primary: Any, standby: Any) -> Fraction | Refusal:
    """What AST costs in USDX at these two, of which one may have no side at all."""
    with serving(primary) as one, serving(standby) as other:
        exchange = Exchange(POLICY, Endpoint(primary=one, standby=other), clock=lambda: NOW_S)
        try:
            return await exchange.price(sell="AST", buy="USDX")
        finally:
            await exchange.close()


def counted(side: str, why: str) -> float:
    return float(metrics.PRICES_REFUSED.labels(side, why)._value.get())


@pytest.mark.parametrize(
    ("wrong", "why", "said"),
    [
        (quoting("0.000001"), "far", "is more than 10% away from what is expected"),
        (quoting("2e9"), "far", "is more than 10% away from what is expected"),
        (quoting("2000", age_s=4), "stale", "is not of the last 3 s"),
        (quoting("2000", age_s=-4), "stale", "is not of the last 3 s"),
    ],
)
async def test_nothing_is_swapped_at_a_price_that_nobody_would_believe(
    wrong: Any, why: str, said: str
) -> None:
    """The other side is asked; where both are wrong, the customer is told why. Each is counted."""
    before = counted("primary", why), counted("standby", why)

    assert await priced(wrong, quoting("1999.5")) == Fraction("1999.5")
    assert (counted("primary", why), counted("standby", why)) == (before[0] + 1, before[1])

    refused = await priced(wrong, wrong)
    assert isinstance(refused, Refusal)
    assert refused.code == "price_out_of_bounds"
    assert said in refused.reason
    assert (counted("primary", why), counted("standby", why)) == (before[0] + 2, before[1] + 1)


@pytest.mark.parametrize(
    "broken",
    [
        quoting("2000", status=500),
        quoting("NaN"),
        quoting("-1"),
        quoting("much"),
        lambda _path, _body: (200, {"price": "2000"}),
        lambda _path, _body: (200, {"price": "2000", "ts": "Infinity"}),
        lambda _path, _body: (200, "[]"),
    ],
)
async def test_an_exchange_that_says_nothing_sensible_is_no_exchange(broken: Any) -> None:
    """A price without its time has no age, so it is none."""
    assert await priced(broken, quoting("2000")) == 2_000
    with pytest.raises(ServiceError, match="no exchange quotes AST for USDX"):
        await priced(broken, broken)
