"""The signer over HTTP: `POST /sign`, `POST /prove`, `POST /probe`, `GET /metrics`.

Who asks for the first three shows a credential; the name of each path is what the caller must be
allowed to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import prometheus_client
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from seawall.formats.venue_config import SignerAct
from venue.signer.callers import Callers
from venue.signer.protocol import (
    ProveRequest,
    Refused,
    SigningRefusedError,
    SignRefusalCode,
    SignRequest,
)
from venue.signer.service import SigningService

_STATUS: dict[SignRefusalCode, int] = {
    "stale_epoch": 409,
    "stale_mode": 409,
    "no_slot": 409,
    "digest_conflict": 409,
    "over_cap": 429,
    "provider_unavailable": 503,
    "records_unavailable": 503,
    "log_unavailable": 503,
    "throttled": 429,
    "bad_request": 422,
    "unknown_caller": 401,
    "not_allowed": 403,
}


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="application/json")


def refused(error: SigningRefusedError) -> Response:
    """A refusal over HTTP."""
    return _json(
        Refused(code=error.code, reason=error.reason).model_dump_json(), _STATUS[error.code]
    )


def application(service: SigningService, callers: Callers) -> Starlette:
    """The routes of ``service`` for ``callers``; metrics are for everybody."""

    def only(act: SignerAct, answer: Callable[[Request], Awaitable[str]]) -> Route:
        async def guarded(request: Request) -> Response:
            try:
                callers.check(request.headers.get("Authorization"), act)
            except SigningRefusedError as error:
                service.metrics.stranger()
                return refused(error)
            try:
                return _json(await answer(request))
            except ValidationError as error:
                return refused(SigningRefusedError("bad_request", str(error)))
            except SigningRefusedError as error:
                return refused(error)

        return Route(f"/{act}", guarded, methods=["POST"])

    async def sign(request: Request) -> str:
        wanted = SignRequest.model_validate_json(await request.body())
        return (await service.sign(wanted)).model_dump_json()

    async def prove(request: Request) -> str:
        wanted = ProveRequest.model_validate_json(await request.body())
        return (await service.prove(wanted)).model_dump_json()

    async def probe(_: Request) -> str:
        await service.probe()
        return "{}"

    async def metrics(_: Request) -> Response:
        body = prometheus_client.generate_latest(service.metrics.registry)
        return Response(body, media_type=prometheus_client.CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            only("sign", sign),
            only("prove", prove),
            only("probe", probe),
            Route("/metrics", metrics),
        ]
    )
