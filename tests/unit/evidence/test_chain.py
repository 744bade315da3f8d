"""The auditor's reading of the chains, against a node that answers by table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from seawall.evidence.chain import NATIVE, ChainSource, export_chain

LANE = "0x" + "Ab" * 20
CONTRACT = "0x" + "cd" * 20
FINALIZED = 3


def answer(method: str, params: list[Any]) -> Any:
    """A chain with four final blocks.

    The lane had sent seven transactions at the last of them and has sent nine by now.
    """
    if method == "eth_getBlockByNumber":
        number = FINALIZED if params[0] == "finalized" else int(params[0], 16)
        return {"number": hex(number), "timestamp": hex(1_700_000_000 + number)}
    if method == "eth_getTransactionCount":
        at_finalized = params[1] == hex(FINALIZED)
        return hex((7 if at_finalized else 9) if params[0] == LANE else 1)
    return {"eth_getLogs": [], "eth_getBalance": hex(5)}[method]


def handle(request: httpx.Request) -> httpx.Response:
    """A JSON-RPC batch."""
    calls = json.loads(request.content)
    return httpx.Response(
        200,
        json=[
            {"id": call["id"], "result": answer(call["method"], call["params"])} for call in calls
        ],
    )


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every client of the exporter talks to :func:`handle`."""
    client = httpx.Client
    monkeypatch.setattr(
        "seawall.evidence.chain.httpx.Client",
        lambda **_: client(transport=httpx.MockTransport(handle)),
    )


@pytest.mark.usefixtures("node")
def test_the_count_of_each_lane_is_read_at_the_finalized_block(tmp_path: Path) -> None:
    """What is not final yet may still not happen; addresses are lower case as everywhere."""
    site = ChainSource(
        network="aster",
        node_url="http://node",
        payout_contracts={"hot": CONTRACT},
        wallets={"hot": CONTRACT},
        assets={"AST": NATIVE},
        lanes={"hot": LANE},
    )

    export_chain([site], observed={}, into=tmp_path)

    with (tmp_path / "lanes.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"network": "aster", "wallet": "hot", "address": LANE.lower(), "nonce": "7"}
        ]
