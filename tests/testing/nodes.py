"""A chain and its nodes, in memory: nodes that lag, die, refuse to serve or talk nonsense.

A node answers JSON-RPC as the specification has it, of the blocks that it has seen. A test spoils
single answers with :attr:`FakeNode.spoil`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from eth_abi.abi import decode, encode

from seawall.ethereum.keys import event_topic, keccak256, selector, to_bytes
from venue.contracts.calls import NATIVE, Item

CONTRACT = "0x" + "cc" * 20
PAID = event_topic("Paid(uint256,bytes16,address,address,uint256)")
FAILED = event_topic("Failed(uint256,bytes16)")
_PAID_MANY = "0x" + selector("paid_many(uint256[])").hex()
_GENERATION = "0x" + selector("generation()").hex()
Answered = tuple[int, Any]
"""HTTP status, and the body as JSON has it."""


def error(code: int, message: str, *, status: int = 200) -> Callable[[int], Answered]:
    """A JSON-RPC error, for the call with the given id."""
    return lambda identity: (
        status,
        {"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": message}},
    )


def result(value: Any) -> Callable[[int], Answered]:
    """A JSON-RPC result, for the call with the given id."""
    return lambda identity: (200, {"jsonrpc": "2.0", "id": identity, "result": value})


def item(seq: int) -> Item:
    """A payment to an address of its own."""
    return Item(seq=seq, id=UUID(int=seq), to=f"0x{seq + 0xABC000:040x}", token=NATIVE, amount=1000)


def id_topic(identity: UUID) -> str:
    """An id as events have it: its 16 bytes, and as many that are zero."""
    return f"0x{identity.hex}{'00' * 16}"


def hash_of(text: str) -> str:
    """A hash that a test can make again."""
    return "0x" + keccak256(text.encode()).hex()


@dataclass(kw_only=True)
class FakeChain:
    """Blocks up to ``newest``; ``final_after`` blocks later a block is final.

    ``payments`` are the paid numbers by block, ``blocks`` the block of each transaction. The
    payout contract pays numbers of ``generation``.
    """

    newest: int = 10
    final_after: int = 2
    generation: int = 0
    payments: dict[int, list[int]] = field(default_factory=dict)
    blocks: dict[str, int] = field(default_factory=dict)

    def pay(self, tx_hash: str, seqs: list[int]) -> None:
        """Put a transaction that pays ``seqs`` into the newest block."""
        self.blocks[tx_hash] = self.newest
        self.payments.setdefault(self.newest, []).extend(seqs)

    @staticmethod
    def hash(number: int) -> str:
        """The hash of a block."""
        return hash_of(f"block {number}")


@dataclass(kw_only=True)
class FakeNode:
    """A node of ``chain`` that is ``behind`` some blocks.

    ``spoil`` may answer a call otherwise, or raise; it gets method and parameters, and returns None
    to leave the answer alone. ``asked`` are the methods of all calls.
    """

    chain: FakeChain
    behind: int = 0
    spoil: Callable[[str, list[Any]], Callable[[int], Answered] | None] = lambda _m, _p: None
    asked: list[str] = field(default_factory=list)

    @property
    def newest(self) -> int:
        """The number of the newest block that this node has seen."""
        return self.chain.newest - self.behind

    def answer(self, call: Mapping[str, Any]) -> Answered:
        """The answer to one call."""
        method, params, identity = call["method"], call["params"], call["id"]
        self.asked.append(method)
        spoilt = self.spoil(method, params)
        return (spoilt or self._methods()[method](*params))(identity)

    def _methods(self) -> dict[str, Callable[..., Callable[[int], Answered]]]:
        return {
            "eth_getBlockByNumber": self._block,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getTransactionCount": self._nonce,
            "eth_getBalance": self._balance,
            "eth_call": self._call,
            "eth_sendRawTransaction": self._send,
        }

    def _block(self, tag: str, _full: bool) -> Callable[[int], Answered]:
        number = self._number(tag)
        if number is None:
            return result(None)
        return result(
            {"number": hex(number), "hash": self.chain.hash(number), "baseFeePerGas": "0x7"}
        )

    def _receipt(self, tx_hash: str) -> Callable[[int], Answered]:
        number = self.chain.blocks.get(tx_hash)
        if number is None or number > self.newest:
            return result(None)
        return result(receipt(tx_hash, number, self.chain.payments[number]))

    def _nonce(self, _address: str, at: Any) -> Callable[[int], Answered]:
        return self._at(at, lambda number: hex(len(self._paid(number))))

    def _balance(self, _address: str, at: Any) -> Callable[[int], Answered]:
        return self._at(at, lambda number: hex(1_000 - len(self._paid(number))))

    def _call(self, call: Mapping[str, str], at: Any) -> Callable[[int], Answered]:
        def bits(number: int) -> str:
            if call["data"] == _GENERATION:
                return f"0x{self.chain.generation:064x}"
            assert call["data"].startswith(_PAID_MANY)
            (seqs,) = decode(("uint256[]",), to_bytes(call["data"].removeprefix(_PAID_MANY)))
            paid = self._paid(number)
            return "0x" + encode(("bool[]",), ([seq in paid for seq in seqs],)).hex()

        return self._at(at, bits)

    def _send(self, raw: str) -> Callable[[int], Answered]:
        return result("0x" + keccak256(to_bytes(raw)).hex())

    def _at(self, at: Any, read: Callable[[int], str]) -> Callable[[int], Answered]:
        """State at a tag or number, or at a block hash (EIP-1898)."""
        if isinstance(at, dict):
            assert at["requireCanonical"] is True
            known = {self.chain.hash(number): number for number in range(self.newest + 1)}
            number = known.get(at["blockHash"])
            if number is None:
                return error(-32000, "header for hash not found")
        else:
            number = self._number(at)
        return error(-39001, "unknown block") if number is None else result(read(number))

    def _number(self, tag: str) -> int | None:
        if tag == "latest":
            return self.newest
        number = self.newest - self.chain.final_after if tag == "finalized" else int(tag, 16)
        return number if 0 <= number <= self.newest else None

    def _paid(self, number: int) -> list[int]:
        return [seq for at, seqs in self.chain.payments.items() if at <= number for seq in seqs]


def receipt(tx_hash: str, number: int, seqs: list[int], *, block: str = "") -> dict[str, Any]:
    """The receipt of a transaction that paid ``seqs``."""
    return {
        "transactionHash": tx_hash,
        "blockNumber": hex(number),
        "blockHash": block or FakeChain.hash(number),
        "status": "0x1",
        "logs": [
            {
                "address": CONTRACT,
                "topics": [
                    PAID,
                    f"0x{seq:064x}",
                    id_topic(item(seq).id),
                    "0x" + "00" * 12 + item(seq).to[2:],
                ],
                "data": "0x" + encode(("address", "uint256"), (NATIVE, item(seq).amount)).hex(),
            }
            for seq in seqs
        ],
    }


def nodes(by_host: Mapping[str, FakeNode]) -> httpx.AsyncClient:
    """A client that reaches each node under its host name."""

    def handle(request: httpx.Request) -> httpx.Response:
        status, body = by_host[request.url.host].answer(json.loads(request.content))
        return httpx.Response(status, json=body)

    return httpx.AsyncClient(transport=httpx.MockTransport(handle))
