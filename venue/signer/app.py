"""The signer over HTTP: `POST /sign`, `POST /prove`, `POST /probe`, `GET /metrics`."""

from __future__ import annotations

import prometheus_client
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

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
    "log_unavailable": 503,
    "throttled": 429,
    "bad_request": 422,
}


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="application/json")


def _refused(error: SigningRefusedError) -> Response:
    return _json(
        Refused(code=error.code, reason=error.reason).model_dump_json(), _STATUS[error.code]
    )


def application(service: SigningService) -> Starlette:
    """The routes of ``service``."""

    async def sign(request: Request) -> Response:
        try:
            wanted = SignRequest.model_validate_json(await request.body())
            return _json((await service.sign(wanted)).model_dump_json())
        except ValidationError as error:
            return _refused(SigningRefusedError("bad_request", str(error)))
        except SigningRefusedError as error:
            return _refused(error)

    async def prove(request: Request) -> Response:
        try:
            wanted = ProveRequest.model_validate_json(await request.body())
            return _json((await service.prove(wanted)).model_dump_json())
        except ValidationError as error:
            return _refused(SigningRefusedError("bad_request", str(error)))
        except SigningRefusedError as error:
            return _refused(error)

    async def probe(_: Request) -> Response:
        try:
            await service.probe()
        except SigningRefusedError as error:
            return _refused(error)
        return _json("{}")

    async def metrics(_: Request) -> Response:
        body = prometheus_client.generate_latest(service.metrics.registry)
        return Response(body, media_type=prometheus_client.CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/sign", sign, methods=["POST"]),
            Route("/prove", prove, methods=["POST"]),
            Route("/probe", probe, methods=["POST"]),
            Route("/metrics", metrics),
        ]
    )
