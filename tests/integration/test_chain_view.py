"""A view of the chain on a real node: the state of one block, until the chain drops that block."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from seawall.ethereum.rpc import AsyncRpcClient, ReceiptDisputedError, ViewLostError
from tests.testing.anvil import mined

pytestmark = pytest.mark.integration

# Development accounts of anvil.
FUNDED = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
OTHER = "0x" + "0e" * 20


async def test_a_view_is_of_its_block_although_the_chain_goes_on_and_lost_once_it_is_dropped(
    start_anvil: Callable[..., str],
) -> None:
    """The node takes a block's hash for balances, nonces and calls (EIP-1898)."""
    async with AsyncRpcClient("aster", (start_anvil(),)) as rpc:
        payment = {"from": FUNDED, "to": OTHER, "value": "0x5"}
        tx_hash = await mined(rpc, payment)
        for _ in range(3):
            await rpc.call("evm_mine")
        view = await rpc.view()
        await mined(rpc, payment)
        receipt = await view.receipt(tx_hash)

        assert receipt is not None
        await view.confirm(receipt)
        assert (await view.balance(OTHER), await view.nonce(FUNDED)) == (5, 1)
        assert (await rpc.balance(OTHER), await rpc.nonce(FUNDED)) == (10, 2)
        with pytest.raises(ViewLostError, match="0x is no answer to a call"):
            await view.balance(OTHER, token=OTHER)

        await rpc.call("anvil_reorg", 4, [])
        for read in (view.balance, view.nonce):
            with pytest.raises(ViewLostError, match="Resource not found"):
                await read(OTHER)


async def test_a_receipt_of_a_dropped_block_is_disputed(start_anvil: Callable[..., str]) -> None:
    async with AsyncRpcClient("aster", (start_anvil(),)) as rpc:
        payment = {"from": FUNDED, "to": OTHER, "value": "0x5"}
        receipt = await rpc.receipt(await mined(rpc, payment))
        await rpc.call("anvil_reorg", 1, [])
        for _ in range(3):
            await rpc.call("evm_mine")
        view = await rpc.view()

        assert receipt is not None
        with pytest.raises(ReceiptDisputedError, match="a receipt names"):
            await view.confirm(receipt)
