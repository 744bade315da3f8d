"""The chain's side of a comparison of ledger and chain: one block of one endpoint."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from seawall.errors import ServiceError
from seawall.ethereum.rpc import AsyncRpcClient
from tests.testing.nodes import FakeChain, FakeNode, error, hash_of, nodes, result
from venue.ledger.chart import Book
from venue.treasury.reconcile import ChainCut, cut_chain

HELD = 1_000
"""What every address of the chain holds, less one for each payment."""


def bench() -> tuple[FakeNode, FakeNode]:
    """Two nodes of a chain with a payment in block 8, which is the final one."""
    chain = FakeChain(newest=8)
    chain.pay(hash_of("a payment"), [1])
    chain.newest = 10
    return FakeNode(chain=chain), FakeNode(chain=chain)


async def cut(primary: FakeNode, standby: FakeNode) -> ChainCut:
    """Cut the chain of a book with one hot wallet that holds the native coin."""
    config = SimpleNamespace(
        networks={"aster": SimpleNamespace(tokens={})}, holder_of=lambda _policy, wallet: wallet
    )
    policy = SimpleNamespace(
        networks={"aster": SimpleNamespace(native="AST")},
        wallets={"hot": SimpleNamespace(holdings={"AST": None})},
    )
    client = nodes({"primary": primary, "standby": standby})
    async with AsyncRpcClient("aster", ("http://primary", "http://standby"), client=client) as rpc:
        return await cut_chain(
            cast("Any", config),
            cast("Any", policy),
            Book(bucket="customer", network="aster", wallets={"hot": "hot"}),
            rpc,
            lanes={"hot": "0xa"},
        )


async def test_nonces_and_balances_are_those_of_one_block() -> None:
    assert await cut(*bench()) == ChainCut(
        block=8, nonces={"hot": 1}, held={("hot", "AST"): HELD - 1}
    )


async def test_a_balance_of_a_node_on_another_branch_is_not_compared_with_a_nonce_of_this() -> None:
    """The standby's block of that number is without the payment: one wei would seem to be left."""
    primary, standby = bench()
    standby.chain = FakeChain(newest=10)
    primary.spoil = lambda method, _: (
        error(429, "too many requests", status=429) if method == "eth_getBalance" else None
    )
    with pytest.raises(ServiceError):
        await cut(primary, standby)


@pytest.mark.parametrize("answer", [None, "0x", {}, 7])
@pytest.mark.parametrize(
    "method", ["eth_getBlockByNumber", "eth_getTransactionCount", "eth_getBalance"]
)
async def test_nonsense_of_both_nodes_is_an_error_that_the_treasury_survives(
    method: str, answer: object
) -> None:
    primary, standby = bench()
    primary.spoil = standby.spoil = lambda asked, _: result(answer) if asked == method else None
    with pytest.raises(ServiceError):
        await cut(primary, standby)
