"""Swaps: prices from the exchange within the policy's bounds, and trades with the house at them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx

from seawall.controls.admission import admit
from seawall.controls.prices import PriceFault, price_fault
from seawall.errors import ServiceError
from seawall.formats.drill_contract import Refusal, SwapReceipt, SwapRequest
from venue.api import metrics
from venue.api.mode import confirm, holding_mode, read_mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from seawall.formats.venue_config import Endpoint
    from seawall.policy import Policy
    from venue.database import Connection, Pool


TIMEOUT_S = 0.3


class Exchange:
    """The exchange: its primary, and its standby if that gives no price that may be traded at.

    ``clock`` gives Unix seconds; the age of a price is measured by it.
    """

    def __init__(
        self, policy: Policy, endpoint: Endpoint, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._policy = policy
        self._sides = (("primary", endpoint.primary), ("standby", endpoint.standby))
        self._clock = clock
        self._http = httpx.AsyncClient(timeout=TIMEOUT_S)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def price(self, *, sell: str, buy: str) -> Fraction | Refusal:
        """Whole units of ``buy`` per whole unit of ``sell``, exact as quoted.

        A refusal if what was quoted is too old or too far from the policy's reference price; each
        such price is counted. Raises :class:`ServiceError` if neither answers.
        """
        failures: list[str] = []
        refused: list[PriceFault] = []
        for side, url in self._sides:
            try:
                response = await self._http.get(f"{url}/price", params={"sell": sell, "buy": buy})
                quoted = response.raise_for_status().json()
                price, made_at = Decimal(str(quoted["price"])), Decimal(str(quoted["ts"]))
            except (httpx.HTTPError, ValueError, KeyError, TypeError, InvalidOperation) as error:
                failures.append(f"{url}: {error!r}")
                continue
            if not (price.is_finite() and price > 0 and made_at.is_finite()):
                failures.append(f"{url}: price {price} of {made_at}")
                continue
            age_ms = int((Decimal(self._clock()) - made_at) * 1_000)
            fault = price_fault(self._policy, Fraction(price), sell=sell, buy=buy, age_ms=age_ms)
            if fault is None:
                return Fraction(price)
            metrics.PRICES_REFUSED.labels(side, fault).inc()
            refused.append(fault)
        if refused:
            return _price_refused(self._policy, refused[0], sell=sell, buy=buy)
        raise ServiceError(f"no exchange quotes {sell} for {buy}: {'; '.join(failures)}")


def _price_refused(policy: Policy, fault: PriceFault, *, sell: str, buy: str) -> Refusal:
    why = {
        "stale": f"is not of the last {policy.swaps.price_age_max / 1_000:g} s",
        "far": f"is more than {float(policy.swaps.deviation_max):.0%} away from what is expected",
    }
    return Refusal(
        code="price_out_of_bounds",
        reason=(
            f"The exchange's price of {sell} in {buy} {why[fault]}, so nothing is swapped at it "
            "and nothing was taken; try again later."
        ),
    )


def bought(policy: Policy, price: Fraction, *, sell: str, buy: str, amount: int) -> int:
    """Base units of ``buy`` for ``amount`` base units of ``sell``, rounded down.

    The house never pays a fraction too much.
    """
    scale = Fraction(10 ** policy.assets[buy].decimals, 10 ** policy.assets[sell].decimals)
    return int(amount * price * scale)


def too_little(asset: str) -> Refusal:
    """The refusal to sell more of ``asset`` than the house has."""
    return Refusal(
        code="insufficient_inventory",
        reason=f"The venue has too little {asset} to sell; try a smaller amount.",
    )


_KNOWN = """
    select customer_id, network, sell_asset, sell_amount, buy_asset, buy_amount
    from swaps where id = $1"""
_LOCK = """
    select account_id, available from balances
    where account_id = any($1::bigint[]) order by account_id for update"""
_APPROVE = "insert into approvals (id, actor, justification) values ($1, 'api', $2)"
_MAY_MOVE = """
    insert into approved_moves (approval_id, network, asset, from_bucket, to_bucket, amount)
    values ($1, $2, $3, $5, $6, $4), ($1, $2, $7, $6, $5, $8)"""
_SWAP = """
    insert into swaps (id, customer_id, network, sell_asset, sell_amount, buy_asset, buy_amount,
                       mode_epoch)
    values ($1, $2, $3, $4, $5, $6, $7, $8)"""
_POST = """
    with posted as (
        insert into postings (kind, swap_id, approval_id) values ('swap', $1, $2) returning id
    )
    insert into entries (posting_id, account_id, amount)
    select p.id, t.account_id, t.amount
    from posted p cross join unnest($3::bigint[], $4::numeric[]) as t (account_id, amount)"""
_MOVE = """
    update balances b set available = b.available + t.delta
    from unnest($1::bigint[], $2::numeric[]) as t (account_id, delta)
    where b.account_id = t.account_id"""


@dataclass(frozen=True, kw_only=True)
class Trade:
    """A swap with its price applied and the four accounts that it moves."""

    request: SwapRequest
    customer_id: int
    sell_amount: int
    buy_amount: int
    bucket: str
    house: str
    customer_sell: int
    customer_buy: int
    house_sell: int
    house_buy: int

    @property
    def accounts(self) -> tuple[int, int, int, int]:
        """The customer's two accounts, then the house's."""
        return self.customer_sell, self.customer_buy, self.house_sell, self.house_buy


async def first_outcome(
    connection: Connection | Pool, customer_id: int, request: SwapRequest
) -> SwapReceipt | Refusal | None:
    """What became of the swap with this id; None if there is none yet."""
    known = await connection.fetchrow(_KNOWN, request.id)
    if known is None:
        return None
    content = (customer_id, request.network, request.sell, int(request.amount), request.buy)
    if tuple(known)[:5] != content:
        return Refusal(
            code="id_reused", reason="This id was used for another swap; make a new one."
        )
    await confirm(connection)
    return SwapReceipt(id=request.id, buy_amount=str(known["buy_amount"]))


async def commit_swap(
    connection: Connection, policy: Policy, trade: Trade
) -> SwapReceipt | Refusal:
    """Book ``trade`` in one transaction, or refuse it.

    A replay returns the first outcome, at the first price.
    """
    request = trade.request
    async with holding_mode(connection):
        mode = await read_mode(connection)
        # Before the first outcome is looked for: the lock may have waited for the same request, and
        # only a later statement sees what that committed.
        available = {
            row["account_id"]: row["available"]
            for row in await connection.fetch(_LOCK, sorted(trade.accounts))
        }
        known = await first_outcome(connection, trade.customer_id, request)
        if known is not None:
            return known
        admission = admit(policy, mode.tier, "swaps")
        if admission.outcome != "allowed":
            return Refusal(code="suspended", reason=admission.reason or "")
        if available[trade.customer_sell] < trade.sell_amount:
            return Refusal(
                code="insufficient_balance", reason="The balance does not cover the amount."
            )
        if available[trade.house_buy] < trade.buy_amount:
            return too_little(request.buy)
        await _book(connection, trade, mode.epoch)
    return SwapReceipt(id=request.id, buy_amount=str(trade.buy_amount))


async def _book(connection: Connection, trade: Trade, mode_epoch: int) -> None:
    request, approval = trade.request, uuid4()
    reason = (
        f"swap {request.id} at the exchange's price: "
        f"both legs cross between {trade.bucket} and {trade.house}"
    )
    await connection.execute(_APPROVE, approval, reason)
    sold, gotten = (request.sell, trade.sell_amount), (request.buy, trade.buy_amount)
    await connection.execute(
        _MAY_MOVE, approval, request.network, *sold, trade.bucket, trade.house, *gotten
    )
    await connection.execute(
        _SWAP,
        request.id,
        trade.customer_id,
        request.network,
        request.sell,
        trade.sell_amount,
        request.buy,
        trade.buy_amount,
        mode_epoch,
    )
    deltas = [-trade.sell_amount, trade.buy_amount, trade.sell_amount, -trade.buy_amount]
    # What the venue owes is negative in the ledger and positive as an available balance.
    await connection.execute(
        _POST, request.id, approval, list(trade.accounts), [-delta for delta in deltas]
    )
    await connection.execute(_MOVE, list(trade.accounts), deltas)
