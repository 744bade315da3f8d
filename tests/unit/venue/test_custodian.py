"""What the treasury takes for an answer of the custodian: what names the very transfer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest

from seawall.errors import ServiceError
from seawall.formats.custody import Refusal, Transfer, TransferRequest
from venue.treasury.custodian import Custodian

WANTED = TransferRequest(
    client_id=UUID(int=7),
    network="aster",
    wallet="cold",
    asset="AST",
    amount="5",
    destination="0x" + "d0" * 20,
    expires_at=1,
    approvals=(),
)
TAKEN = {
    **json.loads(WANTED.model_dump_json(exclude={"approvals"})),
    "state": "accepted",
    "release_at": 1.0,
}
Answer = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def custodian(answer: Answer) -> AsyncIterator[Custodian]:
    """The client of a custodian that gives this ``answer``."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        yield Custodian(url="http://custodian.test/", credential="venue", client=client)


def says(status: int, document: Any) -> Answer:
    return lambda _: httpx.Response(status, json=document)


@pytest.mark.parametrize("status", [200, 201])
async def test_a_transfer_that_it_has_taken_is_an_answer(status: int) -> None:
    """It is asked with the venue's credential, under one address."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, json=TAKEN)

    async with custodian(answer) as asked:
        told = await asked.ask(WANTED)
    assert isinstance(told, Transfer)
    [request] = seen
    assert str(request.url) == "http://custodian.test/v1/transfers"
    assert request.headers["authorization"] == "Bearer venue"
    assert json.loads(request.content) == json.loads(WANTED.model_dump_json())


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "bad_approval"),
        (403, "approval_expired"),
        (422, "unknown_wallet"),
        (409, "id_reused"),
        (503, "incident"),
    ],
)
async def test_a_refusal_is_an_answer_if_its_status_fits(status: int, code: str) -> None:
    document = {"code": code, "reason": "so it is"}
    async with custodian(says(status, document)) as asked:
        assert await asked.ask(WANTED) == Refusal(code=code, reason="so it is")
    async with custodian(says(200 if status != 403 else 422, document)) as asked:
        with pytest.raises(ServiceError, match="does not answer"):
            await asked.ask(WANTED)


async def test_that_it_knows_nothing_of_it_is_an_answer_to_a_look_alone() -> None:
    document = {"code": "not_found", "reason": "never asked for"}
    async with custodian(says(404, document)) as asked:
        assert isinstance(await asked.find(WANTED), Refusal)
        with pytest.raises(ServiceError):
            await asked.ask(WANTED)
        with pytest.raises(ServiceError):
            await asked.condition()


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": str(UUID(int=8))},
        {"amount": "6"},
        {"destination": "0x" + "d1" * 20},
        {"asset": "USDX"},
        {"network": "birch"},
        {"wallet": "other"},
        {"expires_at": 2},
        {"state": "lost"},
        {"more": 1},
    ],
    ids=lambda each: next(iter(each)),
)
async def test_an_answer_about_something_else_is_none(changes: dict[str, Any]) -> None:
    """What it says of another transfer would be taken for the fate of this one."""
    async with custodian(says(200, TAKEN | changes)) as asked:
        for ask in (asked.ask, asked.find):
            with pytest.raises(ServiceError, match="does not answer"):
                await ask(WANTED)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"state": "asleep"}'])
async def test_nonsense_is_no_condition(body: bytes) -> None:
    async with custodian(lambda _: httpx.Response(200, content=body)) as asked:
        with pytest.raises(ServiceError):
            await asked.condition()


async def test_a_connection_that_fails_is_silence() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset", request=request)

    async with custodian(answer) as asked:
        with pytest.raises(ServiceError, match="does not answer"):
            await asked.find(WANTED)
