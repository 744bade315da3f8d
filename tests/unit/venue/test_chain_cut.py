"""The chain's side of a comparison of ledger and chain: one block of one endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from seawall.errors import ServiceError
from seawall.ethereum.rpc import AsyncRpcClient
from tests.testing.nodes import FakeChain, FakeNode, error, hash_of, nodes, result
from venue.ledger.chart import Book
from venue.treasury.reconcile import ChainCut, cut_chain, reconcile

HELD = 1_000
"""What every address of the chain holds, less one for each payment."""


def bench() -> tuple[FakeNode, FakeNode]:
    """Two nodes of a chain with a payment in block 8, which is the final one."""
    chain = FakeChain(newest=8)
    chain.pay(hash_of("a payment"), [1])
    chain.newest = 10
    return FakeNode(chain=chain), FakeNode(chain=chain)


CONFIG = cast(
    "Any",
    SimpleNamespace(
        networks={"aster": SimpleNamespace(tokens={})}, holder_of=lambda _policy, wallet: wallet
    ),
)
POLICY = cast(
    "Any",
    SimpleNamespace(
        networks={"aster": SimpleNamespace(native="AST")},
        wallets={"hot": SimpleNamespace(holdings={"AST": None})},
    ),
)
BOOK = Book(bucket="customer", network="aster", wallets={"hot": "hot"})
"""A book with one hot wallet that holds the native coin."""


def client_of(primary: FakeNode, standby: FakeNode, *sides: str) -> AsyncRpcClient:
    """A client of the named ``sides``."""
    client = nodes({"primary": primary, "standby": standby})
    return AsyncRpcClient("aster", [f"http://{side}" for side in sides], client=client)


async def cut(primary: FakeNode, standby: FakeNode) -> ChainCut:
    """Cut the chain of the book."""
    async with client_of(primary, standby, "primary", "standby") as rpc:
        return await cut_chain(CONFIG, POLICY, BOOK, await rpc.view(), lanes={"hot": "0xa"})


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


class Ledger:
    """A connection to a ledger that knows the lane, and no money."""

    async def fetch(self, query: str, *_: object) -> list[dict[str, str]]:
        """The lane, and no sums."""
        return [{"wallet": "hot", "address": "0xa"}] if "from lanes where" in query else []

    async def fetchval(self, *_: object) -> bool:
        """Nothing is unposted."""
        return False

    @asynccontextmanager
    async def transaction(self, **_: object) -> AsyncIterator[None]:
        """One that does nothing."""
        yield


async def confirmed(primary: FakeNode, standby: FakeNode, *sides: str) -> bool:
    """Whether the surplus that the ledger's emptiness makes of all money is confirmed."""
    async with client_of(primary, standby, *sides) as rpc:
        view = await rpc.view()
        found = await reconcile(cast("Any", Ledger()), CONFIG, POLICY, BOOK, rpc, view=view)
    assert found is not None
    assert found.surpluses == {("hot", "AST"): HELD - 1}
    return found.confirmed


async def test_a_surplus_is_confirmed_by_every_endpoint_that_there_is() -> None:
    """What one of two says alone would be booked and paid out, and could not be taken back."""
    both = ("primary", "standby")
    primary, standby = bench()
    assert await confirmed(primary, standby, *both)
    assert await confirmed(primary, standby, "primary")

    standby.chain = FakeChain(newest=10)  # the same block, and other balances
    assert not await confirmed(primary, standby, *both)
    primary, standby = bench()
    standby.spoil = lambda _method, _: error(503, "down", status=503)
    assert not await confirmed(primary, standby, *both)
