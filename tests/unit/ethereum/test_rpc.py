"""JSON-RPC clients: a primary and a standby, refusals, views, batches, keys in addresses."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from seawall.change_review.sources import Chains
from seawall.conventions.environment import SABOTAGE_VARIABLE
from seawall.conventions.sabotage import SABOTAGE_RPC_FAILOVER
from seawall.errors import ServiceError
from seawall.ethereum.keys import keccak256
from seawall.ethereum.rpc import (
    AsyncRpcClient,
    NodeRefusedError,
    NodeSilentError,
    ReceiptDisputedError,
    RpcClient,
    RpcError,
    ViewLostError,
    WrongChainError,
)
from seawall.ethereum.values import BlockId, Receipt, anything, quantity
from seawall.evidence.chain import ChainSource
from seawall.formats.venue_config import Endpoint
from tests.testing.endpoints import chain, serving
from tests.testing.nodes import Answered, FakeChain, FakeNode, error, hash_of, nodes, result

HOLDER, TOKEN = "0x" + "ab" * 20, "0x" + "11" * 20
KEY = "9aa3d95b3bc440fa88ea12eaa4456161"


def rpc_with(answers: dict[str, object]) -> tuple[AsyncRpcClient, list[str]]:
    """A client whose endpoints answer, refuse (text) or are dead (None); and who was asked."""
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        host = request.url.host
        asked.append(host)
        answer = answers[host]
        if answer is None:
            raise httpx.ReadTimeout("late", request=request)
        refused = isinstance(answer, str) and not answer.startswith("0x")
        body = {"error": {"message": answer}} if refused else {"result": answer}
        identity = json.loads(request.content)["id"]
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": identity, **body})

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
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": 0, "error": {"message": "no"}})

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
    """Both are numbered as the configuration has them, whichever was asked first."""
    rpc, _ = rpc_with({"primary": None, "standby": None})
    first, second = (f"endpoint {number}: ReadTimeout: late" for number in (1, 2))

    with pytest.raises(ServiceError, match=f"^no endpoint of aster answers x: {first}; {second}$"):
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
    rpc, asked = rpc_with({"primary": "insufficient funds for gas", "standby": "nonce too high"})

    with pytest.raises(NodeRefusedError, match="insufficient funds"):
        await rpc.broadcast(b"\x02")
    assert asked == ["primary", "standby"]


@pytest.mark.parametrize(
    "reason",
    ["insufficient funds for gas", "transaction underpriced", "exceeds block gas limit", "no"],
)
async def test_bytes_that_one_pool_does_not_want_are_offered_to_the_other(reason: str) -> None:
    """The first pool remains in use: another transaction may suit it."""
    rpc, asked = rpc_with({"primary": reason, "standby": "0x" + keccak256(b"\x02").hex()})

    await rpc.broadcast(b"\x02")
    await rpc.broadcast(b"\x02")
    assert asked == ["primary", "standby"] * 2


async def test_a_refusal_in_words_that_nobody_knows_is_asked_of_the_others() -> None:
    """It may be about the node and not about the call: a method that is switched off, a mood."""
    rpc, asked = rpc_with({"primary": "we had rather not", "standby": ["ok"]})
    assert await rpc.call("x") == ["ok"]
    assert asked == ["primary", "standby"]

    rpc, asked = rpc_with({"primary": "we had rather not", "standby": "nor we"})
    with pytest.raises(NodeRefusedError, match="we had rather not"):
        await rpc.call("x")

    rpc, asked = rpc_with({"primary": "we had rather not", "standby": None})
    with pytest.raises(NodeRefusedError, match="we had rather not"):
        await rpc.call("x")


async def test_an_endpoint_that_answers_untruly_can_be_left() -> None:
    """The other one is asked first from then on."""
    rpc, asked = rpc_with({"primary": ["old"], "standby": ["new"]})
    rpc.leave()
    assert await rpc.call("x") == ["new"]
    assert asked == ["standby"]


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
    rpc, _ = rpc_with_result(None)

    assert await rpc.receipt("0x1") is None


async def test_the_chain_of_the_node_is_checked() -> None:
    rpc, _ = rpc_with_result("0x539")

    await rpc.check_chain(1337)
    with pytest.raises(WrongChainError, match=r"^the node of aster serves chain 1337, not 1$"):
        await rpc.check_chain(1)


async def test_a_balance_is_the_coin_or_a_token_of_a_holder() -> None:
    rpc, requests = rpc_with_result(f"0x{7:064x}")

    assert await rpc.balance(HOLDER) == 7
    assert await rpc.balance(HOLDER, token=TOKEN) == 7
    assert [each["params"] for each in requests] == [
        [HOLDER, "latest"],
        [{"to": TOKEN, "data": "0x70a08231" + "00" * 12 + "ab" * 20}, "latest"],
    ]


@pytest.mark.parametrize(
    "answer",
    [
        error(-32005, "daily request count exceeded, request rate limited"),
        error(-32029, "rate limit exceeded"),
        error(429, "compute units per second capacity exceeded", status=429),
        lambda _: (503, {"error": "no healthy upstream"}),
        lambda _: (200, {"jsonrpc": "2.0", "id": 99, "result": "0x1"}),
        lambda _: (200, None),
        result(None),
        result("0x"),
        result(7),
    ],
)
async def test_an_endpoint_that_refuses_to_serve_or_talks_nonsense_is_left_for_the_standby(
    answer: Callable[[int], Answered],
) -> None:
    """It is as dark as one that is silent, and counts as such."""
    told: list[tuple[str, bool]] = []
    primary, standby = FakeNode(chain=FakeChain()), FakeNode(chain=FakeChain())
    primary.spoil = lambda _method, _params: answer
    async with AsyncRpcClient(
        "aster",
        ("http://primary", "http://standby"),
        client=nodes({"primary": primary, "standby": standby}),
        tell=lambda url, answered: told.append((url, answered)),
    ) as rpc:
        assert [await rpc.nonce(HOLDER) for _ in range(2)] == [0, 0]

    assert told == [("http://primary", False), ("http://standby", True), ("http://standby", True)]


async def test_nonsense_of_every_endpoint_is_one_clear_error() -> None:
    rpc, _ = rpc_with({"primary": [], "standby": []})
    first, second = (rf"endpoint {number}: \[\] is no quantity" for number in (1, 2))

    with pytest.raises(NodeSilentError, match=f"answers eth_getBalance: {first}; {second}$"):
        await rpc.balance(HOLDER)


async def test_a_node_that_took_other_bytes_has_not_taken_these() -> None:
    rpc, _ = rpc_with_result(hash_of("another transaction"))

    with pytest.raises(NodeSilentError, match="the node took 0x"):
        await rpc.broadcast(b"\x02")


def view_bench() -> tuple[AsyncRpcClient, FakeNode, FakeNode]:
    """A client of two nodes of one chain, of which block 8 is final."""
    known = FakeChain()
    primary, standby = FakeNode(chain=known), FakeNode(chain=known)
    client = nodes({"primary": primary, "standby": standby})
    rpc = AsyncRpcClient("aster", ("http://primary", "http://standby"), client=client)
    return rpc, primary, standby


def receipt_at(number: int, *, block: str = "") -> Receipt:
    block_hash = block or FakeChain.hash(number)
    return Receipt(block_number=number, block_hash=block_hash, succeeded=True, logs=[])


async def test_the_highest_head_is_that_of_all_endpoints_or_none() -> None:
    """One that is silent may know a newer block."""
    answers: dict[str, object] = {"primary": _block(7), "standby": _block(9)}
    rpc, asked = rpc_with(answers)
    assert (await rpc.highest_head(), asked) == (9, ["primary", "standby"])
    answers["standby"] = None
    with pytest.raises(NodeSilentError):
        await rpc.highest_head()


def _block(number: int) -> dict[str, str]:
    return {"number": hex(number), "baseFeePerGas": "0x1"}


async def test_a_view_reads_state_at_the_hash_of_one_finalized_block_of_one_endpoint() -> None:
    """Also while the chain goes on."""
    rpc, primary, standby = view_bench()
    view = await rpc.view()
    primary.chain.pay(hash_of("later"), [1])
    primary.chain.newest += 5

    assert view.finalized == BlockId(number=8, hash=FakeChain.hash(8))
    assert view.block == {"blockHash": FakeChain.hash(8), "requireCanonical": True}
    assert (await view.nonce(HOLDER), await view.balance(HOLDER)) == (0, 1_000)
    assert primary.asked == ["eth_getBlockByNumber", "eth_getTransactionCount", "eth_getBalance"]
    assert standby.asked == []


@pytest.mark.parametrize(
    "answer",
    [result(None), error(-39001, "unknown block"), error(-32602, "invalid block tag: finalized")],
)
async def test_a_view_is_opened_at_the_standby_if_the_primary_has_no_finalized_block(
    answer: Callable[[int], Answered],
) -> None:
    rpc, primary, standby = view_bench()
    primary.spoil = lambda _method, _params: answer

    assert (await rpc.view()).finalized.number == 8
    assert standby.asked == ["eth_getBlockByNumber"]


@pytest.mark.parametrize(
    "answer",
    [
        error(-32000, "hash is not currently canonical"),
        error(-32602, "invalid argument 1: json: cannot unmarshal object"),
        error(3, "execution reverted"),
        error(-32005, "limit exceeded"),
        result("0x"),
    ],
)
async def test_a_view_that_its_endpoint_does_not_serve_is_lost_and_never_goes_on_elsewhere(
    answer: Callable[[int], Answered],
) -> None:
    """The next view is one of the other endpoint."""
    rpc, primary, standby = view_bench()
    view = await rpc.view()
    primary.spoil = lambda _method, _params: answer

    with pytest.raises(ViewLostError, match=r"^the view of aster at block 8 is lost: "):
        await view.balance(HOLDER)
    assert standby.asked == []
    await (await rpc.view()).balance(HOLDER)
    assert standby.asked == ["eth_getBlockByNumber", "eth_getBalance"]


async def test_a_receipt_is_confirmed_by_the_hash_of_its_block_number() -> None:
    """Each number is asked for once, and that of the view's own block never."""
    rpc, primary, _ = view_bench()
    view = await rpc.view()

    for number in (8, 7, 7):
        await view.confirm(receipt_at(number))
    assert primary.asked == ["eth_getBlockByNumber"] * 2


