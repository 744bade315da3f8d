"""An exchange's order books and prices: pure, seeded, integers only.

Every asset of the policy trades against the unit of account. Prices are integer millionths of the
unit of account per whole unit; amounts are integer base units.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from seawall.policy import MICRO, Policy

Side = Literal["buy", "sell"]

LEVELS = 20
"""Levels on each side of a book."""
SPREAD = Fraction(2, 10_000)
"""Between best bid and best ask; two basis points, as majors trade on a liquid venue.

An assumption.
"""
STEP = Fraction(1, 10_000)
"""Between levels."""
DEPTH_SHARE = Fraction(1, 200)
"""Value on each level, as a share of the venue's liabilities. An assumption."""
DRIFT_MAX = Fraction(1, 20_000)
"""Largest move of a reference price per tick."""
BAND = Fraction(1, 100)
"""How far a price may be from the policy's reference price."""


@dataclass
class Level:
    """A price (micro units of account per whole unit) and what is left at it (base units)."""

    price_micro: int
    amount: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an order: how much was traded, for which value; the rest was not filled."""

    client_order_id: str
    side: Side
    asset: str
    asked: int
    filled: int
    value_micro: int


@dataclass
class _Market:
    reference_micro: int
    price_micro: int
    decimals: int
    level_amount: int
    bids: list[Level] = field(default_factory=list)
    asks: list[Level] = field(default_factory=list)


class Exchange:
    """Books of one exchange.

    Every change comes from :meth:`tick` or :meth:`order`, all randomness from the seed.
    """

    def __init__(self, policy: Policy, *, seed: int) -> None:
        self._random = random.Random(seed)
        self._markets: dict[str, _Market] = {}
        self._orders: dict[str, Outcome] = {}
        level_value_micro = int(
            policy.venue.liabilities * MICRO * DEPTH_SHARE.numerator / DEPTH_SHARE.denominator
        )
        for name, asset in policy.assets.items():
            reference_micro = int(asset.reference_price * MICRO)
            market = _Market(
                reference_micro=reference_micro,
                price_micro=reference_micro,
                decimals=asset.decimals,
                level_amount=level_value_micro * 10**asset.decimals // reference_micro,
            )
            self._markets[name] = market
            self._refill(market)

    def tick(self) -> None:
        """Move every price by one random step within its band, and refill the levels."""
        for market in self._markets.values():
            step = Fraction(self._random.randint(-1_000, 1_000), 1_000) * DRIFT_MAX
            moved = int(market.price_micro * (1 + step))
            low, high = (
                int(market.reference_micro * (1 - BAND)),
                int(market.reference_micro * (1 + BAND)),
            )
            market.price_micro = min(max(moved, low), high)
            self._refill(market)

    def price(self, *, sell: str, buy: str) -> Decimal:
        """Whole units of ``buy`` for one whole unit of ``sell``.

        Sold at the best bid, bought at the best ask. Raises KeyError.
        """
        bid, ask = self._markets[sell].bids[0].price_micro, self._markets[buy].asks[0].price_micro
        return (Decimal(bid) / Decimal(ask)).quantize(Decimal(1).scaleb(-18))

    def depth(self, asset: str) -> dict[str, list[dict[str, str]]]:
        """Both sides of the book of ``asset``, best level first. Raises KeyError."""
        market = self._markets[asset]
        return {
            side: [
                {"price_micro": str(level.price_micro), "amount": str(level.amount)}
                for level in levels
            ]
            for side, levels in (("bids", market.bids), ("asks", market.asks))
        }

    def order(self, *, client_order_id: str, side: Side, asset: str, amount: int) -> Outcome:
        """Trade ``amount`` base units against the book; what it lacks is not filled.

        The same id returns its first outcome and trades nothing. Raises KeyError for an unknown
        asset, ValueError for another order under a used id.
        """
        market = self._markets[asset]
        known = self._orders.get(client_order_id)
        if known is not None:
            if (known.side, known.asset, known.asked) != (side, asset, amount):
                message = f"order {client_order_id} was another one"
                raise ValueError(message)
            return known
        left, value = amount, Fraction(0)
        for level in market.asks if side == "buy" else market.bids:
            taken = min(left, level.amount)
            level.amount -= taken
            left -= taken
            value += Fraction(taken * level.price_micro, 10**market.decimals)
        # Rounded in the exchange's favour, as its own books would be.
        value_micro = -int(-value // 1) if side == "buy" else int(value)
        outcome = Outcome(
            client_order_id=client_order_id,
            side=side,
            asset=asset,
            asked=amount,
            filled=amount - left,
            value_micro=value_micro,
        )
        self._orders[client_order_id] = outcome
        return outcome

    def knows(self, client_order_id: str) -> bool:
        """Whether an order with this id was taken before."""
        return client_order_id in self._orders

    @staticmethod
    def _refill(market: _Market) -> None:
        half = SPREAD / 2
        market.bids = [
            Level(int(market.price_micro * (1 - half - STEP * depth)), market.level_amount)
            for depth in range(LEVELS)
        ]
        market.asks = [
            Level(-int(-market.price_micro * (1 + half + STEP * depth) // 1), market.level_amount)
            for depth in range(LEVELS)
        ]
