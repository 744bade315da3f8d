"""The marketplace over HTTP: each operation of :data:`MARKET_OPERATIONS`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, Query, Request, Response

from seawall.formats.drill_contract import Message, Refusal
from venue.api.handlers import Customer, With, answer, count
from venue.api.market import Asked
from venue.api.market_messages import BidRequest, ListingRequest, Listings

_NEWEST = "9" * 18


def add_marketplace(app: FastAPI) -> None:
    """Have ``app`` serve the marketplace."""
    app.get("/v1/listings")(browse)
    app.post("/v1/listings")(list_item)
    app.post("/v1/bids")(bid)
    app.get("/v1/bids/{bid_id}")(follow_bid)
    app.post("/v1/bids/{bid_id}/settle")(settle_bid)
    app.post("/v1/bids/{bid_id}/refund")(refund_bid)


def _say(request: Request, outcome: Message, *, status: int = 200) -> Response:
    count(request, outcome.code if isinstance(outcome, Refusal) else "ok")
    return answer(outcome, status=status)


async def browse(
    request: Request,
    services: With,
    customer: Customer,
    before: Annotated[str, Query(pattern=r"^[1-9][0-9]{0,17}$")] = _NEWEST,
) -> Response:
    """What is on offer, newest first."""
    found = await services.market.browse(customer, int(before))
    outcome = found if isinstance(found, Refusal) else Listings(listings=tuple(found))
    return _say(request, outcome)


async def list_item(
    request: Request, services: With, customer: Customer, body: ListingRequest
) -> Response:
    """Offer an item."""
    return _say(request, await services.market.list_item(customer, body), status=201)


async def bid(request: Request, services: With, customer: Customer, body: BidRequest) -> Response:
    """Bid for an item; the money is in escrow from then on."""
    asked = Asked(request=body, bidder_id=customer)
    return _say(request, await services.market.bid(asked), status=201)


async def follow_bid(
    request: Request, services: With, customer: Customer, bid_id: UUID
) -> Response:
    """The state of a bid."""
    return _say(request, await services.market.follow(customer, bid_id))


async def settle_bid(
    request: Request, services: With, customer: Customer, bid_id: UUID
) -> Response:
    """Give what was bid to the seller."""
    return _say(request, await services.market.settle(customer, bid_id))


async def refund_bid(
    request: Request, services: With, customer: Customer, bid_id: UUID
) -> Response:
    """Give what was bid back to the bidder."""
    return _say(request, await services.market.refund(customer, bid_id))
