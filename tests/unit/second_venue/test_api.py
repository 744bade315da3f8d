"""The interface of the second venue, in one process: its answers, and the vices that it has."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.testing.second_venue.api import Api
from tests.testing.second_venue.config import Vice
from tests.testing.second_venue_books import address, make_config

Serve = Callable[[Vice], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Serves the venue with a vice; the client is logged in as ann."""

    @asynccontextmanager
    async def served(vice: Vice) -> AsyncIterator[httpx.AsyncClient]:
        api = Api(make_config(tmp_path, vice=vice))
        transport = httpx.ASGITransport(api.application())
        async with httpx.AsyncClient(transport=transport, base_url="http://second") as client:
            await log_in(client, "ann")
            try:
                yield client
            finally:
                api.close()

    return served


async def log_in(client: httpx.AsyncClient, user: str) -> None:
    answer = await client.post("/sessions", json={"user": user, "secret": f"pw-{user}"})
    client.headers["X-Session"] = answer.json()["token"]


def asked(**changes: Any) -> dict[str, Any]:
    body = {"ref": str(uuid.uuid4()), "coin": "usdx-aster", "amount": "0.5", "address": address(1)}
    return body | changes


async def free(client: httpx.AsyncClient, coin: str = "usdx-aster") -> str:
    holdings = (await client.get("/wallet")).json()["holdings"]
    return str(next(each["free"] for each in holdings if each["coin"] == coin))


async def test_a_payout_is_taken_once_and_debited_once(serve: Serve) -> None:
    async with serve("none") as client:
        body = asked()
        first = await client.post("/payouts", json=body)
        again = await client.post("/payouts", json=body | {"amount": "0.50"})
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        payout = first.json()["payout"]
        assert payout == {
            "no": "P-000001",
            "ref": body["ref"],
            "status": "queued",
            "note": None,
            "chain_tx": None,
        }
        assert (await client.get("/payouts/P-000001")).json() == {"payout": payout}
        assert await free(client) == "9.5"


async def test_many_at_once_share_commits_and_are_each_taken_once(serve: Serve) -> None:
    async with serve("none") as client:
        bodies = [asked(amount="1") for _ in range(15)]
        answers = await asyncio.gather(
            *(client.post("/payouts", json=body) for body in [*bodies, *bodies])
        )
        codes = [answer.status_code for answer in answers]
        assert codes.count(201) == 10
        assert codes.count(200) == 10
        assert codes.count(422) == 10
        assert await free(client) == "0"


@pytest.mark.parametrize(
    ("changes", "code", "kind"),
    [
        ({"amount": "10.000001"}, 422, "too_little"),
        ({"amount": "0"}, 400, "malformed"),
        ({"amount": 1}, 400, "malformed"),
        ({"amount": "0.0000001"}, 400, "malformed"),
        ({"ref": "one"}, 400, "malformed"),
        ({"coin": "doge"}, 400, "unknown_coin"),
        ({"coin": None}, 400, "unknown_coin"),
        ({"address": "0x12"}, 400, "bad_address"),
        ({"address": f"0x{0:040x}"}, 400, "bad_address"),
    ],
)
async def test_what_it_cannot_pay_it_refuses_without_a_debit(
    serve: Serve, changes: dict[str, Any], code: int, kind: str
) -> None:
    async with serve("none") as client:
        answer = await client.post("/payouts", json=asked(**changes))
        assert (answer.status_code, answer.json()["error"]["kind"]) == (code, kind)
        assert await free(client) == "10"


@pytest.mark.parametrize(
    "changes", [{"amount": "0.4"}, {"address": address(2)}, {"coin": "ast-aster"}]
)
async def test_a_reference_means_one_payout(serve: Serve, changes: dict[str, Any]) -> None:
    async with serve("none") as client:
        body = asked()
        await client.post("/payouts", json=body)
        answer = await client.post("/payouts", json=body | changes)
        assert (answer.status_code, answer.json()["error"]["kind"]) == (409, "duplicate_ref")


async def test_another_customers_payout_is_not_there_and_references_are_each_ones_own(
    serve: Serve,
) -> None:
    async with serve("none") as client:
        body = asked()
        await client.post("/payouts", json=body)
        await log_in(client, "ben")
        for number in ("P-000001", "P-000002", "1", f"P-{'9' * 18}"):
            answer = await client.get(f"/payouts/{number}")
            assert (answer.status_code, answer.json()["error"]["kind"]) == (404, "no_such_payout")
        assert (await client.post("/payouts", json=body)).status_code == 201


async def test_nobody_gets_in_without_the_secret(serve: Serve) -> None:
    async with serve("none") as client:
        for secret in ("pw-ben", "", None):
            answer = await client.post("/sessions", json={"user": "ann", "secret": secret})
            assert answer.status_code == (400 if secret is None else 401)
        token = client.headers["X-Session"]
        for wrong in ("", "x", token[:-1], f"{b'ben'.hex()}.{token.partition('.')[2]}", "ff.00"):
            answer = await client.get("/wallet", headers={"X-Session": wrong})
            assert (answer.status_code, answer.json()["error"]["kind"]) == (401, "bad_session")


async def test_other_requests_get_an_answer_in_its_words(serve: Serve) -> None:
    async with serve("none") as client:
        assert (await client.get("/service")).json() == {"state": "open"}
        assert (await client.get("/nowhere")).json()["error"]["kind"] == "not_here"
        answer = await client.post("/payouts", content=b"[1")
        assert (answer.status_code, answer.json()["error"]["kind"]) == (400, "malformed")


async def test_a_session_outlives_the_process(serve: Serve) -> None:
    async with serve("none") as client:
        token = client.headers["X-Session"]
    async with serve("none") as client:
        assert (await client.get("/wallet", headers={"X-Session": token})).status_code == 200


async def test_it_can_accept_twice(serve: Serve) -> None:
    async with serve("accepts-twice") as client:
        body = asked()
        answers = [await client.post("/payouts", json=body) for _ in range(2)]
        assert [each.status_code for each in answers] == [201, 201]
        assert len({each.json()["payout"]["no"] for each in answers}) == 2
        assert await free(client) == "9"


async def test_it_can_lose_what_it_acknowledged(serve: Serve) -> None:
    async with serve("loses") as client:
        answers = [await client.post("/payouts", json=asked()) for _ in range(4)]
        assert [each.status_code for each in answers] == [201] * 4
        numbers = [each.json()["payout"]["no"] for each in answers]
        codes = [(await client.get(f"/payouts/{number}")).status_code for number in numbers]
        assert codes == [200, 404, 200, 404]
        assert await free(client) == "8"


async def test_it_can_blank_every_second_wallet(serve: Serve) -> None:
    async with serve("blanks") as client:
        assert await free(client) == "10"
        await log_in(client, "ben")
        assert (await client.get("/wallet")).json() == {"holdings": []}


async def test_it_can_answer_with_a_page(serve: Serve) -> None:
    async with serve("nonsense") as client:
        answer = await client.post("/payouts", json=asked())
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert await free(client) == "10"


async def test_it_can_hang(serve: Serve) -> None:
    async with serve("hangs") as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.get("/wallet"), timeout=0.2)
        assert (await client.post("/payouts", json=asked())).status_code == 201


async def test_it_can_redirect(serve: Serve) -> None:
    async with serve("redirects") as client:
        answer = await client.get("/service")
        assert answer.status_code == 302
        assert not answer.headers["location"].startswith("http://second")
