"""JSON-RPC through a primary and a standby."""

from __future__ import annotations

import httpx
import pytest

from seawall.errors import ServiceError
from venue.chain.rpc import NodeRefusedError, Rpc


def rpc_with(answers: dict[str, object]) -> tuple[Rpc, list[str]]:
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
    return Rpc("aster", ("http://primary", "http://standby"), client=client), asked


async def test_a_silent_primary_is_left_for_the_standby_and_not_asked_again() -> None:
    """The standby stays in use until it fails itself."""
    rpc, asked = rpc_with({"primary": None, "standby": ["ok"]})

    assert [await rpc.call("x"), await rpc.call("x")] == [["ok"], ["ok"]]
    assert asked == ["primary", "standby", "standby"]


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
