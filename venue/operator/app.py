"""The operator api over HTTP: held withdrawals, orders, approvals, cold transfers, denials.

Every request carries a bearer token. Who has no token, or not the right that a request needs, gets
401 or 403, and the attempt is on record. So is every decision, in the journal, before it is made.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Literal, get_args
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from seawall.conventions.components import OPERATOR_PROCESS
from seawall.errors import UsageError
from seawall.ethereum.keys import to_bytes
from seawall.formats.venue_config import VenueConfig
from seawall.policy import Policy, Tier
from venue.contracts.approvals import RequestKind
from venue.database import FAILURES, Pool
from venue.ledger.journal import append
from venue.operator import approvals, cold, orders
from venue.operator.access import Operator, Right, denials, deny, identify
from venue.operator.disputes import About, DisputeDecision, decide_dispute, disputes
from venue.operator.held import Decision, decide, held

BODY_BYTES_MAX = 16_384
_DENIALS_MAX = 500
_REQUESTS_MAX = 200
SIGNATURE = r"^(0x)?([0-9a-fA-F]{2}){8,80}$"
_TEXT = r"^[^\x00]+$"
"""What a database keeps as it is: approvers sign these texts."""


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DecisionBody(_Body):
    """What is to become of a held withdrawal."""

    decision: Decision
    justification: str = Field(min_length=1)
    destination: str | None = None


class DisputeBody(_Body):
    """What became of an id that a provider of a rail says something unexplained of."""

    rail: str = Field(pattern=_TEXT)
    side: Literal["primary", "standby"]
    client_id: str = Field(pattern=_TEXT)
    decision: DisputeDecision
    justification: str = Field(pattern=_TEXT)


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


class RequestBody(_Body):
    """What approvers are asked for; ``amount`` is a decimal string of base units."""

    kind: RequestKind
    wallet: str
    to: str
    use: str = Field(pattern=_TEXT)
    asset: str | None = None
    amount: str | None = Field(default=None, pattern=r"^[0-9]{1,40}$")
    address: str | None = None
    not_before: int | None = None


class MessageBody(_Body):
    """What somebody is about to sign; of a review the justification is its finding."""

    act: approvals.Act
    justification: str = Field(pattern=_TEXT)


class SignatureBody(MessageBody):
    """A signature of that, in hex: 65 bytes, or DER."""

    signature: str = Field(pattern=SIGNATURE)


class ColdSignatureBody(_Body):
    """A signature of a cold transfer's text, in hex: 65 bytes, or DER."""

    justification: str = Field(pattern=_TEXT)
    signature: str = Field(pattern=SIGNATURE)


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

    def __init__(self, pool: Pool, policy: Policy, config: VenueConfig) -> None:
        self._pool = pool
        self._policy = policy
        self._approvals = approvals.Approvals(config=config, policy=policy)
        self._cold = cold.ColdApprovals(config=config, policy=policy)
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
                Route("/v1/rails/disputes", self._guarded("see", self._disputes)),
                Route(
                    "/v1/rails/disputes",
                    self._guarded("decide", self._decide_dispute),
                    methods=["POST"],
                ),
                Route("/v1/orders", self._guarded("see", self._orders)),
                Route("/v1/orders", self._guarded(None, self._order), methods=["POST"]),
                Route(
                    "/v1/orders/{order:int}/end", self._guarded(None, self._end), methods=["POST"]
                ),
                Route("/v1/approvals", self._guarded("see", self._requests)),
                Route("/v1/approvals", self._guarded("request", self._request), methods=["POST"]),
                Route(
                    "/v1/approvals/{approval:uuid}/message",
                    self._guarded("approve", self._message),
                    methods=["POST"],
                ),
                Route(
                    "/v1/approvals/{approval:uuid}/signatures",
                    self._guarded("approve", self._sign),
                    methods=["POST"],
                ),
                Route("/v1/cold-transfers", self._guarded("see", self._cold_transfers)),
                Route(
                    "/v1/cold-transfers/{transfer:uuid}/signatures",
                    self._guarded("approve", self._sign_cold),
                    methods=["POST"],
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
        except approvals.NotAllowedError as error:
            action = f"{request.method} {request.url.path}"
            await deny(self._pool, operator, action=action, reason=str(error), request=said)
            return _said(HTTPStatus.FORBIDDEN, str(error))
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

    async def _disputes(self, _: Request, operator: Operator, body: Mapping[str, Any]) -> Any:
        del operator, body
        async with self._pool.acquire() as connection:
            return [dataclasses.asdict(each) for each in await disputes(connection)]

    async def _decide_dispute(self, _: Request, operator: Operator, body: dict[str, Any]) -> Any:
        wanted = DisputeBody.model_validate(body)
        async with self._journal, self._pool.acquire() as connection, connection.transaction():
            await append(
                connection,
                writer=OPERATOR_PROCESS,
                kind="rail decision",
                justification=wanted.justification,
                body={
                    "rail": wanted.rail,
                    "side": wanted.side,
                    "client_id": wanted.client_id,
                    "decision": wanted.decision,
                    "operator": operator.name,
                },
            )
            number, done = await decide_dispute(
                connection,
                About(rail=wanted.rail, side=wanted.side, client_id=wanted.client_id),
                wanted.decision,
                token=operator.token,
                justification=wanted.justification,
            )
        return {"decision": number, "done": done}

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

    async def _requests(self, _: Request, operator: Operator, body: Mapping[str, Any]) -> Any:
        del operator, body
        async with self._pool.acquire() as connection:
            return await self._approvals.listed(connection, limit=_REQUESTS_MAX)

    async def _request(self, _: Request, operator: Operator, body: dict[str, Any]) -> Any:
        asked = RequestBody.model_validate(body)
        wanted = approvals.Wanted(
            **asked.model_dump(exclude={"amount"}),
            amount=None if asked.amount is None else int(asked.amount),
        )
        async with self._journal, self._pool.acquire() as connection:
            return await self._approvals.request(
                connection, wanted, operator=operator, now_s=int(time.time())
            )

    async def _message(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        del operator
        wanted = MessageBody.model_validate(body)
        async with self._pool.acquire() as connection:
            return await self._approvals.message(
                connection, request.path_params["approval"], wanted.act, wanted.justification
            )

    async def _sign(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        wanted = SignatureBody.model_validate(body)
        async with self._journal, self._pool.acquire() as connection:
            approved = await self._approvals.sign(
                connection,
                request.path_params["approval"],
                wanted.act,
                signature=to_bytes(wanted.signature),
                said=wanted.justification,
                operator=operator,
            )
        return {"approved": approved}

    async def _cold_transfers(self, _: Request, operator: Operator, body: Mapping[str, Any]) -> Any:
        del operator, body
        async with self._pool.acquire() as connection:
            return await self._cold.listed(connection, limit=_REQUESTS_MAX)

    async def _sign_cold(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        wanted = ColdSignatureBody.model_validate(body)
        async with self._journal, self._pool.acquire() as connection:
            approved = await self._cold.sign(
                connection,
                request.path_params["transfer"],
                signature=to_bytes(wanted.signature),
                said=wanted.justification,
                operator=operator,
            )
        return {"approved": approved}

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
