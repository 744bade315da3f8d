"""The HTTP app of the api: every operation of the drill contract but withdrawal requests.

Those are served by :class:`venue.api.front.Front`, which wraps this app.
"""

from __future__ import annotations

import secrets
from fractions import Fraction
from typing import Annotated
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from seawall.errors import ServiceError
from seawall.formats.drill_contract import (
    AMOUNT_MAX,
    Balance,
    Balances,
    Login,
    Quote,
    Refusal,
    Status,
    SwapReceipt,
    SwapRequest,
    Ticket,
    TicketRequest,
    Withdrawal,
    openapi,
)
from venue.api import metrics
from venue.api.front import (
    UNAUTHORIZED,
    UNAVAILABLE,
    WRONG_METHOD,
    Front,
    Services,
    customer_of,
    malformed,
)
from venue.api.handlers import Customer, RefusedError, With, answer, count
from venue.api.intake import STATUS_OF
from venue.api.market_handlers import add_marketplace
from venue.api.market_messages import MARKET_OPERATIONS
from venue.api.mode import read_mode
from venue.api.reservations import NOT_FOUND, STATE, cancel_withdrawal
from venue.api.swaps import Trade, bought, commit_swap, first_outcome, too_little
from venue.database import FAILURES

QUOTE_VALID_MS = 1_000
"""How long a quote may be shown; a swap is booked at the price at its own time."""

_BALANCES = """
    select a.network, a.asset, b.available from accounts a join balances b on b.account_id = a.id
    where a.customer_id = $1 order by a.network, a.asset"""
_FOLLOW = f"""
    select w.id, w.seq, {STATE} as state, coalesce(s.mined_hash, s.tx_hash) as tx_hash,
           case when w.state = 'reserved' and p.asset is not null then $3
                when w.state in ('reserved', 'voided', 'unknown') then w.reason end as reason
    from withdrawals w left join slots s on s.id = w.slot_id
         left join asset_pauses p on (p.network, p.asset) = (w.network, w.asset)
    where w.id = $1 and w.customer_id = $2"""
_ASSET_PAUSED = (
    "Payments of this asset do not go through on this network at present. "
    "Yours keeps its place, and can be cancelled."
)
_TICKET = "insert into tickets (customer_id, kind, text) values ($1, $2, $3) returning id"

_UNROUTED = {
    404: Refusal(code="not_found", reason="There is nothing at this address."),
    405: WRONG_METHOD,
}
_UNREADABLE = Refusal(code="malformed", reason="body: cannot be read as JSON")


def make_app(services: Services) -> Front:
    """The api over ``services``; its OpenAPI document is that of the contract and marketplace."""
    app = FastAPI(
        openapi_url="/openapi.json", docs_url=None, redoc_url=None, redirect_slashes=False
    )
    # The documented way to serve another OpenAPI document (FastAPI, "Extending OpenAPI").
    app.openapi = lambda: openapi(MARKET_OPERATIONS)  # type: ignore[method-assign]
    app.state.services = services
    app.post("/v1/login")(login)
    app.get("/v1/balances")(balances)
    app.get("/v1/withdrawals/{withdrawal_id}")(follow_withdrawal)
    app.post("/v1/withdrawals/{withdrawal_id}/cancel")(cancel)
    app.get("/v1/quote")(quote)
    app.post("/v1/swaps")(swap)
    app.get("/v1/status")(status)
    app.post("/v1/tickets")(ticket)
    add_marketplace(app)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _of_framework)
    app.add_exception_handler(RefusedError, _refused)
    for failure in (*FAILURES, ServiceError):
        app.add_exception_handler(failure, _unavailable)
    return Front(services, app)


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    refusal = await _stranger(request) or malformed(error.errors())
    count(request, refusal.code)
    return answer(refusal)


async def _of_framework(request: Request, error: Exception) -> Response:
    """What the framework refuses on its own, in the words of the contract."""
    assert isinstance(error, HTTPException)
    refusal, status = _UNROUTED.get(error.status_code), error.status_code
    if refusal is None:
        refusal = await _stranger(request) or _UNREADABLE
        status = STATUS_OF[refusal.code]
    count(request, refusal.code)
    return Response(
        refusal.model_dump_json(),
        status_code=status,
        media_type="application/json",
        headers={"allow": _allowed(request)} if refusal is WRONG_METHOD else error.headers,
    )


def _allowed(request: Request) -> str:
    """All methods of this address; the framework names those of its first operation alone."""
    methods = {
        method
        for route in request.app.routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods
    }
    return ", ".join(sorted(methods))


async def _stranger(request: Request) -> Refusal | None:
    """The refusal of a caller without a known key: what it sent is of no interest then.

    The framework reads a body before it asks who sent it.
    """
    authorization = request.headers.get("authorization", "")
    try:
        customer = await customer_of(request.app.state.services, authorization)
    except FAILURES:
        return UNAVAILABLE
    return UNAUTHORIZED if customer is None else None


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    count(request, error.refusal.code)
    return answer(error.refusal)


async def _unavailable(request: Request, _error: Exception) -> Response:
    count(request, "unavailable")
    return answer(UNAVAILABLE)


async def login(request: Request, services: With, customer: Customer) -> Response:
    """A session; the customer is checked in the database, not in the directory."""
    if await services.pool.fetchval("select true from customers where id = $1", customer) is None:
        raise RefusedError(UNAUTHORIZED)
    count(request, "ok")
    return answer(Login(customer_id=customer, session=secrets.token_urlsafe(24)))


