"""Keys, signed transfers, and JSON-RPC to one node.

Written from the standards (EIP-1559 transactions, RLP, ERC-20) and not shared with the kit: a
mistake that both made would be seen by neither. And without libraries that take long to import: a
payer that is killed again and again must get to work in between.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from coincurve import PrivateKey
from Crypto.Hash import keccak

ANSWER_S_MAX = 2.0
NATIVE_GAS = 21_000
TOKEN_GAS = 90_000
TIP_WEI = 10**9
FEE_FLOOR_WEI = 2 * 10**9
BASE_FEE_FACTOR = 40
"""What is signed is never signed again for a higher fee, so the ceiling leaves much room."""
_TRANSFER = bytes.fromhex("a9059cbb")  # transfer(address,uint256)
_RLP_BYTES, _RLP_LIST, _RLP_SHORT_MAX = 0x80, 0xC0, 55
_HAS_IT = ("already known", "already imported", "nonce too low")


class NodeAwayError(Exception):
    """The node did not answer, or not in JSON-RPC."""


@dataclass(frozen=True, kw_only=True)
class Signed:
    """The bytes of a transaction and the hash by which the chain knows them."""

    raw: bytes
    tx_hash: str


@dataclass(frozen=True, kw_only=True)
class Heads:
    """Where a network is: heights of blocks, and how many nonces of the payer are mined."""

    latest: int
    finalized: int
    base_fee_wei: int
    mined: int


def keccak256(data: bytes) -> bytes:
    """Keccak-256, which is not SHA3-256."""
    return keccak.new(digest_bits=256, data=data).digest()


def rlp(item: bytes | int | Sequence[Any]) -> bytes:
    """Recursive length prefix (yellow paper, appendix B); an integer is big-endian, zero empty."""
    if isinstance(item, int):
        return rlp(item.to_bytes((item.bit_length() + 7) // 8, "big"))
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < _RLP_BYTES:
            return item
        return _rlp_head(len(item), _RLP_BYTES) + item
    body = b"".join(map(rlp, item))
    return _rlp_head(len(body), _RLP_LIST) + body


def _rlp_head(length: int, kind: int) -> bytes:
    if length <= _RLP_SHORT_MAX:
        return bytes([kind + length])
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([kind + _RLP_SHORT_MAX + len(digits)]) + digits


def address_of(secret: bytes) -> str:
    """The address of a private key, lower case."""
    point = PrivateKey(secret).public_key.format(compressed=False)
    return "0x" + keccak256(point[1:])[-20:].hex()


def sign_transfer(
    secret: bytes,
    *,
    chain_id: int,
    nonce: int,
    token: str | None,
    address: str,
    amount: int,
    base_fee_wei: int,
) -> Signed:
    """A signed transfer of ``amount`` base units, native or of ``token``; the same every time."""
    receiver = bytes.fromhex(address.removeprefix("0x"))
    fee = max(BASE_FEE_FACTOR * base_fee_wei, FEE_FLOOR_WEI) + TIP_WEI
    if token is None:
        gas, to, value, data = NATIVE_GAS, receiver, amount, b""
    else:
        gas, to, value = TOKEN_GAS, bytes.fromhex(token.removeprefix("0x")), 0
        data = _TRANSFER + receiver.rjust(32, b"\0") + amount.to_bytes(32, "big")
    fields: list[Any] = [chain_id, nonce, TIP_WEI, fee, gas, to, value, data, []]
    digest = keccak256(b"\x02" + rlp(fields))
    seal = PrivateKey(secret).sign_recoverable(digest, hasher=None)
    r, s = int.from_bytes(seal[:32], "big"), int.from_bytes(seal[32:64], "big")
    raw = b"\x02" + rlp([*fields, seal[64], r, s])
    return Signed(raw=raw, tx_hash="0x" + keccak256(raw).hex())


class Node:
    """One node; every failure to answer is a :class:`NodeAwayError`, and the next call tries anew.

    After a failure the connection is thrown away, because a node that came back knows it no more.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: http.client.HTTPConnection | None = None

    def chain_id(self) -> int:
        """The chain that the node serves."""
        return int(self._results([("eth_chainId", [])])[0], 16)

    def heads(self, address: str) -> Heads:
        """Where the network and the nonces of ``address`` are, in one request."""
        latest, finalized, mined = self._results(
            [
                ("eth_getBlockByNumber", ["latest", False]),
                ("eth_getBlockByNumber", ["finalized", False]),
                ("eth_getTransactionCount", [address, "latest"]),
            ]
        )
        return Heads(
            latest=int(latest["number"], 16),
            finalized=int(finalized["number"], 16) if finalized else 0,
            base_fee_wei=int(latest.get("baseFeePerGas", "0x0"), 16),
            mined=int(mined, 16),
        )

    def receipts(self, tx_hashes: Sequence[str]) -> list[tuple[int, bool] | None]:
        """Block and success of each transaction; None where no block has it."""
        found = self._results([("eth_getTransactionReceipt", [each]) for each in tx_hashes])
        return [
            (int(each["blockNumber"], 16), int(each["status"], 16) == 1)
            if each and each.get("blockNumber")
            else None
            for each in found
        ]

    def broadcast(self, raws: Sequence[bytes]) -> list[str | None]:
        """Hand over signed bytes in their order; why the node refused each, or None.

        Bytes that it has already, or whose nonce is mined, count as taken.
        """
        answers = self._batch([("eth_sendRawTransaction", ["0x" + raw.hex()]) for raw in raws])
        reasons = [str(each["error"].get("message")) if "error" in each else "" for each in answers]
        return [
            reason if reason and not any(words in reason.lower() for words in _HAS_IT) else None
            for reason in reasons
        ]

    def close(self) -> None:
        """Give the connection up; the next call makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _results(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        answers = self._batch(calls)
        failed = [each["error"] for each in answers if "error" in each]
        if failed:
            raise NodeAwayError(f"{self._url} answered {failed[0]}")
        return [each["result"] for each in answers]

    def _batch(self, calls: Sequence[tuple[str, list[Any]]]) -> list[dict[str, Any]]:
        if not calls:
            return []
        asked = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": params}
            for index, (method, params) in enumerate(calls)
        ]
        try:
            answers = json.loads(self._post(json.dumps(asked)))
            by_id = {answer["id"]: answer for answer in answers}
            ordered = [_answer(by_id[index]) for index in range(len(asked))]
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            self.close()
            raise NodeAwayError(f"{self._url}: {type(error).__name__} {error}") from error
        return ordered

    def _post(self, body: str) -> bytes:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                urlsplit(self._url).netloc, timeout=ANSWER_S_MAX
            )
        self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
        return self._connection.getresponse().read()


def _answer(answer: dict[str, Any]) -> dict[str, Any]:
    if "result" in answer or "error" in answer:
        return answer
    raise ValueError("an answer without result and error")
