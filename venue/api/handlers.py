"""What all handlers of the api share: who asks, what it works with, and how it answers."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Header, Request, Response

from seawall.formats.drill_contract import Message, Refusal
from venue.api import metrics
from venue.api.front import UNAUTHORIZED, Services, customer_of
from venue.api.intake import STATUS_OF


class RefusedError(Exception):
    """Ends a request with a refusal, which the app sends as the answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def answer(message: Message, *, status: int = 200) -> Response:
    """``message`` as JSON; a refusal brings its own status."""
    if isinstance(message, Refusal):
        status = STATUS_OF[message.code]
    return Response(message.model_dump_json(), status_code=status, media_type="application/json")


async def services_of(request: Request) -> Services:
    """What the api works with."""
    return cast("Services", request.app.state.services)


async def _known_customer(
    services: Annotated[Services, Depends(services_of)],
    authorization: Annotated[str, Header()] = "",
) -> int:
    customer = await customer_of(services, authorization)
    if customer is None:
        raise RefusedError(UNAUTHORIZED)
    return customer


With = Annotated[Services, Depends(services_of)]
Customer = Annotated[int, Depends(_known_customer)]


def count(request: Request, outcome: str) -> None:
    """Count a request of this route by what became of it."""
    route = request.scope.get("route")
    metrics.REQUESTS.labels(getattr(route, "name", "none"), outcome).inc()
