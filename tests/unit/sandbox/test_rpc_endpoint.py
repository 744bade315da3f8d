"""An RPC endpoint serves what a provider's endpoint serves, and nothing that makes money."""

from __future__ import annotations

import json

import pytest

from sandbox.rpc_endpoint import refusal


@pytest.mark.parametrize(
    "method", ["eth_sendRawTransaction", "eth_getLogs", "net_version", "web3_clientVersion"]
)
def test_public_methods_pass(method: str) -> None:
    """Nothing is said about them."""
    assert refusal(json.dumps({"id": 1, "method": method, "params": []}).encode()) is None


@pytest.mark.parametrize(
    "method",
    ["anvil_setBalance", "evm_mine", "hardhat_setCode", "debug_traceCall", "eth_sendTransaction"],
)
def test_control_methods_are_refused_by_name(method: str) -> None:
    """In the form of JSON-RPC, with the caller's id."""
    refused = refusal(json.dumps({"id": 7, "method": method}).encode())
    assert refused is not None
    assert refused["id"] == 7
    assert refused["error"] == {
        "code": -32601,
        "message": f"the method {method} is not served here",
    }


@pytest.mark.parametrize(
    "body", [b"{", b"[1]", b"{}", b'[{"method": "eth_chainId"}, {"method": "evm_mine"}]']
)
def test_a_body_with_anything_else_is_refused_whole(body: bytes) -> None:
    """One forbidden call spoils its batch."""
    assert refusal(body) is not None
