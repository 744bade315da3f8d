"""What the exchange quotes, as a health check wants it: every answer counts, also a bad one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING

import httpx

from seawall.controls.rebalancing import Quote

if TYPE_CHECKING:
    from seawall.formats.venue_config import Endpoint

_TIMEOUT_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Prices:
    """The two sides of the exchange; ``clock`` gives Unix seconds, by which a price has its age."""

    exchange: Endpoint
    client: httpx.AsyncClient
    clock: Callable[[], float] = time.time

    async def quotes(self, coins: Sequence[str], *, buy: str) -> list[Quote]:
        """What either side quotes for each of ``coins``; what is no answer is left out."""
        sides = (("primary", self.exchange.primary), ("standby", self.exchange.standby))
        asked = [self._quote(side, url, coin, buy) for coin in coins for side, url in sides]
        return [each for each in await asyncio.gather(*asked) if each is not None]

    async def _quote(self, side: str, url: str, sell: str, buy: str) -> Quote | None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                answer = await self.client.get(
                    f"{url}/price", params={"sell": sell, "buy": buy}, timeout=None
                )
            quoted = answer.raise_for_status().json()
            price, made_at = Decimal(str(quoted["price"])), Decimal(str(quoted["ts"]))
        except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError, InvalidOperation):
            return None
        if not (price.is_finite() and price > 0 and made_at.is_finite()):
            return None
        age_ms = int((Decimal(self.clock()) - made_at) * 1_000)
        return Quote(f"the {side} exchange", sell, buy, Fraction(price), age_ms)