@pytest.mark.parametrize(
    ("receipt", "why"),
    [
        (receipt_at(9), "block 9 of aster is not final at block 8"),
        (receipt_at(7, block=hash_of("x")), "a receipt names 0x[0-9a-f]* as block 7 of aster"),
        (receipt_at(8, block=hash_of("x")), "a receipt names 0x[0-9a-f]* as block 8 of aster"),
    ],
)
async def test_a_receipt_of_another_branch_or_a_later_block_is_disputed(
    receipt: Receipt, why: str
) -> None:
    rpc, _, _ = view_bench()

    with pytest.raises(ReceiptDisputedError, match=why):
        await (await rpc.view()).confirm(receipt)


@pytest.mark.parametrize("block", [None, {"number": "0x6", "hash": hash_of("x")}])
async def test_a_node_that_lacks_a_block_below_its_own_finalized_one_loses_the_view(
    block: dict[str, str] | None,
) -> None:
    rpc, primary, _ = view_bench()
    view = await rpc.view()
    primary.spoil = lambda _method, _params: result(block)

    with pytest.raises(ViewLostError):
        await view.confirm(receipt_at(7))


async def failures_of(rpc: AsyncRpcClient) -> list[str]:
    """What is shown of the error of each kind of question, with the trace of what lies below it."""

    async def read_a_view() -> None:
        await (await rpc.view()).balance(HOLDER)

    failures = []
    for ask in (
        lambda: rpc.nonce(HOLDER),
        lambda: rpc.balance(HOLDER, token=TOKEN),
        lambda: rpc.broadcast(b"\x02"),
        lambda: rpc.batch([(quantity, "x", [])]),
        read_a_view,
    ):
        with pytest.raises(RpcError) as raised:
            await ask()
        failures.append("".join(traceback.format_exception(raised.value)))
    return failures


