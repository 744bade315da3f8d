"""JSON-RPC: a primary and a standby, refusals, batches, the chain's id, the environment's proxy."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from seawall.conventions.environment import SABOTAGE_VARIABLE
from seawall.conventions.sabotage import SABOTAGE_RPC_FAILOVER
from seawall.errors import ServiceError
from seawall.ethereum.rpc import (
    AsyncRpcClient,
    NodeRefusedError,
    NodeSilentError,
    RpcClient,
    RpcError,
    WrongChainError,
)
from tests.testing.endpoints import chain, serving


def rpc_with(answers: dict[str, object]) -> tuple[AsyncRpcClient, list[str]]:
    """A client whose endpoints answer, refuse (text) or are dead (None); and who was asked."""
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        host = request.url.host
        asked.append(host)
        answer = answers[host]
        if answer is None:
            raise httpx.ReadTimeout("late", request=request)
        body = {"error": {"message": answer}} if isinstance(answer, str) else {"result": answer}
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, **body})

    client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    return AsyncRpcClient("aster", ("http://primary", "http://standby"), client=client), asked


def rpc_with_result(result: object) -> tuple[AsyncRpcClient, list[dict[str, Any]]]:
    """A client whose one endpoint answers every call with ``result``; and the requests it got."""
    requests: list[dict[str, Any]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        requests.append(body)
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": body["id"], "result": result})

    client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    return AsyncRpcClient("aster", ("http://primary",), client=client), requests


async def test_every_call_is_told_with_the_endpoint_that_answered_or_did_not() -> None:
    """A refusal is an answer."""
    told: list[tuple[str, bool]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.host == "primary":
            raise httpx.ReadTimeout("late", request=request)
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "error": {"message": "no"}})

    async with AsyncRpcClient(
        "aster",
        ("http://primary", "http://standby"),
        client=httpx.AsyncClient(transport=httpx.MockTransport(handle)),
        tell=lambda url, answered: told.append((url, answered)),
    ) as rpc:
        with pytest.raises(NodeRefusedError):
            await rpc.call("x")

    assert told == [("http://primary", False), ("http://standby", True)]


async def test_a_silent_primary_is_left_for_the_standby_and_not_asked_again() -> None:
    """The standby stays in use until it fails itself."""
    rpc, asked = rpc_with({"primary": None, "standby": ["ok"]})

    assert [await rpc.call("x"), await rpc.call("x")] == [["ok"], ["ok"]]
    assert asked == ["primary", "standby", "standby"]


async def test_without_the_control_a_silent_primary_is_all_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the drill of a dark endpoint must FAIL with."""
    monkeypatch.setenv(SABOTAGE_VARIABLE, SABOTAGE_RPC_FAILOVER)
    rpc, asked = rpc_with({"primary": None, "standby": ["ok"]})

    with pytest.raises(NodeSilentError):
        await rpc.call("x")
    assert asked == ["primary"]


async def test_two_silent_endpoints_are_one_clear_error() -> None:
    """Both are named."""
    rpc, _ = rpc_with({"primary": None, "standby": None})

    with pytest.raises(
        ServiceError, match=r"no endpoint of aster answers x: http://primary: .*; http://standby: "
    ):
        await rpc.call("x")


async def test_a_refusal_is_an_answer() -> None:
    """A node that says no is not asked again elsewhere."""
    rpc, asked = rpc_with({"primary": "execution reverted", "standby": ["ok"]})

    with pytest.raises(NodeRefusedError, match=r"^aster refused x: execution reverted$"):
        await rpc.call("x")
    assert asked == ["primary"]


@pytest.mark.parametrize(
    "reason", ["already known", "transaction already imported", "nonce too low"]
)
async def test_bytes_that_the_node_has_are_broadcast(reason: str) -> None:
    """Broadcasting again after a crash must not look like a failure."""
    rpc, _ = rpc_with({"primary": reason})

    await rpc.broadcast(b"\x02")


