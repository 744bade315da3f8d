"""The api's front door: it bounds every body, and withdrawal requests bypass the web framework.

``POST /v1/withdrawals`` goes straight to the flusher, all other requests to the FastAPI app behind.
In a flood nearly all requests are withdrawals, and the framework's routing, dependencies and
validation cost three times the work of intake itself (profiled).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from seawall.formats.drill_contract import Message, Refusal, WithdrawalReceipt, WithdrawalRequest
from seawall.policy import Policy
from venue.api import metrics
from venue.api.directory import Directory
from venue.api.flusher import Flusher
from venue.api.intake import STATUS_OF, reservation_of
from venue.api.market import Market
from venue.api.swaps import Exchange
from venue.database import FAILURES, Pool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that request handlers use; made once per process."""

    policy: Policy
    pool: Pool
    directory: Directory
    flusher: Flusher
    exchange: Exchange
    own_addresses: frozenset[str]
    market: Market


PATH = "/v1/withdrawals"
BODY_BYTES_MAX = 16_384
"""A longer body is neither read to its end nor kept in memory.

The longest request is a ticket: 4,000 characters of up to four bytes.
"""
_TOO_LONG_STATUS, _WRONG_METHOD_STATUS = 413, 405

UNAUTHORIZED = Refusal(
    code="unauthorized", reason="Send a known key as `Authorization: Bearer <key>`."
)
UNAVAILABLE = Refusal(code="unavailable", reason="The venue cannot answer this now; try again.")
_TOO_LONG = Refusal(code="malformed", reason=f"body: more than {BODY_BYTES_MAX} bytes")
WRONG_METHOD = Refusal(code="malformed", reason="This address is not asked by this method.")
_UNROUTED = "none"
"""The operation of a request that was answered before it was known to be one, as a label."""


class Front:
    """An ASGI app that serves ``POST /v1/withdrawals`` itself and hands the rest to ``behind``."""

    def __init__(self, services: Services, behind: AsgiApp) -> None:
        self._services = services
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._behind(scope, receive, send)
            return
        body = await _body(scope, receive)
        if body is None:
            metrics.REQUESTS.labels(_UNROUTED, _TOO_LONG.code).inc()
            # The rest of the body is on its way: only closing the connection spares us reading it.
            await _send(send, _TOO_LONG, _TOO_LONG_STATUS, (b"connection", b"close"))
            return
        if scope["path"] != PATH:
            await self._behind(scope, _with_body(body, receive), send)
            return
        if scope["method"] != "POST":
            metrics.REQUESTS.labels(_UNROUTED, WRONG_METHOD.code).inc()
            await _send(send, WRONG_METHOD, _WRONG_METHOD_STATUS, (b"allow", b"POST"))
            return
        try:
            outcome = await self._withdraw(scope, body)
        except FAILURES:
            outcome = UNAVAILABLE
        if isinstance(outcome, Refusal):
            said: str = outcome.code
            status = STATUS_OF[outcome.code]
        else:
            said, status = outcome.outcome, 202
        metrics.REQUESTS.labels("request_withdrawal", said).inc()
        await _send(send, outcome, status)

    async def _withdraw(self, scope: Scope, body: bytes) -> WithdrawalReceipt | Refusal:
        customer = await customer_of(self._services, _authorization(scope))
        if customer is None:
            return UNAUTHORIZED
        try:
            request = WithdrawalRequest.model_validate_json(body)
        except ValidationError as error:
            return malformed(error.errors(include_url=False))
        services = self._services
        reservation = await reservation_of(
            services.policy, services.directory, services.own_addresses, customer, request
        )
        return (
            reservation
            if isinstance(reservation, Refusal)
            else await self._services.flusher.submit(reservation)
        )


def malformed(faults: Any) -> Refusal:
    """A refusal that names every field and what is wrong with it."""
    return Refusal(
        code="malformed",
        reason="; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults),
    )


async def customer_of(services: Services, authorization: str) -> int | None:
    """The customer whose key an ``Authorization`` header carries, or None."""
    scheme, _, key = authorization.partition(" ")
    return await services.directory.customer_of(key) if scheme.lower() == "bearer" and key else None


def _authorization(scope: Scope) -> str:
    return _header(scope, b"authorization").decode("latin-1")


def _header(scope: Scope, wanted: bytes) -> bytes:
    return next((value for name, value in scope["headers"] if name == wanted), b"")


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """The whole body, or None as soon as it is known to be longer than ``BODY_BYTES_MAX``."""
    announced = _header(scope, b"content-length")
    if announced.isdigit() and int(announced) > BODY_BYTES_MAX:
        return None
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        part = event.get("body", b"")
        size += len(part)
        if size > BODY_BYTES_MAX:
            return None
        parts.append(part)
        if not event.get("more_body", False):
            return b"".join(parts)


def _with_body(body: bytes, receive: Receive) -> Receive:
    """``receive`` as it was before ``body`` was read from it."""
    unread = [body]

    async def again() -> MutableMapping[str, Any]:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        return await receive()

    return again


async def _send(send: Send, message: Message, status: int, *more: tuple[bytes, bytes]) -> None:
    body = message.model_dump_json().encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += more
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
