"""``python -m venue.signer.front --config FILE --region NAME``: the door to a region's signers.

Each bucket has a signer of its own, with that bucket's AWS identity alone. The front holds no
credential of any: it reads which wallet a request is about and passes it on to the signer of that
wallet's bucket, unchanged. A signer that hangs keeps only its own bucket's requests waiting.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httpx
import prometheus_client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from seawall.controls.timing import SIGNER_TIMEOUT_MS
from seawall.conventions import metrics as metrics_names
from seawall.errors import UsageError
from seawall.formats.venue_config import SignerAct, config_from_arguments
from venue.process import run, serve_http
from venue.signer.app import refused
from venue.signer.callers import Callers
from venue.signer.protocol import SigningRefusedError

BODY_BYTES_MAX = 256 * 1_024
"""A full payout takes 52 KiB in hex."""
_CONNECTIONS_OF_BUCKET_MAX = 64
"""More than a signer lets in at once, so that it is the signer that refuses, with its reason."""
_IDLE_S_MAX = 2.0
"""A signer closes a connection that was idle for 5 s; one that is used just then would fail."""
_JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class FrontMetrics:
    """The metrics of a front: strangers, who get no further."""

    region: str
    registry: prometheus_client.CollectorRegistry = field(
        default_factory=prometheus_client.CollectorRegistry
    )
    strangers: prometheus_client.Counter = field(init=False)

    def __post_init__(self) -> None:
        strangers = prometheus_client.Counter(
            metrics_names.SIGNER_STRANGERS,
            "Requests of callers that are not known, or may not ask for that",
            ("region",),
            registry=self.registry,
        )
        strangers.labels(self.region)
        object.__setattr__(self, "strangers", strangers)


@dataclass(frozen=True, kw_only=True)
class Front:
    """The front of one region.

    ``buckets`` are by wallet, ``clients`` by bucket: each reaches the signer of its bucket. A probe
    without a body goes to the signer of the first wallet by name; a settler names its own, so that
    it does not return to a region whose signer of another bucket is well.
    """

    buckets: Mapping[str, str]
    clients: Mapping[str, httpx.AsyncClient]
    callers: Callers
    metrics: FrontMetrics

    async def pass_on(self, request: Request, act: SignerAct) -> Response:
        """The answer of the signer that ``request`` is for.

        Raises :class:`SigningRefusedError`.
        """
        authorization = request.headers.get("Authorization")
        try:
            self.callers.check(authorization, act)
        except SigningRefusedError:
            self.metrics.strangers.labels(self.metrics.region).inc()
            raise
        body = await _bounded(request)
        wallet = min(self.buckets) if act == "probe" and not body else _wallet(body)
        bucket = self.buckets.get(wallet)
        if bucket is None:
            raise SigningRefusedError("bad_request", f"no signer here has a key of {wallet}")
        try:
            async with asyncio.timeout(SIGNER_TIMEOUT_MS / 1_000):
                answer = await self.clients[bucket].post(
                    f"/{act}", content=body, headers={"Authorization": authorization or ""}
                )
        except (httpx.HTTPError, TimeoutError) as error:
            raise SigningRefusedError(
                "provider_unavailable", f"the signer of {bucket} does not answer: {error!r}"
            ) from error
        return Response(answer.content, answer.status_code, media_type=_JSON)


async def _bounded(request: Request) -> bytes:
    parts = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise SigningRefusedError("bad_request", f"more than {BODY_BYTES_MAX} bytes")
        parts.append(part)
    return b"".join(parts)


def _wallet(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise SigningRefusedError("bad_request", f"the request is no JSON: {error}") from error
    wallet = found.get("wallet") if isinstance(found, dict) else None
    if not isinstance(wallet, str):
        raise SigningRefusedError("bad_request", "the request names no wallet")
    return wallet


def application(front: Front) -> Starlette:
    """The routes of ``front``; metrics are for everybody."""

    def to(act: SignerAct) -> Route:
        async def passed(request: Request) -> Response:
            try:
                return await front.pass_on(request, act)
            except SigningRefusedError as error:
                return refused(error)

        return Route(f"/{act}", passed, methods=["POST"])

    async def metrics(_: Request) -> Response:
        body = prometheus_client.generate_latest(front.metrics.registry)
        return Response(body, media_type=prometheus_client.CONTENT_TYPE_LATEST)

    return Starlette(routes=[to("sign"), to("prove"), to("probe"), Route("/metrics", metrics)])


async def _main(stop: asyncio.Event) -> None:
    config, arguments = config_from_arguments(
        "Pass requests on to the signers of one region.", region="the region whose signers sign"
    )
    region = arguments.region
    if region not in config.signers:
        raise UsageError(f"the configuration knows no signer of {region}")
    site, policy = config.signers[region], config.load_policy()
    limits = httpx.Limits(
        max_connections=_CONNECTIONS_OF_BUCKET_MAX,
        max_keepalive_connections=_CONNECTIONS_OF_BUCKET_MAX,
        keepalive_expiry=_IDLE_S_MAX,
    )
    async with AsyncExitStack() as stack:
        clients = {
            bucket: await stack.enter_async_context(
                httpx.AsyncClient(base_url=signer.url, timeout=2, limits=limits, trust_env=False)
            )
            for bucket, signer in site.buckets.items()
        }
        front = Front(
            buckets={wallet: policy.wallets[wallet].bucket for wallet in site.keys},
            clients=clients,
            callers=Callers(known=config.signer_callers),
            metrics=FrontMetrics(region=region),
        )
        await serve_http(application(front), port=site.listen_port, stop=stop)


if __name__ == "__main__":
    run(_main)
