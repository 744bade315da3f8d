"""The operator api over HTTP: held withdrawals, orders, and what was denied.

Every request carries a bearer token. Who has no token, or not the right that a request needs, gets
401 or 403, and the attempt is on record. So is every decision, in the journal, before it is made.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, get_args
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from seawall.conventions.components import OPERATOR_PROCESS
from seawall.errors import UsageError
from seawall.policy import Policy, Tier
from venue.database import FAILURES, Pool
from venue.ledger.journal import append
from venue.operator import orders
from venue.operator.access import Operator, Right, denials, deny, identify
from venue.operator.held import Decision, decide, held

BODY_BYTES_MAX = 16_384
_DENIALS_MAX = 500


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DecisionBody(_Body):
    """What is to become of a held withdrawal."""

    decision: Decision
    justification: str = Field(min_length=1)
    destination: str | None = None


class OrderBody(_Body):
    """An order to be made."""

    kind: orders.OrderKind
    lasts_s: int
    justification: str
    network: str | None = None
    tier: Tier | None = None


class EndBody(_Body):
    """Why an order is ended before its time."""

    justification: str


Handler = Callable[[Request, Operator, dict[str, Any]], Awaitable[Any]]


class _RefusedError(Exception):
    """Ends a request; the text is for the operator."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class OperatorApi:
    """The routes over ``pool``, which connects as ``seawall_operator``.

    One process writes the journal of operators, so its entries are made one after another.
    """

    def __init__(self, pool: Pool, policy: Policy) -> None:
        self._pool = pool
        self._policy = policy
        self._journal = asyncio.Lock()

    def application(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/held", self._guarded("see", self._held)),
                Route(
                    "/v1/held/{withdrawal:uuid}/decision",
                    self._guarded("decide", self._decide),
                    methods=["POST"],
                ),
                Route("/v1/orders", self._guarded("see", self._orders)),
                Route("/v1/orders", self._guarded(None, self._order), methods=["POST"]),
                Route(
                    "/v1/orders/{order:int}/end", self._guarded(None, self._end), methods=["POST"]
                ),
                Route("/v1/denials", self._guarded("see", self._denials)),
            ]
        )

    def _guarded(self, right: Right | None, handler: Handler) -> Callable[..., Any]:
        """``handler`` for who has ``right``; None: the handler asks for one itself."""

        async def endpoint(request: Request) -> Response:
            try:
                return await self._answer(request, right, handler)
            except asyncpg.LockNotAvailableError:
                return _said(
                    HTTPStatus.SERVICE_UNAVAILABLE, "claims of payouts are in flight; ask again"
                )
            except FAILURES:
                return _said(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "the venue's database does not answer, and it is not known what it has done;"
                    " look before you ask again",
                )

        return endpoint

    async def _answer(self, request: Request, right: Right | None, handler: Handler) -> Response:
        operator: Operator | None = None
        said = b""
        try:
            operator = await self._operator(request)
            said = await _read(request)
            if right is not None:
                _require(operator, right)
            found = await handler(request, operator, _object(said))
        except _RefusedError as error:
            if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                action = f"{request.method} {request.url.path}"
                await deny(self._pool, operator, action=action, reason=str(error), request=said)
            return _said(error.status, str(error))
        except (ValidationError, UsageError) as error:
            return _said(HTTPStatus.UNPROCESSABLE_ENTITY, _plain(error))
        return Response(json.dumps(found, default=str), media_type="application/json")

    async def _operator(self, request: Request) -> Operator:
        found = await identify(self._pool, request.headers.get("authorization", ""))
        if found is None:
            raise _RefusedError(HTTPStatus.UNAUTHORIZED, "no operator has this token")
        return found

    async def _held(self, _: Request, operator: Operator, body: Mapping[str, Any]) -> Any:
        del operator, body
        async with self._pool.acquire() as connection:
            return [dataclasses.asdict(each) for each in await held(connection)]

    async def _decide(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        wanted = DecisionBody.model_validate(body)
        withdrawal: UUID = request.path_params["withdrawal"]
        async with self._journal, self._pool.acquire() as connection, connection.transaction():
            await append(
                connection,
                writer=OPERATOR_PROCESS,
                kind="decision",
                justification=wanted.justification,
                body={
                    "withdrawal": str(withdrawal),
                    "decision": wanted.decision,
                    "destination": wanted.destination,
                    "operator": operator.name,
                },
            )
            number = await decide(
                connection,
                withdrawal,
                wanted.decision,
                actor=operator.name,
                justification=wanted.justification,
                destination=wanted.destination,
            )
        return {"decision": number}

    async def _orders(self, _: Request, operator: Operator, body: Mapping[str, Any]) -> Any:
        del operator, body
        return [dataclasses.asdict(each) for each in await orders.in_force(self._pool)]

    async def _order(self, _: Request, operator: Operator, body: dict[str, Any]) -> Any:
        if body.get("kind") in get_args(orders.OrderKind):
            _require(operator, _NEEDS[body["kind"]])  # before what may be wrong with the rest
        wanted = orders.Wanted(**OrderBody.model_validate(body).model_dump())
        wanted.check(self._policy)
        async with self._journal, self._pool.acquire() as connection:
            number = await orders.make(connection, wanted, operator=operator.name)
        return {"order": number}

    async def _end(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        wanted = EndBody.model_validate(body)
        number: int = request.path_params["order"]
        found = {each.id: each for each in await orders.in_force(self._pool)}
        if number not in found:
            raise _RefusedError(HTTPStatus.NOT_FOUND, f"no order {number} is in force")
        _require(operator, _NEEDS[found[number].kind])
        async with self._journal, self._pool.acquire() as connection:
            await orders.end(
                connection, number, operator=operator.name, justification=wanted.justification
            )
        return {"ended": number}

    async def _denials(self, _: Request, operator: Operator, body: Mapping[str, Any]) -> Any:
        del operator, body
        return await denials(self._pool, limit=_DENIALS_MAX)


_NEEDS: Mapping[orders.OrderKind, Right] = {
    "halt": "halt",
    "at_least": "tier",
    "exactly": "override",
}


def _require(operator: Operator, right: Right) -> None:
    if right not in operator.may:
        raise _RefusedError(
            HTTPStatus.FORBIDDEN, f"{operator.name} may not do this: it needs the right {right}"
        )


async def _read(request: Request) -> bytes:
    """The body of the request."""
    said = bytearray()
    async for part in request.stream():
        said += part
        if len(said) > BODY_BYTES_MAX:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {BODY_BYTES_MAX} bytes"
            )
    return bytes(said)


def _object(said: bytes) -> dict[str, Any]:
    """The JSON object that a body is; empty without one."""
    if not said:
        return {}
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is no JSON object")
    return found


def _said(status: int, reason: str) -> Response:
    return JSONResponse({"reason": reason}, status_code=status)


def _plain(error: ValidationError | UsageError) -> str:
    if isinstance(error, UsageError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
