"""Values in the results of JSON-RPC calls, checked: quantities, data, blocks and receipts.

A node may answer anything. Each function here takes a result as JSON has it and returns a typed
value, or raises ValueError if the specification (https://ethereum.github.io/execution-apis) allows
no such result. A ``0x`` that should have been a number, or a null where a block must be, then stops
at the client instead of ending a loop further up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeVar

from seawall.ethereum.keys import to_bytes

WORD_BYTES = 32
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_STATUSES = {"0x0": False, "0x1": True}
K = TypeVar("K")


@dataclass(frozen=True, kw_only=True)
class Head:
    """The part of the newest block that claims need; ``base_fee_wei`` is wei per gas."""

    number: int
    base_fee_wei: int


@dataclass(frozen=True, kw_only=True)
class BlockId:
    """A block by number and hash: the hash alone says which block of that number is meant."""

    number: int
    hash: str


@dataclass(frozen=True, kw_only=True)
class BlockStamp:
    """A block by number, and its ``timestamp`` in Unix seconds."""

    number: int
    timestamp: int


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of a transaction that a block contains.

    ``succeeded`` is false if it reverted; ``logs`` are as the node gives them, each with an
    address, topics and data.
    """

    block_number: int
    block_hash: str
    succeeded: bool
    logs: list[dict[str, Any]]


def anything(value: Any) -> Any:
    """Any result at all, unchecked: for methods that are asked once and by hand."""
    return value


def quantity(value: Any) -> int:
    """A number. Raises ValueError; leading zeros are forgiven."""
    if not isinstance(value, str) or _QUANTITY.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no quantity")
    return int(value, 16)


def data(value: Any) -> bytes:
    """Bytes, at least one: a contract that answers a call with nothing is not there."""
    if not isinstance(value, str) or _DATA.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no data")
    if value == "0x":
        raise ValueError("0x is no answer to a call that returns data")
    return to_bytes(value)


def data_or_none(value: Any) -> bytes:
    """Bytes, or none at all. Raises ValueError."""
    return b"" if value == "0x" else data(value)


def uint256(answer: bytes) -> int:
    """The one number that a contract returned. Raises ValueError."""
    if len(answer) != WORD_BYTES:
        raise ValueError(f"{len(answer)} bytes are no uint256")
    return int.from_bytes(answer, "big")


def word(value: Any) -> str:
    """32 bytes as lower-case hex: a hash or a topic. Raises ValueError."""
    if not isinstance(value, str) or len(data(value)) != WORD_BYTES:
        raise ValueError(f"{value!r} is no word of {WORD_BYTES} bytes")
    return value.lower()


def head(value: Any) -> Head:
    """A block with its base fee, which is zero before London. Raises ValueError."""
    block = _typed(value, dict)
    return Head(
        number=quantity(block.get("number")),
        base_fee_wei=quantity(block.get("baseFeePerGas", "0x0")),
    )


def block_id(value: Any) -> BlockId:
    """A block by number and hash. Raises ValueError, also for null: the block must be there."""
    block = _typed(value, dict)
    return BlockId(number=quantity(block.get("number")), hash=word(block.get("hash")))


def hash_of_block(value: Any, number: int) -> str:
    """The hash of the block of that ``number``. Raises ValueError, also for another one."""
    found = block_id(value)
    if found.number != number:
        raise ValueError(f"block {found.number} is not block {number}")
    return found.hash


def block_stamp(value: Any) -> BlockStamp:
    """A block with its time. Raises ValueError, also for null."""
    block = _typed(value, dict)
    return BlockStamp(
        number=quantity(block.get("number")), timestamp=quantity(block.get("timestamp"))
    )


def receipt(value: Any, *, tx_hash: str) -> Receipt | None:
    """The receipt of ``tx_hash``; None while no block contains it. Raises ValueError."""
    if value is None:
        return None
    found = _typed(value, dict)
    if found.get("blockHash") is None:
        return None
    if word(found.get("transactionHash")) != tx_hash.lower():
        raise ValueError("the receipt is of another transaction")
    status = found.get("status")
    if not isinstance(status, str) or status not in _STATUSES:
        raise ValueError(f"{status!r} is no status of a receipt")
    return Receipt(
        block_number=quantity(found.get("blockNumber")),
        block_hash=word(found["blockHash"]),
        succeeded=_STATUSES[status],
        logs=[_log(each) for each in _typed(found.get("logs"), list)],
    )


def _log(value: Any) -> dict[str, Any]:
    log = _typed(value, dict)
    _typed(log.get("address"), str)
    if log.get("removed"):
        raise ValueError("the receipt has a log that a reorganisation removed")
    for topic in _typed(log.get("topics"), list):
        word(topic)
    if log.get("data") != "0x":
        data(log.get("data"))
    return log


def _typed(value: Any, kind: type[K]) -> K:
    if not isinstance(value, kind):
        raise ValueError(f"{value!r} is no {kind.__name__}")  # noqa: TRY004 - not ours
    return value
