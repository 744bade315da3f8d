"""What customers of a venue must find, in plain Python: balances, withdrawals and swaps.

No database, no clock, no batches: each request is decided at once and alone. Limits within a window
are left out, because they are a matter of time; no run asks for as much as they allow.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from seawall.formats.drill_contract import RefusalCode, WithdrawalReceipt, WithdrawalRequest

State = Literal["reserved", "slotted", "posted", "voided", "unknown"]
Pool = tuple[str, str]
"""(network, asset)."""

DECIMALS = {"AST": 18, "BIR": 18, "USDX": 6}
PRICES = {"AST": 2_000, "BIR": 500, "USDX": 1}
POOLS: tuple[Pool, ...] = (("aster", "AST"), ("aster", "USDX"), ("birch", "BIR"), ("birch", "USDX"))
VALUE_MIN, VALUE_MAX = 1, 100_000
SMALL_MAX = 1_000


def units(asset: str, value: Fraction) -> int:
    """Base units of ``asset`` that are worth ``value``."""
    return int(value * 10 ** DECIMALS[asset] / PRICES[asset])


@dataclass(kw_only=True)
class Known:
    """A withdrawal that was acknowledged; ``tried`` once a slot was to pay it."""

    customer: int
    request: WithdrawalRequest
    receipt: WithdrawalReceipt
    state: State = "reserved"
    tried: bool = False
    asked_back: bool = False
    slot_state: str = "open"

    @property
    def pays(self) -> Pool:
        """Whose balance it was taken from."""
        return (self.request.source_network or self.request.network, self.request.asset)

    @property
    def shown(self) -> str:
        """Its state as customers are told it."""
        if self.state != "slotted":
            return self.state
        return "slotted" if self.slot_state == "open" else self.slot_state


@dataclass(kw_only=True)
class Swapped:
    """A swap that was acknowledged; amounts in base units."""

    customer: int
    network: str
    sell: str
    buy: str
    sold: int
    bought: int


@dataclass(kw_only=True)
class Model:
    """The customers of one run."""

    balances: dict[int, dict[Pool, int]]
    withdrawals: dict[uuid.UUID, Known] = field(default_factory=dict)
    swaps: dict[uuid.UUID, Swapped] = field(default_factory=dict)

    def refusal(self, customer: int, request: WithdrawalRequest) -> RefusalCode | None:
        """Why a request with a new id must be refused, or None."""
        pays = (request.source_network or request.network, request.asset)
        if pays not in POOLS or (request.network, request.asset) not in POOLS:
            return "unknown_asset"
        amount = int(request.amount)
        if amount < units(request.asset, Fraction(VALUE_MIN)):
            return "below_minimum"
        if amount > units(request.asset, Fraction(VALUE_MAX)):
            return "over_limit"
        return None if amount <= self.balances[customer][pays] else "insufficient_balance"

    def reserved(
        self, customer: int, request: WithdrawalRequest, receipt: WithdrawalReceipt
    ) -> Known:
        """A new request was acknowledged."""
        known = Known(customer=customer, request=request, receipt=receipt)
        self.balances[customer][known.pays] -= int(request.amount)
        self.withdrawals[request.id] = known
        return known

    def replay(self, known: Known) -> WithdrawalReceipt:
        """What the same request must be answered."""
        return known.receipt.model_copy(update={"outcome": "replayed", "state": known.shown})

    def cancelled(self, known: Known) -> State | None:
        """Its customer cancels it: the state that must be told, or None if it is too late."""
        if known.state in ("slotted", "posted"):
            return None
        if known.state == "reserved" and not known.tried:
            self._give_back(known)
        elif known.state in ("reserved", "unknown"):
            known.state, known.asked_back = "unknown", True
        return known.state

    def settled(self, known: Known, kind: str) -> None:
        """A slot that was about it is final, and the chain said ``kind`` of it."""
        match kind:
            case "paid":
                known.state = "posted"
            case "failed" | "unclear":
                known.state = "unknown"
            case "untried" if known.state == "slotted":
                known.state = "reserved"
            case "cancelled":
                self._give_back(known)
            case "disputed":
                known.asked_back = False

    def swap_refusal(
        self, customer: int, network: str, sell: str, buy: str, amount: int
    ) -> RefusalCode | None:
        """Why a swap with a new id must be refused, or None."""
        if (network, sell) not in POOLS or (network, buy) not in POOLS or sell == buy:
            return "unknown_asset"
        if bought(sell, buy, amount) == 0:
            return "below_minimum"
        short = amount > self.balances[customer][network, sell]
        return "insufficient_balance" if short else None

    def swapped(self, identity: uuid.UUID, swap: Swapped) -> None:
        """A new swap was acknowledged."""
        self.balances[swap.customer][swap.network, swap.sell] -= swap.sold
        self.balances[swap.customer][swap.network, swap.buy] += swap.bought
        self.swaps[identity] = swap

    def _give_back(self, known: Known) -> None:
        known.state = "voided"
        self.balances[known.customer][known.pays] += int(known.request.amount)


def bought(sell: str, buy: str, amount: int) -> int:
    """Base units of ``buy`` for ``amount`` of ``sell`` at the reference prices, rounded down."""
    up = amount * PRICES[sell] * 10 ** DECIMALS[buy]
    return int(up // (PRICES[buy] * 10 ** DECIMALS[sell]))