async def balances(request: Request, services: With, customer: Customer) -> Response:
    """What the customer may still spend."""
    rows = await services.pool.fetch(_BALANCES, customer)
    count(request, "ok")
    return answer(
        Balances(
            balances=tuple(
                Balance(network=r["network"], asset=r["asset"], available=str(r["available"]))
                for r in rows
            )
        )
    )


async def follow_withdrawal(
    request: Request, services: With, customer: Customer, withdrawal_id: UUID
) -> Response:
    """The state of a withdrawal."""
    row = await services.pool.fetchrow(_FOLLOW, withdrawal_id, customer, _ASSET_PAUSED)
    if row is None:
        raise RefusedError(NOT_FOUND)
    count(request, "ok")
    return answer(Withdrawal(**dict(row)))


async def cancel(
    request: Request, services: With, customer: Customer, withdrawal_id: UUID
) -> Response:
    """Cancel a withdrawal whose payment has not begun."""
    async with services.pool.acquire() as connection:
        outcome = await cancel_withdrawal(connection, services.policy, customer, withdrawal_id)
    count(request, "ok" if isinstance(outcome, Withdrawal) else outcome.code)
    return answer(outcome)


def _tradable(services: Services, network: str, *assets: str) -> None:
    for asset in assets:
        house = services.directory.house(network, asset)
        if house is None or house.inventory is None:
            raise RefusedError(
                Refusal(code="unknown_asset", reason=f"{asset} is not traded on {network}.")
            )
    if len(set(assets)) != len(assets):
        raise RefusedError(Refusal(code="unknown_asset", reason="Choose two different assets."))


async def _price(services: Services, *, sell: str, buy: str) -> Fraction:
    price = await services.exchange.price(sell=sell, buy=buy)
    if isinstance(price, Refusal):
        raise RefusedError(price)
    return price


async def quote(
    request: Request,
    services: With,
    _customer: Customer,
    *,
    network: str,
    sell: str,
    buy: str,
    amount: Annotated[str, Query(pattern=r"^[1-9][0-9]{0,76}$")],
) -> Response:
    """What a swap would buy now."""
    _tradable(services, network, sell, buy)
    price = await _price(services, sell=sell, buy=buy)
    buys = bought(services.policy, price, sell=sell, buy=buy, amount=int(amount))
    if buys > AMOUNT_MAX:
        raise RefusedError(too_little(buy))
    count(request, "ok")
    return answer(Quote(buy_amount=str(buys), valid_ms=QUOTE_VALID_MS))


async def swap(request: Request, services: With, customer: Customer, body: SwapRequest) -> Response:
    """Trade with the house at the exchange's price; a replay needs none, and gets no other."""
    _tradable(services, body.network, body.sell, body.buy)
    known = await first_outcome(services.pool, customer, body)
    if known is not None:
        count(request, "ok" if isinstance(known, SwapReceipt) else known.code)
        return answer(known, status=201)
    price = await _price(services, sell=body.sell, buy=body.buy)
    trade = await _trade(
        services,
        customer,
        body,
        bought(services.policy, price, sell=body.sell, buy=body.buy, amount=int(body.amount)),
    )
    async with services.pool.acquire() as connection:
        try:
            outcome = await commit_swap(connection, services.policy, trade)
        except asyncpg.UniqueViolationError:  # the same id committed in between: now it is a replay
            outcome = await commit_swap(connection, services.policy, trade)
    count(request, "ok" if isinstance(outcome, SwapReceipt) else outcome.code)
    return answer(outcome, status=201)


async def _trade(services: Services, customer: int, body: SwapRequest, buys: int) -> Trade:
    selling, buying = (
        services.directory.house(body.network, body.sell),
        services.directory.house(body.network, body.buy),
    )
    accounts = await services.directory.accounts_of(customer)
    if buys == 0:
        raise RefusedError(
            Refusal(code="below_minimum", reason="The amount is too small to buy anything.")
        )
    assert selling is not None
    assert buying is not None
    assert selling.house is not None
    assert selling.inventory is not None
    assert buying.inventory is not None
    return Trade(
        request=body,
        customer_id=customer,
        sell_amount=int(body.amount),
        buy_amount=buys,
        bucket=selling.bucket,
        house=selling.house,
        customer_sell=accounts[body.network, body.sell],
        customer_buy=accounts[body.network, body.buy],
        house_sell=selling.inventory,
        house_buy=buying.inventory,
    )


async def status(request: Request, services: With) -> Response:
    """The mode in force and what it means."""
    mode = await read_mode(services.pool)
    promise = services.policy.tiers.promise(mode.tier)
    count(request, "ok")
    return answer(
        Status(
            tier=mode.tier,
            epoch=mode.epoch,
            since=mode.since_s,
            reason=mode.reason,
            guarantees=promise.guarantees,
            defers=promise.defers,
            suspends=promise.suspends,
        )
    )


async def ticket(
    request: Request, services: With, customer: Customer, body: TicketRequest
) -> Response:
    """Record a request for help."""
    number = await services.pool.fetchval(_TICKET, customer, body.kind, body.text)
    metrics.TICKETS.inc()
    count(request, "ok")
    return answer(Ticket(id=number), status=201)