async def test_bytes_that_the_node_does_not_want_are_not_broadcast() -> None:
    """Everything else is the caller's to hear."""
    rpc, _ = rpc_with({"primary": "insufficient funds for gas"})

    with pytest.raises(NodeRefusedError, match="insufficient funds"):
        await rpc.broadcast(b"\x02")


async def test_an_answer_that_is_no_json_rpc_is_no_answer() -> None:
    """A proxy's error page or a half-started node must not be taken for "no such block"."""
    client = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, json={"jsonrpc": "2.0"}))
    )
    rpc = AsyncRpcClient("aster", ("http://primary",), client=client)

    with pytest.raises(NodeSilentError, match="no endpoint of aster answers x"):
        await rpc.call("x")


async def test_a_result_may_be_null() -> None:
    """An unknown transaction has no receipt."""
    client = httpx.AsyncClient(
        transport=httpx.MockTransport(
            lambda _: httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": None})
        )
    )

    assert await AsyncRpcClient("aster", ("http://a",), client=client).receipt("0x1") is None


async def test_the_chain_of_the_node_is_checked() -> None:
    rpc, _ = rpc_with_result("0x539")

    await rpc.check_chain(1337)
    with pytest.raises(WrongChainError, match=r"^the node of aster serves chain 1337, not 1$"):
        await rpc.check_chain(1)


async def test_a_balance_is_the_coin_or_a_token_of_a_holder() -> None:
    rpc, requests = rpc_with_result(f"0x{7:064x}")
    holder, token = "0x" + "ab" * 20, "0x" + "11" * 20

    assert await rpc.balance(holder) == 7
    assert await rpc.balance(holder, token=token, tag="0x5") == 7
    assert [each["params"] for each in requests] == [
        [holder, "latest"],
        [{"to": token, "data": "0x70a08231" + "00" * 12 + "ab" * 20}, "0x5"],
    ]


async def batch_of_two(answers: object) -> list[Any]:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answers))
    client = httpx.AsyncClient(transport=transport)
    rpc = AsyncRpcClient("aster", ("http://primary",), client=client)
    return await rpc.batch([("x", []), ("y", [1])])


async def test_a_batch_may_be_answered_in_any_order() -> None:
    assert await batch_of_two([{"id": 1, "result": "b"}, {"id": 0, "result": None}]) == [None, "b"]


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"error": {"code": -32600}}, "the node of aster answered"),
        ([{"id": 0, "result": 1}], "the node of aster answered"),
        ([{"id": 0, "result": 1}, {"id": 7, "result": 1}], "no answer to y"),
        ([{"id": 0, "result": 1}, {"id": 1, "error": {"code": -32000}}], "refused y"),
    ],
)
async def test_a_batch_without_all_its_results_is_an_error(answers: object, why: str) -> None:
    with pytest.raises(RpcError, match=why):
        await batch_of_two(answers)


def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node on loopback is reached although a proxy that does not exist is set."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(chain(73311, native=5, tokens=6)) as url:
        node = RpcClient(network="aster", url=url, timeout_s=5.0)

        node.check_chain(73311)
        assert node.balance("0x" + "ab" * 20) == 5
        assert node.balance("0x" + "ab" * 20, token="0x" + "11" * 20) == 6
        with pytest.raises(WrongChainError, match="serves chain 73311, not 1"):
            node.check_chain(1)


@pytest.mark.parametrize("answer", [(500, {}), (200, "no json"), (200, {})])
def test_a_node_that_cannot_be_believed_is_silent(answer: tuple[int, Any]) -> None:
    with serving(lambda *_: answer) as url:
        node = RpcClient(network="aster", url=url, timeout_s=5.0)

        with pytest.raises(NodeSilentError, match=r"^the node of aster does not answer x: ."):
            node.call("x")


def test_an_endpoint_that_nobody_could_ask_is_silent() -> None:
    with pytest.raises(NodeSilentError, match="the node of aster does not answer x"):
        RpcClient(network="aster", url="http://[", timeout_s=5.0).call("x")
