"""Prices from the exchange: its primary, and its standby if that does not answer in time."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING

import httpx

from seawall.errors import ServiceError

if TYPE_CHECKING:
    from seawall.formats.venue_config import Endpoint
    from seawall.policy import Policy

TIMEOUT_S = 0.3


class Exchange:
    """Asks for prices; holds keep-alive connections to both endpoints."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._urls = (endpoint.primary, endpoint.standby)
        self._http = httpx.AsyncClient(timeout=TIMEOUT_S)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def price(self, *, sell: str, buy: str) -> Fraction:
        """Whole units of ``buy`` per whole unit of ``sell``, exact as quoted.

        Raises :class:`ServiceError` if neither answers.
        """
        failures: list[str] = []
        for url in self._urls:
            try:
                response = await self._http.get(f"{url}/price", params={"sell": sell, "buy": buy})
                quoted = Decimal(str(response.raise_for_status().json()["price"]))
            except (httpx.HTTPError, ValueError, KeyError, TypeError, InvalidOperation) as error:
                failures.append(f"{url}: {error!r}")
                continue
            if quoted.is_finite() and quoted > 0:
                return Fraction(quoted)
            failures.append(f"{url}: price {quoted}")
        message = f"no exchange quotes {sell} for {buy}: {'; '.join(failures)}"
        raise ServiceError(message)


def bought(policy: Policy, price: Fraction, *, sell: str, buy: str, amount: int) -> int:
    """Base units of ``buy`` for ``amount`` base units of ``sell``, rounded down.

    The house never pays a fraction too much.
    """
    scale = Fraction(10 ** policy.assets[buy].decimals, 10 ** policy.assets[sell].decimals)
    return int(amount * price * scale)
