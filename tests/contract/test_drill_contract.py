"""The reference api keeps the drill contract: routes, statuses, refusals and bodies."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

import httpx
import pytest

from seawall.errors import ServiceError
from seawall.formats.drill_contract import (
    OPERATIONS,
    Credentials,
    Quote,
    Refusal,
    SwapRequest,
    VenueClient,
    WithdrawalRequest,
    openapi,
)
from seawall.policy_file import load_policy
from tests.testing.venue_harness import POLICY
from venue.api.app import make_app
from venue.api.directory import HouseAccounts
from venue.api.front import Services
from venue.api.market import Market
from venue.api.market_messages import MARKET_OPERATIONS

CUSTOMER = Credentials(customer_id="1", credential="k")


class _NobodyKnown:
    async def customer_of(self, api_key: str) -> int | None:
        return None


class _EveryoneKnown:
    async def customer_of(self, api_key: str) -> int | None:
        return 1

    async def accounts_of(self, customer_id: int) -> dict[tuple[str, str], int]:
        return {}

    def house(self, network: str, asset: str) -> None:
        return None


class _Down(_EveryoneKnown):
    """A directory that cannot read its keys."""

    async def customer_of(self, api_key: str) -> int | None:
        raise ConnectionRefusedError


class _DownPool:
    """A database that does not answer."""

    async def fetchrow(self, *_: object) -> None:
        raise ConnectionRefusedError

    fetch = fetchval = fetchrow


def _services(directory: object) -> Services:
    return Services(
        policy=cast("Any", None),
        pool=cast("Any", _DownPool()),
        directory=cast("Any", directory),
        flusher=cast("Any", None),
        exchange=cast("Any", None),
        own_addresses=frozenset(),
        market=Market(
            policy=cast("Any", None),
            directory=cast("Any", directory),
            pool=cast("Any", _DownPool()),
        ),
    )


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[[object], httpx.AsyncClient]]:
    """A client of an app over a given directory."""
    clients: list[httpx.AsyncClient] = []

    def make(directory: object) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(make_app(_services(directory))), base_url="http://venue"
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()


async def test_the_reference_api_serves_every_operation_of_the_contract(
    client_of: Callable[[object], httpx.AsyncClient],
) -> None:
    """Each operation is served by method and path, and no other route exists."""
    http = client_of(_NobodyKnown())
    for operation in OPERATIONS:
        answer = await http.request(
            operation.method, operation.path.replace("{id}", str(uuid.uuid4()))
        )
        assert answer.status_code not in {404, 405}, operation.name
    assert (await http.get("/v1/else")).status_code == 404
    assert (await http.get("/metrics")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/else", 404, "not_found"),
        ("GET", "/v1/balances/", 404, "not_found"),
        ("GET", "/v1/withdrawals/", 404, "not_found"),
        ("DELETE", "/v1/withdrawals", 405, "malformed"),
        ("PUT", "/v1/balances", 405, "malformed"),
        ("PUT", "/v1/listings", 405, "malformed"),
    ],
)
async def test_what_is_no_operation_is_refused_in_the_words_of_the_contract(
    method: str, path: str, status: int, code: str, client_of: Callable[[object], httpx.AsyncClient]
) -> None:
    """Nobody is sent elsewhere, and a wrong method is told which one is right."""
    answer = await client_of(_EveryoneKnown()).request(method, path)
    assert answer.status_code == status
    assert Refusal.model_validate_json(answer.content).code == code
    allowed = {"/v1/withdrawals": "POST", "/v1/balances": "GET", "/v1/listings": "GET, POST"}
    assert answer.headers.get("allow") == (allowed[path] if status == 405 else None)


async def test_its_openapi_document_is_the_contract(
    client_of: Callable[[object], httpx.AsyncClient],
) -> None:
    """The api publishes the contract's document, and every reference in it resolves.

    Beside the contract's there are the operations of the marketplace, and nothing else.
    """
    document = (await client_of(_NobodyKnown()).get("/openapi.json")).json()
    assert document == openapi(MARKET_OPERATIONS)
    assert openapi()["paths"].items() <= document["paths"].items()
    schemas = document["components"]["schemas"]

    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if "$ref" in node else set()
            return own.union(*(references(value) for value in node.values()))
        return (
            set().union(*(references(value) for value in node)) if isinstance(node, list) else set()
        )

    assert {
        reference.removeprefix("#/components/schemas/") for reference in references(document)
    } <= set(schemas)


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if operation.keyed],
    ids=lambda operation: operation.name,
)
async def test_every_operation_with_a_key_refuses_an_unknown_key(
    operation: Any, client_of: Callable[[object], httpx.AsyncClient]
) -> None:
    """401 with a refusal of the contract, also if the request is malformed."""
    body = {
        "request_withdrawal": {
            "id": str(uuid.uuid4()),
            "network": "n",
            "asset": "a",
            "amount": "1",
            "destination": "d",
        },
        "swap": {"id": str(uuid.uuid4()), "network": "n", "sell": "a", "buy": "b", "amount": "1"},
        "ticket": {"kind": "payout", "text": "where?"},
    }.get(operation.name)
    path = operation.path.replace("{id}", str(uuid.uuid4()))
    query = dict.fromkeys(operation.query, "1")
    answer = await client_of(_NobodyKnown()).request(
        operation.method,
        path,
        json=body,
        params=query,
        headers={"authorization": "Bearer stranger"},
    )
    assert answer.status_code == 401
    assert Refusal.model_validate_json(answer.content).code == "unauthorized"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "id: Field required"),
        ({"amount": "0"}, "amount"),
        ({"amount": "-5"}, "amount"),
        ({"amount": "1e30"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": 5}, "amount"),
        ({"amount": "9" * 78}, "amount"),
        ({"id": "abc"}, "id"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_malformed_requests_are_refused_before_they_get_into_a_batch(
    body: dict[str, Any], fault: str, client_of: Callable[[object], httpx.AsyncClient]
) -> None:
    """400 names the field."""
    whole = {
        "id": str(uuid.uuid4()),
        "network": "n",
        "asset": "a",
        "amount": "1",
        "destination": "d",
    }
    answer = await client_of(_EveryoneKnown()).post(
        "/v1/withdrawals", json=whole | body if body else {}, headers={"authorization": "Bearer k"}
    )
    assert answer.status_code == 400
    refusal = Refusal.model_validate_json(answer.content)
    assert refusal.code == "malformed"
    assert fault in refusal.reason


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/withdrawals"),
        ("POST", "/v1/tickets"),
        ("POST", "/v1/login"),
        ("GET", "/v1/balances"),
    ],
)
async def test_a_long_body_is_refused_before_it_is_read(
    method: str, path: str, announced: bool, client_of: Callable[[object], httpx.AsyncClient]
) -> None:
    """By its announced length, or else by what has arrived; whoever sends it, wherever to."""
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(1_000):
            read += 1
            yield b"x" * 1_000

    answer = await client_of(_NobodyKnown()).request(
        method,
        path,
        content=b"x" * 1_000_000 if announced else endless(),
        headers={"authorization": "Bearer stranger"},
    )
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    refusal = Refusal.model_validate_json(answer.content)
    assert (refusal.code, refusal.reason) == ("malformed", "body: more than 16384 bytes")
    assert read <= 17


async def test_the_longest_ticket_is_not_too_long(
    client_of: Callable[[object], httpx.AsyncClient],
) -> None:
    """What stands behind the front door gets the body whole, and only then asks the database."""
    answer = await client_of(_EveryoneKnown()).post(
        "/v1/tickets",
        content=json.dumps({"kind": "payout", "text": "\N{BANK}" * 4_000}, ensure_ascii=False),
        headers={"authorization": "Bearer k", "content-type": "application/json"},
    )
    assert answer.status_code == 503


_UNREADABLE = [b"\xff", b"{", b"[" * 16_000, b'{"\\ud800": 1}']


@pytest.mark.parametrize("body", _UNREADABLE, ids=["no text", "cut off", "deep", "half character"])
@pytest.mark.parametrize("path", ["/v1/withdrawals", "/v1/swaps", "/v1/tickets"])
async def test_who_sent_a_body_is_asked_before_what_is_in_it(
    path: str, body: bytes, client_of: Callable[[object], httpx.AsyncClient]
) -> None:
    """A stranger gets 401 whatever it is, and a customer a refusal of the contract."""
    headers = {"authorization": "Bearer k", "content-type": "application/json"}
    for directory, status, code in (
        (_NobodyKnown(), 401, "unauthorized"),
        (_EveryoneKnown(), 400, "malformed"),
        (_Down(), 503, "unavailable"),
    ):
        answer = await client_of(directory).post(path, content=body, headers=headers)
        assert answer.status_code == status
        assert Refusal.model_validate_json(answer.content).code == code


async def test_a_text_that_no_database_keeps_is_malformed(
    client_of: Callable[[object], httpx.AsyncClient],
) -> None:
    """A zero byte in a ticket: sending it again would not help, so it is not `unavailable`."""
    answer = await client_of(_EveryoneKnown()).post(
        "/v1/tickets",
        json={"kind": "payout", "text": "where\n\0is it?\n"},
        headers={"authorization": "Bearer k"},
    )
    assert answer.status_code == 400
    assert "body.text" in Refusal.model_validate_json(answer.content).reason


class _Exchange:
    """Everything is worth the same."""

    async def price(self, *, sell: str, buy: str) -> Fraction:
        return Fraction(1)


class _Trader(_EveryoneKnown):
    """A house that trades whatever it is asked for."""

    def house(self, network: str, asset: str) -> Any:
        return HouseAccounts(bucket="b", reserved=1, clearing=2, inventory=3, house="h")


@pytest.mark.parametrize(("digits", "status"), [(64, 200), (65, 200), (66, 422), (77, 422)])
async def test_a_quote_that_is_longer_than_an_amount_is_refused(digits: int, status: int) -> None:
    """For a base unit of USDX there are 10^12 of AST: 65 digits become 77, and no more fit."""
    services = replace(
        _services(_Trader()), policy=load_policy(POLICY), exchange=cast("Any", _Exchange())
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(make_app(services)), base_url="http://venue"
    ) as http:
        asked = {"network": "aster", "sell": "USDX", "buy": "AST", "amount": "9" * digits}
        answer = await http.get(
            "/v1/quote", params=asked, headers={"authorization": "Bearer stranger"}
        )
    assert answer.status_code == status
    if status == 200:
        assert Quote.model_validate_json(answer.content).buy_amount == "9" * digits + "0" * 12
    else:
        assert Refusal.model_validate_json(answer.content).code == "insufficient_inventory"


async def test_a_swap_that_buys_nothing_is_below_the_minimum() -> None:
    """It is well formed; 10^12 base units of AST are worth one of USDX, and one less buys none."""

    class NothingYet(_DownPool):
        async def fetchrow(self, *_: object) -> None:
            return None

    services = replace(
        _services(_Trader()),
        policy=load_policy(POLICY),
        exchange=cast("Any", _Exchange()),
        pool=cast("Any", NothingYet()),
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(make_app(services)), base_url="http://venue"
    ) as http:
        request = SwapRequest(
            id=uuid.uuid4(), network="aster", sell="AST", buy="USDX", amount="9" * 12
        )
        refusal = await VenueClient(http).swap(CUSTOMER, request)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "below_minimum"


def test_the_document_says_what_every_operation_may_answer() -> None:
    """Without a database all are unavailable, all bodies may be too long, no id need be one."""
    for path, methods in openapi(MARKET_OPERATIONS)["paths"].items():
        for operation in methods.values():
            documented = set(operation["responses"])
            assert {"413", "503"} <= documented
            assert ("401" in documented) == ("security" in operation)
            asks = operation["parameters"] or "requestBody" in operation
            assert ("400" in documented) == bool(asks), path
    amount = openapi()["paths"]["/v1/quote"]["get"]["parameters"][-1]
    assert amount["schema"]["pattern"] == "^[1-9][0-9]{0,76}$"


async def test_a_venue_without_its_database_says_unavailable(
    client_of: Callable[[object], httpx.AsyncClient],
) -> None:
    """503 with a refusal, never a traceback.

    The client calls a status that is refused a service error.
    """
    http = client_of(_EveryoneKnown())
    balances = await VenueClient(http).balances(CUSTOMER)
    assert isinstance(balances, Refusal)
    assert balances.code == "unavailable"
    with pytest.raises(ServiceError, match="refused to give its status: unavailable"):
        await VenueClient(http).status()


async def test_a_client_calls_anything_outside_the_contract_a_service_error() -> None:
    """No answer, a wrong body, or a wrong type: the error names the call and the reason."""

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/login":
            raise httpx.ReadTimeout("slow")
        return httpx.Response(200, json={"tier": "purple"})

    async with httpx.AsyncClient(
        transport=httpx.MockTransport(handler), base_url="http://venue"
    ) as http:
        client = VenueClient(http)
        with pytest.raises(ServiceError, match=r"^POST /v1/login was not answered: ReadTimeout"):
            await client.login(CUSTOMER)
        with pytest.raises(
            ServiceError, match=r"^GET /v1/status was answered outside the contract \(200\)"
        ):
            await client.status()
        request = WithdrawalRequest(
            id=uuid.uuid4(), network="n", asset="a", amount="1", destination="d"
        )
        with pytest.raises(
            ServiceError, match=r"^POST /v1/withdrawals was answered outside the contract"
        ):
            await client.withdraw(CUSTOMER, request)
