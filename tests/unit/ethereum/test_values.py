"""Values of JSON-RPC: what the specification allows, and what a node must not be believed."""

from __future__ import annotations

from typing import Any

import pytest

from seawall.ethereum import values
from seawall.ethereum.values import BlockId, BlockStamp, Head, Receipt

TX, BLOCK = "0x" + "aB" * 32, "0x" + "Cd" * 32
LOG = {"address": "0x1", "topics": [TX], "data": "0x"}
RECEIPT = {
    "transactionHash": TX.lower(),
    "blockNumber": "0x5",
    "blockHash": BLOCK,
    "status": "0x1",
    "logs": [LOG],
}
NONSENSE: list[Any] = [None, "", "0x", "5", 5, "0xg", True, [], {}, "0x" + "1" * 65]


def test_quantities_and_words_are_read() -> None:
    assert values.quantity("0x10") == 16
    assert values.quantity(f"0x{7:064x}") == 7
    assert values.data("0x0aff") == b"\x0a\xff"
    assert values.word(BLOCK) == BLOCK.lower()
    assert values.uint256(bytes(31) + b"\x07") == 7


@pytest.mark.parametrize("value", NONSENSE)
def test_what_is_no_quantity_is_no_zero(value: Any) -> None:
    with pytest.raises(ValueError, match=r" is no quantity$"):
        values.quantity(value)


@pytest.mark.parametrize("value", [*NONSENSE, "0x123"])
def test_a_call_that_returns_data_cannot_be_answered_with_nothing(value: Any) -> None:
    with pytest.raises(ValueError, match=r" is no "):
        values.data(value)


@pytest.mark.parametrize("answer", [b"", bytes(31), bytes(33), bytes(64)])
def test_a_number_has_one_word(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"^\d+ bytes are no uint256$"):
        values.uint256(answer)


def test_blocks_are_read() -> None:
    block = {"number": "0x5", "hash": BLOCK, "timestamp": "0x6", "baseFeePerGas": "0x7"}

    assert values.head(block) == Head(number=5, base_fee_wei=7)
    assert values.head({"number": "0x5"}) == Head(number=5, base_fee_wei=0)
    assert values.block_id(block) == BlockId(number=5, hash=BLOCK.lower())
    assert values.block_stamp(block) == BlockStamp(number=5, timestamp=6)


@pytest.mark.parametrize("value", [None, [], "0x5", {}, {"number": None}, {"number": "0x5"}])
def test_a_block_that_was_named_cannot_be_missing(value: Any) -> None:
    for read in (values.block_id, values.block_stamp):
        with pytest.raises(ValueError, match=r" is no "):
            read(value)


def test_a_receipt_is_read_and_there_is_none_before_its_block() -> None:
    assert values.receipt(RECEIPT, tx_hash=TX) == Receipt(
        block_number=5, block_hash=BLOCK.lower(), succeeded=True, logs=[LOG]
    )
    assert values.receipt(None, tx_hash=TX) is None
    assert values.receipt({**RECEIPT, "blockHash": None}, tx_hash=TX) is None


@pytest.mark.parametrize(
    "change",
    [
        {"transactionHash": BLOCK},
        {"transactionHash": None},
        {"blockNumber": None},
        {"blockHash": "0x"},
        {"status": None},
        {"status": []},
        {"status": "0x2"},
        {"logs": None},
        {"logs": [None]},
        {"logs": [{**LOG, "address": None}]},
        {"logs": [{**LOG, "topics": "0x"}]},
        {"logs": [{**LOG, "topics": ["0x1"]}]},
        {"logs": [{**LOG, "data": None}]},
        {"logs": [{**LOG, "removed": True}]},
    ],
)
def test_a_receipt_that_the_specification_does_not_allow_is_none_at_all(
    change: dict[str, Any],
) -> None:
    """It may be one of another transaction, or lack what a verdict rests on."""
    with pytest.raises(ValueError, match=r".+"):
        values.receipt({**RECEIPT, **change}, tx_hash=TX)
