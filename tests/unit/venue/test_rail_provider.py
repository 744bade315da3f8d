"""Answers of providers: what does not name the very instruction is no answer."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from seawall.errors import ServiceError
from seawall.formats.payout_rail import Instruction, Payout, Refusal
from venue.rails.provider import Provider

ASKED = Instruction(client_id="a-1", asset="USDX", amount="5", destination="GB00HARBOUR00000001")
PAYOUT = {"client_id": "a-1", "state": "accepted", "instruction": ASKED.model_dump()}


class Answers:
    """A provider whose every answer is ``status`` with ``body``; it notes what was told of it."""

    def __init__(self, status: int, body: Any) -> None:
        self.told: list[bool] = []
        self.asked: list[httpx.Request] = []
        content = body if isinstance(body, bytes) else json.dumps(body).encode()

        def answer(request: httpx.Request) -> httpx.Response:
            self.asked.append(request)
            return httpx.Response(status, content=content)

        self.provider = Provider(
            rail="fiat",
            side="primary",
            url="http://provider",
            credential="secret",
            client=httpx.AsyncClient(transport=httpx.MockTransport(answer)),
            tell=lambda _, answered: self.told.append(answered),
        )


async def test_a_payout_that_is_the_one_asked_for_is_an_answer() -> None:
    """Its credential is shown."""
    answers = Answers(201, PAYOUT)
    assert await answers.provider.submit(ASKED) == Payout.model_validate(PAYOUT)
    assert answers.told == [True]
    assert answers.asked[0].headers["authorization"] == "Bearer secret"


OTHER = ASKED.model_copy(update={"client_id": "b-1"})


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {}),
        (200, b"<html>"),
        (200, PAYOUT | {"state": "unheard-of"}),
        (200, PAYOUT | {"client_id": "b-1", "instruction": OTHER.model_dump()}),
        (200, PAYOUT | {"instruction": ASKED.model_dump() | {"amount": "6"}}),
        (200, PAYOUT | {"instruction": None}),
        (200, {"client_id": "a-1", "state": "cancelled", "instruction": None}),
        (204, b""),
        (302, PAYOUT),
        (400, {"code": "malformed", "reason": "x"}),
        (401, {"code": "unauthorized", "reason": "x"}),
        (500, PAYOUT),
        (503, {"code": "cancelled", "reason": "x"}),
        (409, {"code": "too_late", "reason": "x"}),
        (409, {"code": "id_reused", "reason": "x"}),
        (409, {"code": "id_reused", "reason": "x", "payout": PAYOUT}),
    ],
)
async def test_anything_else_leaves_an_instruction_in_doubt(status: int, body: Any) -> None:
    answers = Answers(status, body)
    with pytest.raises(ServiceError, match="does not answer"):
        await answers.provider.submit(ASKED)
    assert answers.told == [False]


@pytest.mark.parametrize(
    ("status", "code"),
    [(409, "id_reused"), (410, "cancelled"), (422, "over_limit"), (422, "insufficient_funds")],
)
async def test_refusals_are_answers(status: int, code: str) -> None:
    other = PAYOUT | {"instruction": ASKED.model_dump() | {"amount": "6"}}
    answers = Answers(status, {"code": code, "reason": "x", "payout": other})
    refused = await answers.provider.submit(ASKED)
    assert isinstance(refused, Refusal)
    assert (refused.code, answers.told) == (code, [True])


async def test_a_cancellation_names_its_id() -> None:
    cancelled = {"client_id": "a-1", "state": "cancelled", "instruction": None}
    assert (await Answers(200, cancelled).provider.cancel("a-1")).model_dump()[
        "state"
    ] == "cancelled"
    for body in (cancelled | {"client_id": "b-1"}, PAYOUT, {}):
        with pytest.raises(ServiceError):
            await Answers(200, body).provider.cancel("a-1")
    late = await Answers(409, {"code": "too_late", "reason": "x"}).provider.cancel("a-1")
    assert isinstance(late, Refusal)


@pytest.mark.parametrize(
    ("numbers", "more"), [((2, 3), False), ((1, 3), False), ((1, 1), False), ((), True)]
)
async def test_a_statement_with_a_gap_is_none(numbers: tuple[int, ...], more: bool) -> None:
    lines = [{"n": n, "at": 1.0, "payout": PAYOUT} for n in numbers]
    with pytest.raises(ServiceError, match="its statement goes on with"):
        await Answers(200, {"lines": lines, "more": more}).provider.statement(after=0)


@pytest.mark.parametrize(
    "change", [{"at": -1}, {"at": 1e300}, {"n": 0}, {"payout": PAYOUT | {"reason": "a\x00b"}}]
)
async def test_a_line_that_no_database_keeps_is_none(change: dict[str, Any]) -> None:
    lines = [{"n": 1, "at": 1.0, "payout": PAYOUT} | change]
    with pytest.raises(ServiceError):
        await Answers(200, {"lines": lines, "more": False}).provider.statement(after=0)
