"""The messages and operations of the marketplace, beside those of the drill contract.

No drill uses them, so they are this venue's alone. Amounts and ids are as in the contract.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from seawall.formats.drill_contract import Message, Operation, PositiveAmountText

Title = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00]*$")]
Cursor = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,17}$")]
BidState = Literal["open", "settled", "refunded"]


class ListingRequest(Message):
    """Offer something for ``price`` or more of ``asset`` on ``network``.

    ``id`` is chosen by the client.
    """

    id: UUID
    network: str
    asset: str
    price: PositiveAmountText
    title: Title


class Listing(Message):
    """Something on offer. ``n`` counts listings up, newest last.

    ``bid_id`` is the bid that has it, open or settled, and told to its two parties alone.
    """

    id: UUID
    n: int
    network: str
    asset: str
    price: PositiveAmountText
    title: str
    state: Literal["open", "taken", "sold"]
    bid_id: UUID | None


class Listings(Message):
    """Listings, newest first; those below the ``n`` of the last one come after ``before`` it."""

    listings: tuple[Listing, ...]


class BidRequest(Message):
    """Bid ``amount``, in the asset and on the network of the listing.

    ``id`` is chosen by the client.
    """

    id: UUID
    listing_id: UUID
    amount: PositiveAmountText


class Bid(Message):
    """A bid; its money is in escrow while it is open."""

    id: UUID
    listing_id: UUID
    network: str
    asset: str
    amount: PositiveAmountText
    state: BidState


MARKET_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="browse",
        method="get",
        path="/v1/listings",
        success=200,
        answer=Listings,
        optional_query=("before",),
        refusals=(400,),
    ),
    Operation(
        name="list_item",
        method="post",
        path="/v1/listings",
        success=201,
        answer=Listing,
        request=ListingRequest,
        refusals=(400, 409, 422),
    ),
    Operation(
        name="bid",
        method="post",
        path="/v1/bids",
        success=201,
        answer=Bid,
        request=BidRequest,
        refusals=(400, 404, 409, 422),
    ),
    Operation(
        name="follow_bid",
        method="get",
        path="/v1/bids/{id}",
        success=200,
        answer=Bid,
        refusals=(400, 404),
    ),
    Operation(
        name="settle_bid",
        method="post",
        path="/v1/bids/{id}/settle",
        success=200,
        answer=Bid,
        refusals=(400, 404, 409),
    ),
    Operation(
        name="refund_bid",
        method="post",
        path="/v1/bids/{id}/refund",
        success=200,
        answer=Bid,
        refusals=(400, 404, 409),
    ),
)