ADDRESSES = (
    f"https://rpc.example/v3/{KEY}",
    f"https://rpc.example/?apikey={KEY}",
    f"https://someone:{KEY}@rpc.example/",
    f"http://rpc.example:{KEY}/",
)


@pytest.mark.parametrize("url", ADDRESSES)
@pytest.mark.parametrize(
    "answer",
    [
        lambda _: (403, {"error": f"no project {KEY}"}),
        lambda _: (500, f"<html>/v3/{KEY}</html>"),
        error(-32000, f"project {KEY} has no such method"),
        error(-32005, f"{KEY} is over its limit"),
        result([f"{'x' * 180} https://rpc.example/v3/{KEY}"]),
        None,
    ],
)
async def test_no_key_in_an_address_reaches_an_error_or_a_log(
    url: str, answer: Callable[[int], Answered] | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither if the node repeats it, nor in the trace of what lies below the error."""

    def handle(request: httpx.Request) -> httpx.Response:
        if answer is None:
            raise httpx.ConnectError(f"no route to {request.url}", request=request)
        asked = json.loads(request.content)
        status, body = answer(0 if isinstance(asked, list) else asked["id"])
        return httpx.Response(status, json=[body] if isinstance(asked, list) else body)

    client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    async with AsyncRpcClient("aster", (url,), client=client) as rpc:
        shown = [repr(rpc), *await failures_of(rpc)]

    assert not [each for each in shown if KEY in each]
    assert KEY not in caplog.text


async def batch_of_two(answers: object) -> list[Any]:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answers))
    client = httpx.AsyncClient(transport=transport)
    rpc = AsyncRpcClient("aster", ("http://primary",), client=client)
    return await rpc.batch([(anything, "x", []), (quantity, "y", [1])])


async def test_a_batch_may_be_answered_in_any_order() -> None:
    assert await batch_of_two([{"id": 1, "result": "0xb"}, {"id": 0, "result": None}]) == [None, 11]


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"error": {"code": -32600}}, "aster refused x: error -32600"),
        ({"error": {"code": -32005}}, "the node of aster: error -32005"),
        ([{"id": 0, "result": 1}], "the node of aster: None is no answer"),
        ([{"id": 0, "result": 1}, {"id": 7, "result": "0x1"}], "None is no answer"),
        ([{"id": 0, "result": 1}, {"id": 1, "result": None}], "None is no quantity"),
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


@pytest.mark.parametrize("url", ADDRESSES)
def test_no_key_in_an_address_reaches_an_error_of_the_synchronous_client(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def post(_client: httpx.Client, to: str, **_: object) -> httpx.Response:
        return httpx.Response(
            403, json={"error": f"no project {KEY}"}, request=httpx.Request("POST", to)
        )

    monkeypatch.setattr(httpx.Client, "post", post)
    node = RpcClient(network="aster", url=url, timeout_s=5.0)
    with pytest.raises(RpcError) as raised:
        node.balance(HOLDER)

    assert KEY not in f"{raised.value} {node!r} {''.join(traceback.format_exception(raised.value))}"


@pytest.mark.parametrize("url", ADDRESSES)
def test_what_holds_an_address_does_not_show_it(url: str) -> None:
    holders = (
        Endpoint(primary=url, standby=url),
        Chains(rpc={"aster": url}),
        ChainSource(network="aster", node_url=url, assets={}),
    )

    assert KEY not in repr(holders)
